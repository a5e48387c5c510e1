"""The requests that are sent to this site and to its yardstick, and how long each took.

The cost of sending them does not count: the processor time of the server is measured.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlencode

from tests.bench.servers import HOST, LOGIN, PASSWORD, PEOPLE, Request, Server
from tests.support.client import Response


@dataclass(frozen=True)
class Load:
    """The requests of each connection.

    `ask` makes a request from the numbers of the connection and of the request, `hear` gets the
    answer, and `status` holds the allowed statuses.
    """

    ask: Callable[[int, int], Request]
    hear: Callable[[int, Response], None] = lambda _number, _answer: None
    status: tuple[int, ...] = (200,)


def drive(
    server: Server, load: Load, *, connections: int, each: int, until: threading.Event | None = None
) -> list[float]:
    """Return the seconds that each request took; raise `AssertionError` for a wrong status.

    Each connection makes `each` requests, fewer if `until` is set before.
    """

    def run(number: int) -> list[float]:
        took: list[float] = []
        with closing(server.connection()) as connection:
            for turn in range(each):
                if until and until.is_set():
                    break
                asked = load.ask(number, turn)
                begun = time.perf_counter()
                answer = server.ask(asked, connection)
                took.append(time.perf_counter() - begun)
                assert answer.status in load.status, (asked, answer)
                load.hear(number, answer)
        return took

    with ThreadPoolExecutor(max_workers=connections) as pool:
        return [took for part in pool.map(run, range(connections)) for took in part]


def calls(server: Server) -> Load:
    """Return `GET me/` calls, for all people in turn."""
    asked = [server.who(server.tokens(number)["access"]) for number in range(PEOPLE)]
    return Load(lambda number, turn: asked[(number + turn) % PEOPLE])


def logins(server: Server) -> Load:
    """Return sign-ins by password over the API, for all people in turn."""
    return Load(lambda number, turn: server.log_in(7 * number + turn))


def page(server: Server) -> Load:
    return Load(lambda _number, _turn: server.get(LOGIN))


def forms(server: Server) -> Load:
    """Return sign-ins on the page, for each person in a known browser."""
    asked = [_form(server, number) for number in range(PEOPLE)]
    return Load(lambda number, turn: asked[(7 * number + turn) % PEOPLE], status=(302,))


def chains(server: Server) -> Load:
    """Return refreshes, in which each connection renews its own tokens again and again."""
    newest: dict[int, str] = {}

    def ask(number: int, _turn: int) -> Request:
        if number not in newest:
            newest[number] = server.tokens(number)["refresh"]
        return server.renew(newest[number])

    def hear(number: int, answer: Response) -> None:
        newest[number] = answer.json()["refresh"]

    return Load(ask, hear)


def each_once(asked: list[Request]) -> Load:
    left = iter(asked)
    return Load(lambda _number, _turn: next(left))


def _form(server: Server, number: int) -> Request:
    def form(cookies: dict[str, str]) -> Request:
        person = {"login": f"person{number}", "password": PASSWORD}
        fields = person | {"csrfmiddlewaretoken": cookies["__Host-csrftoken"]}
        cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        headers = {"Cookie": cookie, "Origin": f"https://{HOST}", "Referer": f"https://{HOST}"}
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return Request("POST", LOGIN, urlencode(fields).encode(), server.headers | headers | kind)

    cookies = {name: m.value for name, m in server.ask(server.get(LOGIN)).cookies.items()}
    answer = server.ask(form(cookies))
    assert answer.status == 302, answer
    return form(cookies | {"__Host-known": answer.cookies["__Host-known"].value})
