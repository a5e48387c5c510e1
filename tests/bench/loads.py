"""The requests that are sent to this site and to its yardsticks, and how long each took.

The cost of sending them does not count: the processor time of the server is measured.
"""

import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count, cycle, islice
from urllib.parse import urlencode

from tests.bench.servers import (
    LOGIN,
    PASSWORD,
    PEOPLE,
    VISITOR,
    WIKI,
    Answer,
    Request,
    Server,
    Tokens,
    exchange,
)

# A prime, so that neighbouring requests and sessions belong to distant people.
STRIDE = 7_919
SIGNUP = "/accounts/signup/"
SESSIONS, TWO_STEP = "/accounts/sessions/", "/accounts/2fa/"
# How many sessions a person may have in the row about that limit.
FEW_SESSIONS = 20
CODE = re.compile(rb"(?i)location:[^\r]*[?&]code=([\w-]+)")
# So many sessions are on the page of sessions.
BROWSERS = 3


@dataclass(frozen=True)
class Load:
    """Requests to send, the allowed statuses of the answers, and a function that gets the answers.

    Several threads take requests from the iterator, so it must not be a generator.
    """

    requests: Iterator[bytes]
    status: tuple[int, ...] = (200,)
    hear: Callable[[Answer], None] = lambda _answer: None


def drive(server: Server, load: Load, *, seconds: float, connections: int) -> list[float]:
    """Send requests over some connections, at least one over each, and return how long each took.

    `seconds` is the time after which no further request is sent.

    Raises:
        AssertionError: an answer has a wrong status.
    """
    over = time.perf_counter() + seconds

    def run(_connection: int) -> list[float]:
        took: list[float] = []
        with server.connect() as connection:
            while (begun := time.perf_counter()) < over or not took:
                asked = next(load.requests, None)
                if asked is None:
                    break
                answer = exchange(connection, asked)
                took.append(time.perf_counter() - begun)
                assert answer.status in load.status, (server.name, asked, answer)
                load.hear(answer)
        return took

    with ThreadPoolExecutor(connections) as pool:
        return [took for part in pool.map(run, range(connections)) for took in part]


def again(asked: list[Request], status: int = 200) -> Load:
    """Return a load that sends the same requests again and again."""
    return Load(cycle([request.wire for request in asked]), (status,))


def calls(server: Server, tokens: Sequence[Tokens] = ()) -> Load:
    """Return `GET me/` by access tokens."""
    return again([server.me(f"Bearer {t.access}") for t in tokens or server.tokens()])


def calls_by_key(server: Server) -> Load:
    return again([server.me(server.key)])


def logins(server: Server, people: int = PEOPLE) -> Load:
    """Return sign-ins by password over the API, of all people in turn."""

    def log_in(number: int) -> bytes:
        return server.log_in(STRIDE * number % people).wire

    return Load(map(log_in, count()))


def failed(server: Server) -> Load:
    return again([server.log_in(n, "a wrong password") for n in range(PEOPLE)], 401)


def refused(server: Server) -> Load:
    """Return sign-ins beyond the limit for wrong passwords."""
    wrong = server.log_in(0, "a wrong password")
    assert any(server.ask(wrong).status == 429 for _ in range(1_000))
    return again([wrong], 429)


def refreshes(server: Server, tokens: Sequence[Tokens] = ()) -> Load:
    """Return refreshes, each with a refresh token that the answer to an earlier one contains."""
    return _renewals([pair.refresh for pair in tokens or server.tokens()], server.renew)


def app_refreshes(server: Server) -> Load:
    """Return refreshes of an app, each with the refresh token that an earlier answer contains."""
    app = server.app
    assert app, f"{server.name} is no OpenID Provider"
    return _renewals(app.tokens, partial(app.renew, server))


def _renewals(tokens: Sequence[str], asked: Callable[[str], Request]) -> Load:
    unused = deque(tokens)

    def renew(_number: int) -> bytes:
        return asked(unused.popleft()).wire

    def hear(answer: Answer) -> None:
        told = json.loads(answer.body)
        unused.append(told.get("refresh") or told["refresh_token"])

    return Load(map(renew, count()), hear=hear)


def jwks(server: Server) -> Load:
    return again([server.get(server.jwks_path)])


def checks(server: Server) -> Load:
    """Return what a proxy asks about the requests of some people to an app."""
    asked = {"X-Forwarded-Host": WIKI, "X-Forwarded-Uri": "/", "X-Forwarded-Method": "GET"}
    return again([server.get("/auth/forward", Cookie=held, **asked) for held in server.of_wiki])


def login_page(server: Server) -> Load:
    return again([server.get(server.login_path)])


def signups(server: Server) -> Load:
    """Return sign-ups on the page, each with a name of its own."""
    cookies = _cookies(server, SIGNUP)

    def sign_up(number: int) -> bytes:
        name = f"newcomer{number}"
        person = {"username": name, "email": f"{name}@example.org"}
        fields = person | {"password1": PASSWORD, "password2": PASSWORD}
        return _form(server, SIGNUP, cookies, **fields).wire

    return Load(map(sign_up, count()), (302,))


def signed_in(server: Server, path: str) -> Load:
    """Return views of a page of a person who is signed in in a few browsers."""
    for _ in range(BROWSERS):
        cookie = _signed_in(server)
    return again([server.get(path, Cookie=cookie)])


def session_pages(server: Server) -> Load:
    """Return views of the page that lists one's sessions."""
    return signed_in(server, SESSIONS)


def staff_pages(server: Server) -> Load:
    """Return views of the page of staff about a person."""
    path, cookie = server.of_staff
    return again([server.get(path, Cookie=cookie)])


def first_logins(server: Server) -> Load:
    """Return the logins after which a person has as many sessions as allowed."""
    return Load(islice(logins(server, 1).requests, FEW_SESSIONS))


def app_sign_ins(server: Server) -> Load:
    """Return sign-ins of one person to an app that needs no consent.

    Half of the requests are authorization requests from the browser, and half are exchanges of the
    codes for tokens.
    """
    app, unused = server.app, deque[str]()
    assert app, f"{server.name} is no OpenID Provider"
    begin = server.get(app.authorize, Cookie=app.cookie or _signed_in(server)).wire

    def ask(_number: int) -> bytes:
        try:
            return app.redeem(server, unused.popleft()).wire
        except IndexError:
            return begin

    def hear(answer: Answer) -> None:
        if answer.status == 303:
            code = CODE.search(answer.head)
            assert code, "the person is no longer signed in"
            unused.append(code[1].decode())

    return Load(map(ask, count()), (200, 303), hear)


def _signed_in(server: Server) -> str:
    """Sign a person in to the pages; return the header with the cookies."""
    cookies = _cookies(server, LOGIN)
    asked = _form(server, LOGIN, cookies, login=f"person{VISITOR}", password=PASSWORD)
    answer = server.ask(asked)
    assert answer.status == 302, answer
    cookies |= {name: morsel.value for name, morsel in answer.cookies.items()}
    # allauth's greeting, which only the first page after signing in shows.
    cookies.pop("messages", None)
    return _written(cookies)


def _cookies(server: Server, path: str) -> dict[str, str]:
    answer = server.ask(server.get(path))
    return {name: morsel.value for name, morsel in answer.cookies.items()}


def _form(server: Server, path: str, cookies: dict[str, str], **fields: str) -> Request:
    """Return a form with its CSRF token, which is the value of a cookie."""
    (token,) = (value for name, value in cookies.items() if name.endswith("csrftoken"))
    proxied = server.headers.get("X-Forwarded-Proto", "http")
    origin = f"{proxied}://{server.headers['Host']}"
    headers = server.headers | {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": _written(cookies),
        "Origin": origin,
        "Referer": origin + path,
    }
    body = urlencode(fields | {"csrfmiddlewaretoken": token}).encode()
    return Request("POST", path, body, headers)


def _written(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
