"""How many requests a worker takes at once, and what the others get."""

import json
from io import BytesIO
from threading import Event
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, connections

from accounts.common import logs
from authsite.serving import capacity
from authsite.serving.capacity import Capacity
from tests.support.site import together

type Answered = tuple[str, dict[str, str], bytes]


@pytest.fixture(autouse=True)
def own_connection():
    """Keep the database connection of the test's thread, which a request would take away."""
    kept = connections[DEFAULT_DB_ALIAS]
    yield
    connections[DEFAULT_DB_ALIAS] = kept


def ask(application, path="/", **environ):
    """Send one request to the application, and close the answer as a server does."""
    started: list[Any] = []
    answer = application(
        {"PATH_INFO": path, "wsgi.input": BytesIO(b""), **environ},
        lambda *words: started.append(words),
    )
    body = b"".join(answer)
    if close := getattr(answer, "close", None):
        close()
    status, headers = started[-1]
    return status, dict(headers), body


def hello(_environ, start):
    start("200 OK", [])
    return [b"hello"]


class File:
    """A file that the server sends in parts."""

    file_to_stream = True
    closed = 0

    def __iter__(self):
        return iter([b"a", b"b"])

    def close(self):
        self.closed += 1


def beside_a_slow_request(work):
    """Call ``work`` with the application while it runs a request; return both results."""
    entered, leave = Event(), Event()

    def slow(environ, start):
        entered.set()
        if environ["PATH_INFO"] == "/slow":
            leave.wait(10)
        return hello(environ, start)

    application = Capacity(slow)

    def run(i):
        if i == 0:
            return ask(application, "/slow")
        entered.wait(10)
        try:
            return work(application)
        finally:
            leave.set()

    return together(2, run)


def test_requests_beyond_the_limit_are_refused_at_once_but_health_checks_are_not(monkeypatch):
    """Withstands a flood."""
    monkeypatch.setattr(capacity, "INSIDE", 1)
    paths = ("/", "/api/v1/me/", "/health/live")

    answered, refused = beside_a_slow_request(lambda site: [ask(site, path) for path in paths])

    (page, headers, _), (call, _, body), (live, _, _) = refused
    assert (page, call, live) == ("503 Service Unavailable", page, "200 OK")
    assert (headers["Retry-After"], headers["X-Frame-Options"]) == ("5", "DENY")
    assert json.loads(body)["code"] == "unavailable"
    assert answered[0] == "200 OK"


def test_a_request_that_waits_too_long_for_its_turn_is_refused_and_logged(monkeypatch):
    monkeypatch.setattr(capacity, "PATIENCE", 0.01)
    monkeypatch.setattr(capacity, "RUNNING", 1)
    lines: list[dict[str, Any]] = []

    def write(**values):
        lines.append({**values, "request_id": logs.REQUEST_ID.get()})

    monkeypatch.setattr(capacity._request_log(), "_log", write)

    (answered, *_), (refused, headers, _body) = beside_a_slow_request(ask)

    assert (answered, refused) == ("200 OK", "503 Service Unavailable")
    assert [(line["status"], line["cause"]) for line in lines] == [(503, "no turn in time")]
    assert headers["X-Request-ID"] == lines[0]["request_id"] != ""


def test_a_body_that_does_not_arrive_whole_never_reaches_the_site():
    read = Capacity(lambda environ, start: [hello(environ, start) and environ["wsgi.input"].read()])

    for body, status in ((b"12345", "200 OK"), (b"1234", "503 Service Unavailable")):
        sent = {"CONTENT_LENGTH": "5", "wsgi.input": BytesIO(body)}
        assert ask(read, **sent)[0] == status


class Endless:
    """A body for which the site would wait as long as the client likes."""

    def read(self, *_size):
        raise AssertionError("the site waits for the client")


def test_the_site_reads_no_body_itself_so_that_a_slow_client_holds_no_turn():
    read = Capacity(lambda environ, start: [*hello(environ, start), environ["wsgi.input"].read()])

    for path, length in (
        *((capacity.LIVE, length) for length in ("5", "00000005")),
        *(("/", length) for length in ("", "0", "x", "99999999999", "0" * 18 + "5")),
    ):
        sent = {"CONTENT_LENGTH": length, "wsgi.input": Endless()}
        assert ask(read, path, **sent)[2] == b"hello", (path, length)
    zeros = {"CONTENT_LENGTH": "00000005", "wsgi.input": BytesIO(b"12345")}
    assert ask(read, **zeros)[2] == b"hello12345"


def test_files_count_until_they_are_sent(monkeypatch):
    monkeypatch.setattr(capacity, "SLOW", 1)
    file = File()
    application = Capacity(lambda environ, start: hello(environ, start) and file)

    held = application({"PATH_INFO": "/"}, lambda *_words: None)
    assert ask(application)[0] == "503 Service Unavailable"
    held.close()

    assert ask(application) == ("200 OK", {}, b"ab")
    assert file.closed == 3


def test_threads_share_few_database_connections_and_keep_none():
    used: list[object] = []

    def read(_environ, start):
        """Read the database while the answer is sent, as an export does."""
        start("200 OK", [])
        used.append(connections[DEFAULT_DB_ALIAS])
        yield b"read"

    application = Capacity(read)

    def work(_thread):
        return ask(application)[2], connections.all(initialized_only=True)

    assert [together(1, work) for _ in range(3)] == [[(b"read", [])]] * 3
    assert len(set(used)) == 1
