"""Sends HTTP requests to other servers, with limits on time, size and IP addresses.

Redirects are not followed. All requests of a conversation with a provider run in one thread. At a
deadline, the caller stops waiting for the thread, and the connections are shut down. Nothing else
can limit how long a slow name server takes, or a response that arrives byte by byte.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from functools import cache
from threading import BoundedSemaphore, Timer
from typing import Any

import requests
import urllib3
from django.conf import settings
from requests.adapters import HTTPAdapter
from requests.certs import where
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

from accounts.common.client_info import is_public
from accounts.common.errors import Busy

# The deadline of a conversation in seconds. After that, a page says that the provider does not
# answer.
SECONDS = 4.5
# The timeout in seconds for a connection, and for each part of a response.
PATIENCE = 3
LONGEST_RESPONSE = 1_000_000
# The limits keep a provider that hangs from blocking all threads that serve requests, and from
# blocking the other providers.
MOST_AT_ONCE = 8
MOST_WITH_ONE = 4
# The group of servers of apps, whose URLs strangers may choose.
OF_APPS = "apps"
# The maximum number of conversations that wait for a free thread, and of seconds that each waits.
MOST_WAITING, WAIT = 4, 1.5
# After a provider has timed out, no requests are sent to it for this many seconds.
PAUSE = 3
# Strangers choose the servers of apps. So many pauses may be remembered before all are forgotten.
MOST_PAUSES = 1000

_slots = BoundedSemaphore(MOST_AT_ONCE)
_slots_of: dict[str, BoundedSemaphore] = {}
_waiting = BoundedSemaphore(MOST_WAITING)
_silent_until: dict[str, float] = {}
_threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="provider")


class Unreachable(Exception):
    """A server did not answer in time, or its response cannot be read."""


class TooLong(requests.ConnectionError):
    """The response is longer than allowed."""


@dataclass
class Conversation:
    """The limits and connections of the requests in one call of :func:`talk`.

    ``deadline``: a time of the monotonic clock.
    ``takes_private``: whether private IP addresses are allowed.
    ``saw_private``: whether a connection to a private IP address was made.
    ``longest_response``: the maximum length of a response in bytes.
    """

    deadline: float
    takes_private: bool = False
    longest_response: int = LONGEST_RESPONSE
    saw_private: bool = False
    sockets: list[socket.socket] = field(default_factory=list)

    def cut(self) -> None:
        """Shut all connections down, so that waiting reads fail."""
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()

    @property
    def left(self) -> float:
        """The seconds until the deadline.

        Raises:
            Unreachable: the deadline has passed.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Unreachable
        return left


_conversation: ContextVar[Conversation] = ContextVar("conversation")


def talk[T](
    provider: str,
    call: Callable[[], T],
    *,
    group: str = "",
    seconds: float | None = None,
    longest_response: int = LONGEST_RESPONSE,
) -> T:
    """Run ``call`` in a thread; return its result or raise its exception.

    ``call`` must make its requests with :func:`session`, and must not use the database.

    ``provider``: identifies the server to which ``call`` sends requests.
    ``group``: identifies servers that have the slots of one provider together.
    ``seconds``: the time until the deadline. ``longest_response``: the most bytes of a response.

    Raises:
        Unreachable: ``call`` took longer, or the provider timed out at most ``PAUSE`` seconds ago.
        Busy: too many conversations are running or waiting.
    """
    if time.monotonic() < _silent_until.get(provider, 0):
        raise Unreachable
    own = _slots_of.setdefault(group or provider, BoundedSemaphore(MOST_WITH_ONE))
    _take_both(own)
    deadline = time.monotonic() + (seconds or SECONDS)
    conversation = Conversation(deadline, longest_response=longest_response)
    context = copy_context()
    context.run(_conversation.set, conversation)
    future = _threads.submit(context.run, call)
    future.add_done_callback(lambda _future: conversation.close())
    future.add_done_callback(lambda _future: own.release())
    future.add_done_callback(lambda _future: _slots.release())
    try:
        return future.result(conversation.left)
    except (TimeoutError, requests.Timeout):
        conversation.cut()
        if len(_silent_until) >= MOST_PAUSES:
            _silent_until.clear()
        _silent_until[provider] = time.monotonic() + PAUSE
        raise Unreachable from None


@contextlib.contextmanager
def limited(
    seconds: float, longest_response: int, *, takes_private: bool = False
) -> Iterator[requests.Session]:
    """Return a context manager with a session whose requests are aborted after ``seconds``.

    Only a slow name server can make them take longer. The requests run in the caller's thread, so
    use this only in background threads. While a client waits, use :func:`talk`.

    ``longest_response``: the maximum length of a response in bytes.
    ``takes_private``: whether private IP addresses are allowed.
    """
    conversation = Conversation(time.monotonic() + seconds, takes_private, longest_response)
    timer = Timer(seconds, conversation.cut)
    timer.daemon = True
    before = _conversation.set(conversation)
    timer.start()
    try:
        yield session()
    finally:
        timer.cancel()
        _conversation.reset(before)
        conversation.close()


def _take_both(own: BoundedSemaphore) -> None:
    if not _take(own):
        raise Busy(1)
    if not _take(_slots):
        own.release()
        raise Busy(1)


def _take(slots: BoundedSemaphore) -> bool:
    """Acquire one of ``slots``; return whether this succeeded.

    If none is free, wait for a short time.
    """
    if slots.acquire(blocking=False):
        return True
    if not _waiting.acquire(blocking=False):
        return False
    try:
        return slots.acquire(timeout=WAIT)
    finally:
        _waiting.release()


@contextlib.contextmanager
def taking_private() -> Iterator[Conversation]:
    """Return a context manager in which requests may go to private IP addresses.

    Use it only for servers that the operator has configured.
    """
    conversation = _conversation.get()
    before, conversation.takes_private = conversation.takes_private, True
    conversation.saw_private = False
    try:
        yield conversation
    finally:
        conversation.takes_private = before


def session() -> requests.Session:
    """Return a ``requests.Session`` that applies the limits of the current conversation."""
    made = requests.Session()
    made.trust_env = False  # no proxies of the environment, and no passwords of ``.netrc``
    made.mount("https://", _Adapter())
    made.mount("http://", _Adapter())
    made.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
    return made


def _addresses(host: str, port: int) -> list[tuple[Any, ...]]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class _Connection:
    """A connection that looks up the host name once, and connects only to a checked IP address.

    A second lookup could return another IP address that was not checked (DNS rebinding).
    """

    host: str
    port: int

    # Overrides a private method, because urllib3 has no public hook between the name lookup and the
    # connection.
    def _new_conn(self) -> socket.socket:
        conversation = _conversation.get()
        problem: Exception | str = "no address that may be reached"
        try:
            found = _addresses(self.host.strip("[]"), self.port)
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, str(error)) from error  # type: ignore[arg-type]  # every subclass is a connection
        for family, kind, protocol, _name, address in found:
            is_private = not is_public(address[0])
            if is_private and not conversation.takes_private:
                continue
            left = min(PATIENCE, conversation.left)
            sock = socket.socket(family, kind, protocol)
            # A duplicate, because TLS detaches the original socket.
            conversation.sockets.append(sock.dup())
            try:
                sock.settimeout(left)
                sock.connect(address)
                # Note the address of this connection only. A host name with a public and a private
                # address must not make its public server count as private.
                conversation.saw_private |= is_private
                return sock
            except OSError as error:
                sock.close()
                problem = error
        raise NewConnectionError(self, str(problem))  # type: ignore[arg-type]  # every subclass is a connection


class _HTTPConnection(_Connection, urllib3.connection.HTTPConnection):
    pass


class _HTTPSConnection(_Connection, urllib3.connection.HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


@cache
def _tls(authorities: str) -> ssl.SSLContext:
    # Reading the file of certificates for each connection would make a request six times as slow.
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(authorities)
    return context


class _Adapter(HTTPAdapter):
    """Ends a request at the deadline of its conversation, and refuses oversized responses."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        context = _tls(settings.AUTHSITE.ca_file or where())
        super().init_poolmanager(*args, ssl_context=context, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def cert_verify(self, conn: Any, *_args: Any) -> None:
        # The parent's method would read the certificates again.
        conn.cert_reqs = "CERT_REQUIRED"

    def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
        conversation = _conversation.get()
        left, longest = min(PATIENCE, conversation.left), conversation.longest_response
        response = super().send(request, *args, **{**options, "stream": True, "timeout": left})
        with contextlib.closing(response):
            # A redirect would send codes and secrets to another server.
            if response.is_redirect:
                raise requests.TooManyRedirects("redirected", response=response)
            try:
                body = response.raw.read(longest + 1, decode_content=True)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise requests.ConnectionError(str(error)) from error
        if len(body) > longest:
            raise TooLong
        response._content = body
        return response
