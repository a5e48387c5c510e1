"""Floods of slow clients and of connections, against a server without a proxy in front."""

import asyncio
import socket
import ssl
import time
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from threading import Event, Thread
from typing import Any

import pytest

from authsite.serving import capacity, plain
from tests.support.process import slack
from tests.support.site import together
from tests.support.standards import proves
from tests.support.steps import LOGIN

# What `/health/live` promises, and a second for a busy machine.
PROMPT_SECONDS = 2.0 + 1.0
SLOW_CLIENTS = 200
IDLE, IDLE_AFTER_HANDSHAKE = 600, 300
HEADS = [
    f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    f"Content-Length: {length}\r\n\r\n{{"
    for path in ("/api/v1/token/", "/health/live")
    for length in ("1000", "00001000")
]


def raw(site):
    """Return a connection that has not begun its TLS handshake."""
    return socket.create_connection(("127.0.0.1", site.port), 30)


@contextmanager
def dripping(site, number):
    """Open connections that each send a byte of a request body every half second."""
    stop = Event()
    with ExitStack() as stack:
        connections = [stack.enter_context(site.socket()) for _ in range(number)]
        for connection, head in zip(connections, cycle(HEADS), strict=False):
            connection.sendall(head.encode())

        def drip():
            while not stop.wait(0.5):
                for connection in connections:
                    with suppress(OSError):
                        connection.sendall(b" ")

        thread = Thread(target=drip)
        thread.start()
        try:
            yield connections
        finally:
            stop.set()
            thread.join()


def prompt(site, path="/health/live"):
    """Return whether the site answers with 200 in time."""
    began = time.monotonic()
    answer = site.client().get(path)
    return answer.status == 200 and time.monotonic() - began < PROMPT_SECONDS * slack()


def seconds_until_closed(connection):
    began = time.monotonic()
    with suppress(ConnectionError):
        while connection.recv(4096):
            pass
    return time.monotonic() - began


@proves("V15.4.4")
def test_slow_request_bodies_stop_neither_health_checks_nor_pages(https):
    """Withstands a flood."""
    with dripping(https, SLOW_CLIENTS):
        time.sleep(2)
        assert [prompt(https) for _ in range(3)] == [True] * 3
        assert prompt(https, LOGIN)


def test_idle_connections_stop_neither_health_checks_nor_pages(https):
    """Withstands a flood."""
    with ExitStack() as stack:
        first, *_others = [stack.enter_context(raw(https)) for _ in range(IDLE)]
        for _ in range(IDLE_AFTER_HANDSHAKE):
            stack.enter_context(https.socket())
        assert prompt(https)
        # The server has not closed idle connections to answer it.
        first.setblocking(False)
        with pytest.raises(BlockingIOError):
            first.recv(1)
        assert prompt(https, LOGIN)


# What clients send and then nothing more; None sends not even a TLS handshake.
UNFINISHED = [
    None,
    b"",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
]


def test_a_connection_that_sends_no_whole_request_is_closed_after_ten_seconds(https):
    def wait(i):
        sent = UNFINISHED[i]
        with raw(https) if sent is None else https.socket() as connection:
            connection.sendall(sent or b"")
            return seconds_until_closed(connection)

    seconds = together(len(UNFINISHED), wait)

    assert [5 < each < 20 for each in seconds] == [True] * len(UNFINISHED)


def test_headers_of_more_than_16_kib_are_refused(https):
    """Withstands a flood."""
    assert https.client().get("/health/live", headers={"X-Large": "x" * 8_000}).status == 200
    assert https.client().get("/health/live", headers={"X-Large": "x" * 20_000}).status == 431


@proves("V4.2.3", "V4.2.4")
def test_the_server_speaks_no_http_2_in_which_one_connection_can_open_many_requests(https):
    context = ssl.create_default_context(cafile=https.authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with https.socket(context) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"


def test_a_connection_on_which_nothing_was_sent_for_long_is_closed(monkeypatch):
    """Such a client drips its request, or does not read the answer."""
    monkeypatch.setattr(capacity, "SILENT_SECONDS", 1.0)
    with ExitStack() as stack:
        servers = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
        (ours, another), pairs = map(stack.enter_context, servers), []
        for listener in (ours, another):
            client = stack.enter_context(socket.create_connection(listener.getsockname(), 0.1))
            pairs.append((client, stack.enter_context(listener.accept()[0])))
        time.sleep(1.2)
        active = stack.enter_context(socket.create_connection(ours.getsockname(), 0.1))
        accepted = [server.fileno() for _client, server in pairs]
        accepted += [stack.enter_context(ours.accept()[0]).fileno(), ours.fileno()]

        for descriptor in accepted:
            capacity._close_if_silent(descriptor, ours.getsockname()[1])

        (silent, _), (elsewhere, _) = pairs
        assert silent.recv(1) == b""
        for connection in (elsewhere, active):
            with pytest.raises(TimeoutError):
                connection.recv(1)


def test_a_slow_body_does_not_hold_the_server_for_plain_http(monkeypatch):
    monkeypatch.setattr(plain, "BODY_SECONDS", 0.05)
    sent: list[dict[str, Any]] = []

    async def receive():
        await asyncio.sleep(0.01)
        return {"body": b"x", "more_body": True}

    async def send(message):
        sent.append(message)

    async def ask():
        scope = {"raw_path": b"/", "query_string": b""}
        async with asyncio.timeout(5):
            await plain.application(scope, receive, send)

    asyncio.run(ask())

    assert sent[0]["status"] == 301


@pytest.mark.proof
def test_a_request_that_drips_for_thirty_seconds_is_cut_off(https):
    with dripping(https, 1) as (connection,):
        assert 20 < seconds_until_closed(connection) < 45 * slack()
