"""Load: so many requests by so many connections that are kept, and what each took.

The generator is cheap, and its cost doesn't count: what the server uses is measured.
"""

import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """Status, header lines and body."""

    status: int
    head: bytes
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def cookies(self) -> dict[str, str]:
        """The cookies that it sets, by name."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        named = [line.partition(":") for line in lines]
        given = [value for name, _, value in named if name.lower() == "set-cookie"]
        pairs = (value.strip().partition(";")[0].partition("=") for value in given)
        return {name: value for name, _, value in pairs}


class Connection:
    """One connection to a port of the loopback, kept for all its requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._socket:
            self._socket.close()

    def ask(self, request: bytes) -> Answer:
        """The answer; by a new connection if the server has closed the former one."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), TIMEOUT_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        head, body = self._head()
        length = int(_header(head, b"content-length") or 0)
        while len(body) < length:
            body += self._more()
        if (_header(head, b"connection") or b"").lower() == b"close":
            self._socket.close()
            self._socket = None
        return Answer(int(head[9:12]), head, body)

    def _head(self) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        if _header(head, b"transfer-encoding"):
            raise OSError("no answer here is without its length")
        return head, body

    def _more(self) -> bytes:
        assert self._socket
        if not (data := self._socket.recv(65536)):
            raise OSError("the server has closed the connection in the midst of an answer")
        return data


def _header(head: bytes, name: bytes) -> bytes | None:
    place = head.lower().find(b"\r\n" + name + b":")
    return head[place:].split(b"\r\n", 2)[1].partition(b":")[2].strip() if place >= 0 else None


def request(
    method: str, path: str, headers: dict[str, str], body: dict[str, Any] | bytes | None = None
) -> bytes:
    """A request as it's sent; a dictionary as JSON."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body or b""
    kind = {"Content-Type": "application/json"} if isinstance(body, dict) else {}
    length = {"Content-Length": str(len(data))} if data else {}
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in (headers | kind | length).items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


@dataclass(frozen=True)
class Load:
    """What a connection asks, by its number and that of the request; what it makes of the answer;
    and the statuses that an answer may have."""

    ask: Callable[[int, int], bytes]
    hear: Callable[[int, Answer], None] = lambda _number, _answer: None
    status: tuple[int, ...] = (200,)


def drive(
    port: int, load: Load, *, connections: int, each: int, until: threading.Event | None = None
) -> list[float]:
    """The seconds that each request took; ``AssertionError`` for one answered otherwise.

    Each connection makes ``each`` requests, fewer if ``until`` is set before.
    """

    def run(number: int) -> list[float]:
        took: list[float] = []
        with Connection(port) as connection:
            for turn in range(each):
                if until and until.is_set():
                    break
                asked = load.ask(number, turn)
                begun = time.perf_counter()
                answer = connection.ask(asked)
                took.append(time.perf_counter() - begun)
                assert answer.status in load.status, (asked, answer)
                load.hear(number, answer)
        return took

    with ThreadPoolExecutor(max_workers=connections) as pool:
        return [took for part in pool.map(run, range(connections)) for took in part]
