"""Answers the most frequent requests of programs before Django handles them.

Four kinds of requests need only a few database statements: reading one's own account, renewing a
token of the API or of an app, reading the public keys, and checking the health of the site.
Django's middleware and REST framework take several times as long as these statements. Without the
short path, reading the own account costs 3.3 times as much processor time, a renewal 2.1 times (of
an app 1.4 times), the public keys 7.9 times, and the refusal of a flood of sign-ins 3.9 times.

The short path answers only plain requests that succeed, and calls the same services as the views.
It passes every other request to Django before anything has changed. Therefore only the views refuse
requests, and a change of their rules for refusals needs no change here.

There is one exception: a flood of sign-ins. If a limit has refused the last sign-in of an IP
address, the short path asks the service whether it would refuse the next one, too.

The headers also come from Django: Django answers the first plain request of each kind, and the
short path repeats the headers of that response.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from time import perf_counter
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import Error, connection

from accounts.common.client_info import behind_proxies
from accounts.common.errors import PublicError
from accounts.tokens import keyring
from authsite.errors import FAILED, language
from authsite.serving.access_log import RequestLog
from authsite.short_answers import (
    JWKS,
    OWN,
    POSTED,
    READS_COOKIES,
    RESPONDERS,
    SIGN_IN,
    Environ,
    Headers,
    ShortResponse,
    published,
)

if apps.is_installed("accounts.oauth"):
    import_module("authsite.short_answers_of_apps")

type Application = Callable[..., Iterable[bytes]]


OK, REFUSED = "200 OK", "429 Too Many Requests"
# With one of these headers, the response depends on more than the short path handles.
SPECIAL = (
    *("HTTP_ORIGIN", "HTTP_TRANSFER_ENCODING", "HTTP_DPOP"),
    *("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE"),
)
# The maximum number of kinds of one request whose headers are stored. Any port is valid in a Host,
# and any Host in a health check. At the limit, all are deleted. Otherwise a client that sends many
# Hosts would keep all other requests off the short path.
MOST_KINDS = 64
# The maximum number of flooding IP addresses that are stored. Beyond it, all are deleted.
MOST_FLOODING = 4096


class ShortPath:
    """A WSGI application that answers plain requests, and passes others to ``application``."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._log = RequestLog()
        self._headers: dict[str, dict[tuple[str, ...], Headers]] = {path: {} for path in RESPONDERS}
        self._flooding: set[str] = set()

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        began, path = perf_counter(), environ["PATH_INFO"]
        if path not in RESPONDERS or not _is_plain(environ):
            return self._application(environ, start)
        client_ip, kind = _client_and_kind(environ)
        headers = self._headers[path].get(kind)
        if path == SIGN_IN:
            start = self._noting_floods(client_ip, start)
        if headers is None or (path == SIGN_IN and client_ip not in self._flooding):
            return self._application(environ, self._keeping_headers(path, kind, start))
        with self._log.identify(environ) as request_id:
            answer = _respond(path, environ, client_ip)
            if answer is None:
                return self._application(environ, start)
            start(_status(path), [*headers, *_own_headers(answer, request_id)])
            self._write(environ, client_ip, began)
        return [answer.body]

    def at_once(self, environ: Environ, start: Callable[..., Any]) -> list[bytes] | None:
        """Answer a request for the public keys if they are cached. Otherwise, return None.

        The server calls this before a request waits for its turn, which may depend on the database.
        """
        began = perf_counter()
        if environ["PATH_INFO"] != JWKS or not _is_plain(environ):
            return None
        client_ip, kind = _client_and_kind(environ)
        headers, keys = self._headers[JWKS].get(kind), keyring.cached_jwks()
        if headers is None or keys is None:
            return None
        with self._log.identify(environ) as request_id:
            start(OK, [*headers, *_own_headers(published(keys), request_id)])
            self._write(environ, client_ip, began)
        return [keys.body]

    def _write(self, environ: Environ, client_ip: str, began: float) -> None:
        path = environ["PATH_INFO"]
        self._log.write(
            environ["REQUEST_METHOD"],
            path,
            route=path[1:],  # the pattern of a path without parameters
            status=int(_status(path)[:3]),
            client_ip=client_ip,
            began=began,
        )

    def _keeping_headers(
        self, path: str, kind: tuple[str, ...], start: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Return a ``start_response`` that stores the headers of a response of the short path."""
        known = self._headers[path]

        def keep(status: str, headers: Headers, *more: Any) -> Any:
            names = {name.lower() for name, _value in headers}
            if status == _status(path) and "set-cookie" not in names:
                if len(known) >= MOST_KINDS:
                    known.clear()
                known[kind] = [pair for pair in headers if pair[0].lower() not in OWN]
            return start(status, headers, *more)

        return keep

    def _noting_floods(self, client_ip: str, start: Callable[..., Any]) -> Callable[..., Any]:
        """Return a ``start_response`` that records whether a limit has refused the sign-in."""

        def note(status: str, headers: Headers, *more: Any) -> Any:
            if status != REFUSED:
                self._flooding.discard(client_ip)
            elif client_ip not in self._flooding:
                if len(self._flooding) >= MOST_FLOODING:
                    self._flooding.clear()
                self._flooding.add(client_ip)
            return start(status, headers, *more)

        return note


def _own_headers(answer: ShortResponse, request_id: str) -> Headers:
    length = str(len(answer.body))
    return [*answer.headers, ("Content-Length", length), ("X-Request-ID", request_id)]


def _client_and_kind(environ: Environ) -> tuple[str, tuple[str, ...]]:
    """Return the IP address of the client, and the values on which the headers depend."""
    client_ip, scheme = behind_proxies(environ, settings.AUTHSITE.trusted_proxies)
    spoken = language(environ.get("HTTP_ACCEPT_LANGUAGE", ""))
    return client_ip, (scheme, environ["HTTP_HOST"], spoken)


def _status(path: str) -> str:
    return REFUSED if path == SIGN_IN else OK


def _is_plain(environ: Environ) -> bool:
    """Return whether the request has only a path, a language, credentials and a body.

    HTTP/2 is not plain, because a body without a length can be found only by reading it.
    """
    return (
        environ["REQUEST_METHOD"] == ("POST" if environ["PATH_INFO"] in POSTED else "GET")
        and environ["SERVER_PROTOCOL"].startswith("HTTP/1")
        and "HTTP_HOST" in environ
        and not environ.get("QUERY_STRING")
        and not environ.get("SCRIPT_NAME")
        and environ.keys().isdisjoint(SPECIAL)
        and ("HTTP_COOKIE" not in environ or environ["PATH_INFO"] in READS_COOKIES)
        and (environ["PATH_INFO"] in POSTED or environ.get("CONTENT_LENGTH", "") in {"", "0"})
    )


def _respond(path: str, environ: Environ, client_ip: str) -> ShortResponse | None:
    """Return the response to a plain request, or None if Django must answer the request."""
    connection.close_if_unusable_or_obsolete()  # as Django does before each request
    try:
        return RESPONDERS[path](environ, client_ip)
    except PublicError:
        return None
    except Error as error:
        # Otherwise the client would wait for the same failure twice.
        environ[FAILED] = error
        return None
