"""The request log, which has one line with the id and duration of each request."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.common import logs, metrics, secrets
from accounts.common.client_info import parse_ip, trusts
from authsite import telemetry

type GetResponse = Callable[[HttpRequest], HttpResponse]

ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)


class RequestLog:
    """Gives each request an id, measures its duration and logs it in one line.

    The lines are written only if ``LOG_LEVEL`` is ``info``. They have the path of the request
    without secrets, and no query string.
    """

    def __init__(self) -> None:
        config = settings.AUTHSITE
        self._log = logs.requests_log(development=config.development, level=config.lowest_log_level)

    @contextmanager
    def identify(self, meta: Mapping[str, Any]) -> Iterator[str]:
        """Return the request's id, and add it to all log lines within the ``with`` block."""
        request_id = _id_of(meta)
        token = logs.REQUEST_ID.set(request_id)
        try:
            with telemetry.span(meta.get("HTTP_TRACEPARENT")):
                yield request_id
        finally:
            logs.REQUEST_ID.reset(token)

    def write(
        self,
        method: str | None,
        path: str,
        *,
        route: str,
        status: int,
        client_ip: str,
        began: float,
        cause: str = "",
    ) -> None:
        """Log and count a completed request.

        ``route``: the URL pattern of ``path``, or empty if none matches.
        ``began``: when the request arrived, by ``perf_counter``.
        ``cause``: why the server has refused the request, if it has.
        """
        seconds = perf_counter() - began
        metrics.count_request(route, method, status, seconds)
        telemetry.describe(method, route, status)
        self._log(
            method=method,
            path=logs.redact_path(path),
            status=status,
            ms=round(seconds * 1000, 2),
            client=client_ip,
            **({"cause": cause} if cause else {}),
        )


class RequestMiddleware:
    """Logs requests; see :class:`RequestLog`.

    It is the outermost middleware, so that all log lines of a request contain the request's id.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.log = RequestLog()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = perf_counter()
        with self.log.identify(request.META) as request_id:
            response = self.get_response(request)
            response.headers["X-Request-ID"] = request_id
            match = request.resolver_match
            self.log.write(
                request.method,
                request.path,
                route=match.route if match else "",
                status=response.status_code,
                client_ip=request.META["REMOTE_ADDR"],
                began=began,
            )
        return response


def _id_of(meta: Mapping[str, Any]) -> str:
    """Return the id that a trusted proxy has sent for the request, or a new id."""
    given = meta.get("HTTP_X_REQUEST_ID")
    if given and ID.fullmatch(given):
        peer = parse_ip(meta.get("REMOTE_ADDR", ""))
        if peer is not None and trusts(peer, settings.AUTHSITE.trusted_proxies):
            return str(given)
    return secrets.hexadecimal(16)
