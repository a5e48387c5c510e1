"""What is kept of each request: an id that all its log lines have, a line, and how long it took."""

import re
from collections.abc import Callable
from time import perf_counter

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.common import logs, metrics, secrets
from accounts.common.client_ip import parse, trusts

type GetResponse = Callable[[HttpRequest], HttpResponse]

ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)


class RequestMiddleware:
    """Outermost: whatever happens to a request happens under its id, and is in its line.

    The line has the path without what opens anything, and no query.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.log = logs.requests_log(development=settings.AUTHSITE.development)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and write it down."""
        began = perf_counter()
        request_id = _id_of(request)
        token = logs.REQUEST_ID.set(request_id)
        try:
            response = self.get_response(request)
            response.headers["X-Request-ID"] = request_id
            seconds = perf_counter() - began
            match = request.resolver_match
            route = match.route if match else ""
            metrics.count_request(route, request.method, response.status_code, seconds)
            self.log.info(
                "request",
                method=request.method,
                path=logs.redact_path(request.path),
                status=response.status_code,
                ms=round(seconds * 1000, 2),
                client=request.META["REMOTE_ADDR"],
            )
        finally:
            logs.REQUEST_ID.reset(token)
        return response


def _id_of(request: HttpRequest) -> str:
    """A trusted proxy's, so that its log and ours tell of the same request; or a new one."""
    given = request.META.get("HTTP_X_REQUEST_ID")
    if given and ID.fullmatch(given):
        peer = parse(request.META.get("REMOTE_ADDR", ""))
        if peer is not None and trusts(peer, settings.AUTHSITE.trusted_proxies):
            return given
    return secrets.hexadecimal(16)
