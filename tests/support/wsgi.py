"""Call the site's WSGI application in process, with and without its short path."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from unittest import mock

from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpResponse
from django.test import Client

from authsite import short_path
from authsite.middleware import Utf8WSGIRequest
from authsite.short_path import ShortPath

type Application = Callable[..., Iterable[bytes]]
# Replaces the id of the request, which differs between two answers to the same request.
ID = "id"
# A connection that stays open; a mock at each request would take a tenth of the time.
OPEN = SimpleNamespace(close_if_unusable_or_obsolete=lambda: None)


@dataclass(frozen=True)
class Answer:
    status: str
    headers: dict[str, str]
    body: bytes


class Applications:
    """Django's application, and the short path before it.

    ``passed_on`` counts the requests that the short path has passed to Django.
    """

    def __init__(self) -> None:
        self.ordinary = _django()
        self.short = ShortPath(self._count)
        self.passed_on = 0

    def _count(self, *args: Any) -> Iterable[bytes]:
        self.passed_on += 1
        return self.ordinary(*args)


class Program(Client):
    """Calls the site in process as programs do: its requests take the short path if they can.

    The short path has its headers already, so that it answers the first request, too.
    """

    @cached_property
    def _application(self) -> ShortPath:
        path = ShortPath(_django())
        for known in path._headers.values():
            known["http", "testserver", "en"] = [("Content-Type", "application/json")]
        return path

    def request(self, **more: Any) -> Any:
        asked = {"HTTP_HOST": "testserver"} | self._base_environ(**more)  # type: ignore[attr-defined]  # missing in the stubs
        if not asked["HTTP_COOKIE"]:
            del asked["HTTP_COOKIE"]
        found = answer(self._application, asked)
        headers = {name.title(): value for name, value in found.headers.items()}
        return HttpResponse(found.body, status=int(found.status[:3]), headers=headers)


def _django() -> WSGIHandler:
    handler = WSGIHandler()
    handler.request_class = Utf8WSGIRequest
    return handler


def environ(method: str, path: str, body: bytes = b"", **more: str | None) -> dict[str, Any]:
    """Return a WSGI environment. A value of None in ``more`` removes a key."""
    all_keys = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost:8000",
        "HTTP_USER_AGENT": "curl/8.14",
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        **({"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json"} if body else {}),
        **more,
    }
    kept = {name: value for name, value in all_keys.items() if value is not None}
    return kept | {"wsgi.input": BytesIO(body)}


@contextmanager
def open_connections() -> Iterator[None]:
    """Keep database connections open after requests, since a test's transaction uses one."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    with mock.patch.object(short_path, "connection", OPEN):
        yield
    for signal in signals:
        signal.connect(close_old_connections)


def answer(application: Application, asked: dict[str, Any]) -> Answer:
    """Return the answer of ``application``, with its headers in lower case and the id replaced."""
    said: list[Any] = []
    with open_connections():
        response = application(asked, lambda *words: said.append(words))
        body = b"".join(response)
        getattr(response, "close", lambda: None)()
    status, headers = said[-1][:2]
    found = {name.lower(): value for name, value in headers}
    assert len(found) == len(headers), "a header came twice"
    body = body.replace(found["x-request-id"].encode(), ID.encode())
    return Answer(status, found | {"x-request-id": ID}, body)
