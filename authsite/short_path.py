"""Answers the most frequent requests of programs before Django handles them.

Four requests need at most a few database statements: to read one's account, to renew a token, to
read the public keys, and to check the health of the site. Django's middleware and REST framework
take several times as long as these statements.

The short path answers only plain requests that succeed, and calls the services that the views call.
It passes every other request to Django before anything has changed. Therefore only the views refuse
requests, and a change of their rules for refusals needs no change here.

The headers come from Django, too: Django answers the first plain request of each kind, and the
short path repeats the headers of that response.
"""

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from io import BytesIO
from time import perf_counter
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.utils import translation
from rest_framework.renderers import JSONRenderer

from accounts.common.client_info import client_of
from accounts.common.client_ip import behind_proxies
from accounts.common.errors import PublicError
from accounts.ops import health
from accounts.profile.api import shown
from accounts.tokens import families, keyring, renewal, scopes, services
from accounts.tokens.api import with_refresh
from authsite.errors import FAILED
from authsite.serving.access_log import RequestLog

type Environ = dict[str, Any]
type Headers = list[tuple[str, str]]
type Application = Callable[..., Iterable[bytes]]
# The body of an answer, and the headers that differ between answers of one kind.
type Answer = tuple[bytes, Headers]

# With one of these, the answer depends on more than the short path knows.
SPECIAL = (
    *("HTTP_COOKIE", "HTTP_ORIGIN", "HTTP_TRANSFER_ENCODING"),
    *("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE"),
)
# The headers that are made anew for each answer.
OWN = {"content-length", "etag", "x-request-id"}
# The largest body in bytes. A refresh token has about a hundred.
LARGEST_BODY = 1024
# The most kinds of one request whose headers are kept. Any port is valid in a Host, and any Host in
# a health check. When the limit is reached, all are forgotten. Otherwise a client that sends many
# Hosts would keep all other requests off the short path.
MOST_KINDS = 64

_render = JSONRenderer().render


class ShortPath:
    """A WSGI application that answers plain requests, and passes others to ``application``."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._log = RequestLog()
        self._headers: dict[str, dict[tuple[str, ...], Headers]] = {path: {} for path in _ANSWERS}

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        began, path = perf_counter(), environ["PATH_INFO"]
        if path not in _ANSWERS or not _is_plain(environ):
            return self._application(environ, start)
        client_ip, scheme = behind_proxies(environ, settings.AUTHSITE.trusted_proxies)
        language = _language(environ.get("HTTP_ACCEPT_LANGUAGE", ""))
        kind = (scheme, environ["HTTP_HOST"], language)
        headers = self._headers[path].get(kind)
        if headers is None:
            return self._application(environ, self._keeping_headers(path, kind, start))
        with self._log.identify(environ) as request_id:
            answer = _answer(path, environ, client_ip)
            if answer is None:
                return self._application(environ, start)
            body, more = answer
            length = ("Content-Length", str(len(body)))
            start("200 OK", [*headers, *more, length, ("X-Request-ID", request_id)])
            self._log.write(
                environ["REQUEST_METHOD"],
                path,
                route=path[1:],  # the pattern of a path without parameters
                status=200,
                client_ip=client_ip,
                began=began,
            )
        return [body]

    def _keeping_headers(
        self, path: str, kind: tuple[str, ...], start: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Return a ``start_response`` that stores the headers of a response with status 200."""
        known = self._headers[path]

        def keep(status: str, headers: Headers, *more: Any) -> Any:
            names = {name.lower() for name, _value in headers}
            if status == "200 OK" and "set-cookie" not in names:
                if len(known) >= MOST_KINDS:
                    known.clear()
                known[kind] = [pair for pair in headers if pair[0].lower() not in OWN]
            return start(status, headers, *more)

        return keep


def _is_plain(environ: Environ) -> bool:
    """Return whether the request has nothing but its path, a language, credentials and a body.

    HTTP/2 is not plain: a body without a length can be found only by reading it.
    """
    return (
        environ["REQUEST_METHOD"] == ("POST" if environ["PATH_INFO"] == REFRESH else "GET")
        and environ["SERVER_PROTOCOL"].startswith("HTTP/1")
        and "HTTP_HOST" in environ
        and not environ.get("QUERY_STRING")
        and not environ.get("SCRIPT_NAME")
        and environ.keys().isdisjoint(SPECIAL)
        and (environ["PATH_INFO"] == REFRESH or environ.get("CONTENT_LENGTH", "") in {"", "0"})
    )


@lru_cache(256)
def _language(accepted: str) -> str:
    return translation.get_language_from_request(_request({"HTTP_ACCEPT_LANGUAGE": accepted}))


def _request(environ: Environ) -> HttpRequest:
    request = HttpRequest()
    request.META = environ
    return request


def _answer(path: str, environ: Environ, client_ip: str) -> Answer | None:
    """Return the response to a plain request, or None if Django must answer the request."""
    connection.close_if_unusable_or_obsolete()  # as Django does before each request
    try:
        return _ANSWERS[path](environ, client_ip)
    except PublicError:
        return None
    except Error as error:
        # Otherwise the client would wait for the same failure twice.
        environ[FAILED] = error
        return None


def _me(environ: Environ, _client_ip: str) -> Answer | None:
    scheme, _, text = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme != "Bearer":
        return None
    token, session = services.read(text, find=families.find_owner)
    if not scopes.is_covered(token.scope, "profile:read"):
        return None
    return _render(shown(session.user)), []


def _refresh(environ: Environ, client_ip: str) -> Answer | None:
    length = environ.get("CONTENT_LENGTH", "")
    is_json = environ.get("CONTENT_TYPE") == "application/json"
    if not is_json or not length.isdecimal() or len(length) > 4 or int(length) > LARGEST_BODY:
        return None
    body = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = BytesIO(body)
    try:
        sent = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(sent, dict) or list(sent) != ["refresh"] or type(sent["refresh"]) is not str:
        return None
    client = client_of(_request(environ | {"REMOTE_ADDR": client_ip}))
    tokens = renewal.renew_newest(sent["refresh"], client)
    return (_render(with_refresh(tokens)), []) if tokens else None


def _jwks(_environ: Environ, _client_ip: str) -> Answer:
    published = keyring.jwks()
    return published.body, [("ETag", published.etag)]


def _ready(_environ: Environ, _client_ip: str) -> Answer | None:
    found = health.inspect()
    return (JsonResponse(found).content, []) if health.is_ready(found) else None


REFRESH = "/api/v1/token/refresh/"
_ANSWERS: dict[str, Callable[[Environ, str], Answer | None]] = {
    "/api/v1/me/": _me,
    REFRESH: _refresh,
    "/.well-known/jwks.json": _jwks,
    "/health/live": lambda *_: (JsonResponse({"process": health.OK}).content, []),
    "/health/ready": _ready,
}
