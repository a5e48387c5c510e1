"""Load: a number of requests on each of a number of kept connections, and what each took.

The cost of the generator does not count: what the server uses is measured.
"""

import http.client
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.support.client import TIMEOUT_SECONDS, Response


class Request(NamedTuple):
    """A request, in the order of the arguments of `HTTPConnection.request`."""

    method: str
    path: str
    body: bytes | None
    headers: dict[str, str]


def posted(path: str, body: dict[str, Any], headers: dict[str, str]) -> Request:
    """Return a request with a body of JSON."""
    kind = {"Content-Type": "application/json"}
    return Request("POST", path, json.dumps(body).encode(), headers | kind)


class Connection(http.client.HTTPConnection):
    """A connection to a port of the loopback, kept for as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port, timeout=TIMEOUT_SECONDS)

    def ask(self, asked: Request) -> Response:
        """Return the answer."""
        self.request(*asked)
        answer = self.getresponse()
        return Response(asked.path, answer.status, answer.headers, answer.read())


@dataclass(frozen=True)
class Load:
    """The requests of each connection.

    `ask` makes one by the numbers of the connection and of the request, `hear` gets the answer, and
    `status` has the statuses that an answer may have.
    """

    ask: Callable[[int, int], Request]
    hear: Callable[[int, Response], None] = lambda _number, _answer: None
    status: tuple[int, ...] = (200,)


def drive(
    port: int, load: Load, *, connections: int, each: int, until: threading.Event | None = None
) -> list[float]:
    """Return the seconds that each request took; raise `AssertionError` for a wrong status.

    Each connection makes `each` requests, fewer if `until` is set before.
    """

    def run(number: int) -> list[float]:
        took: list[float] = []
        connection = Connection(port)
        for turn in range(each):
            if until and until.is_set():
                break
            asked = load.ask(number, turn)
            begun = time.perf_counter()
            answer = connection.ask(asked)
            took.append(time.perf_counter() - begun)
            assert answer.status in load.status, (asked, answer)
            load.hear(number, answer)
        connection.close()
        return took

    with ThreadPoolExecutor(max_workers=connections) as pool:
        return [took for part in pool.map(run, range(connections)) for took in part]
