"""Limits the requests of a worker, so that slow or many clients do not block it.

The server program has a thread for each request that has arrived, and no time limit for the body of
a request or for a client that does not read the response. Therefore:

- At most ``RUNNING`` requests run. The others wait for their turn, at most ``PATIENCE`` seconds.
- A thread has a database connection only while it runs a request. The server has more threads than
a database allows connections.
- A request runs only after its body has arrived. At most ``SLOW`` requests send a body or receive a
file.
- At most ``INSIDE`` requests wait, run or are slow. Further requests are refused with 503.
- A connection on which the server has sent nothing for ``SILENT_SECONDS`` is soon closed.

``/health/live`` does not wait, so it is answered even while all other requests wait. The same is
true of the public keys while they are cached, if the application has a method ``at_once``.
"""

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils import translation

from accounts.common.client_info import behind_proxies
from accounts.common.errors import Busy
from authsite.serving.access_log import RequestLog


def own_headers() -> dict[str, str]:
    """Return the site's usual response headers that apply to plain text."""
    return {
        "Server": "web",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Content-Type": "text/plain",
        "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": settings.PERMISSIONS_POLICY,
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": settings.X_FRAME_OPTIONS,
    }


# Argon2 releases the interpreter lock while it hashes, and the number of hashes is limited: pages
# stay fast while many people sign in.
RUNNING = 16
SLOW = 384
INSIDE = 496
PATIENCE = 10.0
# The maximum number of digits of a Content-Length, which may begin with zeros (RFC 9110 section
# 8.6). Python refuses to parse a number with thousands of digits.
LONGEST_LENGTH = 18
# Longer than any response takes. The proxies in ``deploy/`` use the same timeout.
SILENT_SECONDS = 30
# The interval at which silent connections are looked for.
LOOK_EVERY_SECONDS = 5

LIVE = "/health/live"
# Linux lists the open files of this process here, by their descriptors.
DESCRIPTORS = Path("/proc/self/fd")
# In Linux's ``struct tcp_info``: ``tcpi_state``, and ``tcpi_last_data_sent`` in milliseconds.
TCP_INFO = struct.Struct("=B 7x 36x I")
ESTABLISHED = 1

type Environ = dict[str, Any]
type Application = Callable[..., Iterable[bytes]]


class Permits:
    """A counting semaphore that costs a tenth of ``threading.Semaphore`` for each request."""

    def __init__(self, count: int) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self.release()

    def acquire(self, seconds: float = 0.0) -> bool:
        """Take a permit, and wait up to ``seconds`` for one; return False if none became free."""
        try:
            self._free.get(seconds > 0, seconds)
        except Empty:
            return False
        return True

    def release(self) -> None:
        """Release a permit. If threads are waiting, wake one of them."""
        self._free.put(None)


class Capacity:
    """A WSGI application that limits the number of simultaneous requests to ``application``."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._at_once = getattr(application, "at_once", lambda *_: None)
        self._slow = Permits(SLOW)
        self._inside = Permits(INSIDE)
        self._turns = Permits(RUNNING)
        # The most recently used connection is used next, so that few requests open few connections.
        self._idle = [connections.create_connection(DEFAULT_DB_ALIAS) for _ in range(RUNNING)]
        for connection in self._idle:
            connection.inc_thread_sharing()

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        if environ["PATH_INFO"] == LIVE:
            environ["wsgi.input"] = BytesIO()
            return _whole(self._application(environ, start))
        if (at_once := self._at_once(environ, start)) is not None:
            return at_once
        if not self._inside.acquire():
            return _refuse(environ, start, "too many requests")
        answer: Iterable[bytes] = []
        try:
            answer = self._answer(environ, start)
        finally:
            if isinstance(answer, list):
                self._inside.release()
        return answer

    def _answer(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        if not self._read(environ, _length(environ)):
            return _refuse(environ, start, "the body has not arrived")
        if not self._turns.acquire(PATIENCE):
            return _refuse(environ, start, "no turn in time")
        connections[DEFAULT_DB_ALIAS] = connection = self._idle.pop()
        try:
            answer = _whole(self._application(environ, start))
        finally:
            del connections[DEFAULT_DB_ALIAS]
            self._idle.append(connection)
            self._turns.release()
        if isinstance(answer, list):
            return answer
        # A client may take any time to receive a file.
        if not self._slow.acquire():
            _close(answer)
            return _refuse(environ, start, "too many slow clients")
        return _File(answer, self._slow, self._inside)

    def _read(self, environ: Environ, length: int) -> bool:
        """Read the body into memory; return whether it is complete.

        Also return False if too many clients are slow. The application reads only the copy in
        memory, so it never waits for a client.
        """
        if not length:
            environ["wsgi.input"] = BytesIO()
            return True
        if not self._slow.acquire():
            return False
        began = time.monotonic()
        try:
            body = environ["wsgi.input"].read(length)
        finally:
            self._slow.release()
        # For the doctor: behind a proxy that buffers bodies, the server does not wait for the body.
        environ["authsite.body_seconds"] = time.monotonic() - began
        environ["wsgi.input"] = BytesIO(body)
        return len(body) == length


class _File:
    """A file that is sent in parts. The permits ``held`` are released when it has been sent."""

    def __init__(self, parts: Iterable[bytes], *held: Permits) -> None:
        self._parts = parts
        self._held = held

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)

    def close(self) -> None:
        """Close the file and release the permits. The server calls this once (PEP 3333)."""
        try:
            _close(self._parts)
        finally:
            for permits in self._held:
                permits.release()


def _whole(answer: Iterable[bytes]) -> Iterable[bytes]:
    """Return a response that is not a file as a list, which the server sends without a thread.

    A response that is read from the database in parts does not count as a file. Otherwise a slow
    client would determine how long the read takes.
    """
    if isinstance(answer, list) or getattr(answer, "file_to_stream", None):
        return answer
    try:
        return [b"".join(answer)]
    finally:
        _close(answer)


def _close(answer: Iterable[bytes]) -> None:
    if close := getattr(answer, "close", None):
        close()


def _length(environ: Environ) -> int:
    """Return the number of bytes to read; 0 if the body is refused without reading it."""
    length = environ.get("CONTENT_LENGTH") or ""
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    is_number = length.isdecimal() and len(length) <= LONGEST_LENGTH
    return int(length) if is_number and int(length) <= most else 0


def _refuse(environ: Environ, start: Callable[..., Any], cause: str) -> list[bytes]:
    """Respond with status 503, and log the request with the cause."""
    from authsite import errors  # noqa: PLC0415 the plain server runs without models

    began = perf_counter()
    headers = own_headers() | {"Retry-After": "5", "Connection": "close"}
    log = _request_log()
    with log.identify(environ) as request_id:
        with translation.override(errors.language(environ.get("HTTP_ACCEPT_LANGUAGE", ""))):
            sentence = str(Busy.message)
        if environ["PATH_INFO"].startswith("/api/"):
            headers["Content-Type"] = "application/json"
            sentence = json.dumps(errors.error_body(sentence, errors.CODES[503]))
        body = sentence.encode()
        headers |= {"Content-Length": str(len(body)), "X-Request-ID": request_id}
        start("503 Service Unavailable", [*headers.items()])
        log.write(
            environ.get("REQUEST_METHOD"),
            environ["PATH_INFO"],
            route="",
            status=503,
            client_ip=behind_proxies(environ, settings.AUTHSITE.trusted_proxies)[0],
            began=began,
            cause=cause,
        )
    return [body]


@cache
def _request_log() -> RequestLog:
    return RequestLog()


def close_silent_connections(port: int) -> None:
    """Start a thread that closes connections to ``port`` on which nothing was sent for too long.

    Such a client sends its request too slowly, or does not read the response. On systems other than
    Linux, which do not report the last use of a connection, this does nothing.
    """
    if not DESCRIPTORS.is_dir():
        return

    def watch() -> None:
        while True:
            time.sleep(LOOK_EVERY_SECONDS)
            # Without a free file descriptor the folder cannot be read.
            with suppress(OSError):
                for link in DESCRIPTORS.iterdir():
                    if str(link.readlink()).startswith("socket:"):
                        _close_if_silent(int(link.name), port)

    threading.Thread(target=watch, name="silence", daemon=True).start()


def _close_if_silent(descriptor: int, port: int) -> None:
    """Close the descriptor's connection if nothing was sent on it for too long."""
    # The descriptor could become another connection meanwhile, but its duplicate cannot.
    duplicate = os.dup(descriptor)
    try:
        connection = socket.socket(fileno=duplicate)
        try:
            if _is_silent(connection, port):
                connection.shutdown(socket.SHUT_RDWR)
        finally:
            connection.detach()
    finally:
        os.close(duplicate)


def _is_silent(connection: socket.socket, port: int) -> bool:
    is_tcp = connection.family in {socket.AF_INET, socket.AF_INET6}
    if not is_tcp or connection.getsockname()[1] != port:
        return False
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO.size)
    state, last_data_sent = TCP_INFO.unpack(info)
    return bool(state == ESTABLISHED and last_data_sent > SILENT_SECONDS * 1000)
