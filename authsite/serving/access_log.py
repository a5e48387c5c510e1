"""The request log, which has one line with the id and duration of each request."""

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
    """Measures the duration of each request and logs it in one line, if ``LOG_LEVEL`` is ``info``.

    It is the outermost middleware, so that all log lines of a request contain the request's id. The
    line has the path of the request without secrets, and no query string.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        config = settings.AUTHSITE
        self.log = logs.requests_log(development=config.development, level=config.lowest_log_level)

    def __call__(self, request: HttpRequest) -> HttpResponse:
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
    """Return the id that a trusted proxy has sent and logged for the request, or a new id."""
    given = request.META.get("HTTP_X_REQUEST_ID")
    if given and ID.fullmatch(given):
        peer = parse(request.META.get("REMOTE_ADDR", ""))
        if peer is not None and trusts(peer, settings.AUTHSITE.trusted_proxies):
            return given
    return secrets.hexadecimal(16)
