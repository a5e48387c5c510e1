"""Talking to other servers: bounded in time and size, to public addresses, never redirected.

A conversation runs in a thread of its own, since nothing else bounds a name server that is slow or
an answer that comes byte by byte; when its time is over its connections are cut.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from threading import BoundedSemaphore
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from accounts.common.errors import Busy

# What a person waits at most until a page says that a provider doesn't answer; ours comes on top.
SECONDS = 4.5
# Until it accepts a connection, and between two parts of an answer.
PATIENCE = 3
LONGEST_ANSWER = 1_000_000
# A provider that hangs must hold neither all the threads that serve people nor the other providers.
MOST_AT_ONCE = 8
MOST_WITH_ONE = 4
# A few more wait for that many seconds until one is through.
MOST_WAITING, WAIT = 4, 1.5
# Seconds for which one that hasn't answered isn't asked again.
PAUSE = 3
# Addresses of the other kind that an IPv6 address leads to (RFC 6052).
NAT64 = IPv6Network("64:ff9b::/96")
# All that is given out; the rest holds IPv4 addresses in forms that are out of use (RFC 4291).
GIVEN_OUT = IPv6Network("2000::/3")

_slots = BoundedSemaphore(MOST_AT_ONCE)
_slots_of: dict[str, BoundedSemaphore] = {}
_waiting = BoundedSemaphore(MOST_WAITING)
_silent_until: dict[str, float] = {}
_threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="provider")


class Unreachable(Exception):
    """It didn't answer in time, or not with anything that can be read."""


@dataclass
class Conversation:
    """``deadline`` by the monotonic clock; whether private addresses are allowed, and answered."""

    deadline: float
    takes_private: bool = False
    saw_private: bool = False
    sockets: list[socket.socket] = field(default_factory=list)

    def cut(self) -> None:
        """Let whatever still waits for an answer fail."""
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """It's over."""
        for sock in self.sockets:
            sock.close()

    @property
    def left(self) -> float:
        """Seconds; :class:`Unreachable` when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Unreachable
        return left


_conversation: ContextVar[Conversation] = ContextVar("conversation")


def talk[T](provider: str, call: Callable[[], T]) -> T:
    """What ``call`` returns; :class:`Unreachable` after ``SECONDS``, or what ``call`` raises.

    :class:`Busy` when too many wait already. ``call`` must not use the database.
    """
    if time.monotonic() < _silent_until.get(provider, 0):
        raise Unreachable
    conversation = Conversation(time.monotonic() + SECONDS)
    own = _slots_of.setdefault(provider, BoundedSemaphore(MOST_WITH_ONE))
    if not _take(own):
        raise Busy(1)
    if not _take(_slots):
        own.release()
        raise Busy(1)
    context = copy_context()
    context.run(_conversation.set, conversation)
    future = _threads.submit(context.run, call)
    future.add_done_callback(lambda _future: conversation.close())
    future.add_done_callback(lambda _future: own.release())
    future.add_done_callback(lambda _future: _slots.release())
    try:
        return future.result(conversation.left)
    except TimeoutError:
        conversation.cut()
        _silent_until[provider] = time.monotonic() + PAUSE
        raise Unreachable from None
    except requests.Timeout:
        _silent_until[provider] = time.monotonic() + PAUSE
        raise


def _take(slots: BoundedSemaphore) -> bool:
    """Whether there is one, now or soon; not too many wait for it."""
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
    """Private addresses are allowed within: for what the operator has named."""
    conversation = _conversation.get()
    before, conversation.takes_private = conversation.takes_private, True
    conversation.saw_private = False
    try:
        yield conversation
    finally:
        conversation.takes_private = before


def session() -> requests.Session:
    """A session for requests of the conversation that runs."""
    made = requests.Session()
    # No proxies, and no passwords of a .netrc, by accident.
    made.trust_env = False
    made.mount("https://", _Adapter())
    made.mount("http://", _Adapter())
    made.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
    return made


def is_public(address: str) -> bool:
    """Whether it's one of the open internet, also when written as one of the other kind."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            inner = IPv4Address(ip.packed[-4:])
        if inner:
            return is_public(str(inner))
        if ip not in GIVEN_OUT:
            return False
    return ip.is_global and not ip.is_multicast


def _addresses(host: str, port: int) -> list[tuple[Any, ...]]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class _Connection:
    """A connection to the very address that was judged: a name could lead elsewhere the next time
    it's looked up (DNS rebinding)."""

    host: str
    port: int

    # Internal, since urllib3 has no other place between the name and the address.
    def _new_conn(self) -> socket.socket:
        conversation = _conversation.get()
        problem: Exception | str = "no address that may be reached"
        try:
            found = _addresses(self.host.strip("[]"), self.port)
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, str(error)) from error  # type: ignore[arg-type]
        for family, kind, protocol, _name, address in found:
            is_private = not is_public(address[0])
            if is_private and not conversation.takes_private:
                continue
            left = min(PATIENCE, conversation.left)
            sock = socket.socket(family, kind, protocol)
            # Another hold on the connection: TLS takes this one away.
            conversation.sockets.append(sock.dup())
            try:
                sock.settimeout(left)
                sock.connect(address)
                # Only the one that answers: a name may have others beside it, to seem private.
                conversation.saw_private |= is_private
                return sock
            except OSError as error:
                sock.close()
                problem = error
        raise NewConnectionError(self, str(problem))  # type: ignore[arg-type]


class _HTTPConnection(_Connection, urllib3.connection.HTTPConnection):
    pass


class _HTTPSConnection(_Connection, urllib3.connection.HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class _Adapter(HTTPAdapter):
    """Requests within what is left of the conversation, and answers that are read whole or not."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
        left = min(PATIENCE, _conversation.get().left)
        response = super().send(request, *args, **{**options, "stream": True, "timeout": left})
        with contextlib.closing(response):
            # A redirect would carry codes and secrets to wherever it leads.
            if response.is_redirect:
                raise requests.TooManyRedirects("redirected", response=response)
            try:
                body = response.raw.read(LONGEST_ANSWER + 1, decode_content=True)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise requests.ConnectionError(str(error)) from error
        if len(body) > LONGEST_ANSWER:
            raise requests.ConnectionError("too long")
        response._content = body
        return response
