"""Limits what clients can hold of a worker, so that slow or many clients do not stop it.

The server program has a thread for each request that has arrived, and no time limit for the body of
a request or for a client that does not read the answer. Therefore:

- Only ``RUNNING`` threads, and ``OTHERS`` that take requests from further threads, run requests. A
  request waits for its turn at most ``PATIENCE`` seconds.
- A request runs once its body has arrived. At most ``SLOW`` requests send a body or receive a file.
- At most ``INSIDE`` requests wait, run or are slow. More are refused with 503.
- A connection on which the server has sent nothing for ``SILENT_SECONDS`` is closed.

The check that the process lives needs no turn, so that it is answered even if all others wait.
"""

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any

from django.conf import settings

from accounts.common.client_ip import behind_proxies
from authsite.serving import answers
from authsite.serving.access_log import RequestLog

# So many threads of the server run requests themselves. Argon2 releases the interpreter lock while
# it hashes, and the number of hashes is limited: pages stay fast while many people sign in.
RUNNING = 40
# Further threads pass their requests on to these. Each thread that runs requests keeps a database
# connection, and in a flood there are more threads than the database server allows connections.
OTHERS = 8
SLOW = 384
INSIDE = 496
# A few more than INSIDE: they refuse requests and answer health checks.
THREADS = 512
PATIENCE = 10.0
# Longer than any answer takes. The proxies in ``deploy/`` give up after the same time.
SILENT_SECONDS = 30

LIVE = "/health/live"
# Linux lists the open files of this process here, by their descriptors.
DESCRIPTORS = Path("/proc/self/fd")
# ``tcpi_state`` and ``tcpi_last_data_sent``, in milliseconds, in Linux's ``struct tcp_info``.
TCP_INFO = struct.Struct("=B 7x 36x I")
ESTABLISHED = 1

type Environ = dict[str, Any]
type Application = Callable[..., Iterable[bytes]]


class Capacity:
    """A WSGI application that limits how many requests reach ``application`` at once."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._slow = threading.Semaphore(SLOW)
        self._inside = threading.Semaphore(INSIDE)
        self._permits = _Permits(RUNNING)
        self._others = ThreadPoolExecutor(OTHERS, "turn")

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        if environ["PATH_INFO"] == LIVE:
            return _whole(self._application(environ, start))
        with ExitStack() as held:
            if not _hold(self._inside, held):
                return _refuse(environ, start, "too many requests")
            answer = self._answer(environ, start)
            if isinstance(answer, list):
                return answer
            # A client can take as long as it likes to receive a file.
            if not _hold(self._slow, held):
                _close(answer)
                return _refuse(environ, start, "too many slow clients")
            return _File(answer, held.pop_all())

    def _answer(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        if (length := _length(environ)) and not self._read(environ, length):
            return _refuse(environ, start, "the body has not arrived")
        if self._permits.take():
            return self._run(environ, start)
        turn = self._others.submit(self._run, environ, start)
        try:
            return turn.result(PATIENCE)
        except TimeoutError:
            if not turn.cancel():
                return turn.result()
            return _refuse(environ, start, "no turn in time")

    def _run(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        return _whole(self._application(environ, start))

    def _read(self, environ: Environ, length: int) -> bool:
        """Read the body, and return whether it was possible and the body is complete."""
        with ExitStack() as held:
            if not _hold(self._slow, held):
                return False
            began = time.monotonic()
            body = environ["wsgi.input"].read(length)
        # The doctor asks for it: behind a proxy that buffers bodies, the server does not wait.
        environ["authsite.body_seconds"] = time.monotonic() - began
        environ["wsgi.input"] = BytesIO(body)
        return len(body) == length


class _Permits:
    """Permits of threads to run requests themselves. A thread that ends returns its permit."""

    def __init__(self, number: int) -> None:
        self._left = threading.Semaphore(number)
        self._of_thread = threading.local()

    def take(self) -> bool:
        """Return whether the current thread has a permit; take one if any is left."""
        if not hasattr(self._of_thread, "permit") and self._left.acquire(blocking=False):
            self._of_thread.permit = _Permit(self._left)
        return hasattr(self._of_thread, "permit")


class _Permit:
    def __init__(self, left: threading.Semaphore) -> None:
        self._left = left

    def __del__(self) -> None:
        self._left.release()


class _File:
    """A file that is sent in parts, and what the request holds until the file is sent."""

    def __init__(self, parts: Iterable[bytes], held: ExitStack) -> None:
        self._parts = parts
        self._held = held

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)

    def close(self) -> None:
        """Release what the request holds. The server calls this once, at the end (PEP 3333)."""
        with self._held:
            _close(self._parts)


def _hold(permits: threading.Semaphore, held: ExitStack) -> bool:
    """Take a permit until ``held`` is closed, and return whether one was left."""
    if not permits.acquire(blocking=False):
        return False
    held.callback(permits.release)
    return True


def _whole(answer: Iterable[bytes]) -> Iterable[bytes]:
    """Return the answer as a list, which the server sends without a thread, unless it is a file."""
    if isinstance(answer, list) or getattr(answer, "streaming", False):
        return answer
    try:
        return [b"".join(answer)]
    finally:
        _close(answer)


def _close(answer: Iterable[bytes]) -> None:
    if close := getattr(answer, "close", None):
        close()


def _length(environ: Environ) -> int:
    """Return the number of bytes to read, or 0 if the body is refused without reading it."""
    length = environ.get("CONTENT_LENGTH") or ""
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    is_short = length.isdecimal() and len(length) <= len(str(most))
    return int(length) if is_short and int(length) <= most else 0


def _refuse(environ: Environ, start: Callable[..., Any], cause: str) -> list[bytes]:
    """Answer 503, and log the request with the cause."""
    began, detail = perf_counter(), "The site is busy. Please try again."
    headers = answers.headers() | {"Retry-After": "5", "Connection": "close"}
    if environ["PATH_INFO"].startswith("/api/"):
        headers["Content-Type"] = "application/json"
        detail = json.dumps({"detail": detail, "code": "unavailable"})
    body = detail.encode()
    log = _request_log()
    with log.identify(environ) as request_id:
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

    Such a client sends its request too slowly, or does not read the answer. Only Linux tells when
    a connection was last used; elsewhere the function does nothing.
    """
    if not DESCRIPTORS.is_dir():
        return

    def watch() -> None:
        while True:
            time.sleep(1)
            # Without a free file descriptor the folder cannot be read.
            with suppress(OSError):
                for link in DESCRIPTORS.iterdir():
                    if str(link.readlink()).startswith("socket:"):
                        _close_if_silent(int(link.name), port)

    threading.Thread(target=watch, name="silence", daemon=True).start()


def _close_if_silent(descriptor: int, port: int) -> None:
    """Close the descriptor's connection if nothing was sent on it for too long."""
    # Unlike the descriptor, its duplicate cannot become another connection meanwhile.
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
