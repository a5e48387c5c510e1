"""The loads: what is asked, of this site and of its yardstick alike."""

from dataclasses import replace
from urllib.parse import urlencode

from tests.bench.load import Answer, Load
from tests.bench.servers import HOST, LOGIN, PASSWORD, PEOPLE, Server


def calls(server: Server) -> Load:
    """Who one is, of all people in turn."""
    asked = [server.who(server.tokens(number)["access"]) for number in range(PEOPLE)]
    return Load(lambda number, turn: asked[(number + turn) % PEOPLE])


def logins(server: Server) -> Load:
    """Sign-ins by password over the API, of all people in turn."""
    return Load(lambda number, turn: server.log_in(7 * number + turn))


def storm(server: Server) -> Load:
    """The same by more than the site hashes for at once: some are told to come back."""
    return replace(logins(server), status=(200, 429))


def page(server: Server) -> Load:
    """The sign-in page, to a stranger."""
    asked = server.get(LOGIN)
    return Load(lambda _number, _turn: asked)


def forms(server: Server) -> Load:
    """Sign-ins on the page, each person in a browser that has signed in there before."""
    asked = [_form(server, number) for number in range(PEOPLE)]
    return Load(lambda number, turn: asked[(7 * number + turn) % PEOPLE], status=(302,))


def chains(server: Server) -> Load:
    """Each connection renews tokens of its own, on and on."""
    newest: dict[int, str] = {}

    def ask(number: int, _turn: int) -> bytes:
        if number not in newest:
            newest[number] = server.tokens(number)["refresh"]
        return server.renew(newest[number])

    def hear(number: int, answer: Answer) -> None:
        newest[number] = answer.json()["refresh"]

    return Load(ask, hear)


def strangers(asked: list[bytes]) -> Load:
    """Each request is made once and by somebody else."""
    left = iter(asked)
    return Load(lambda _number, _turn: next(left))


def _form(server: Server, number: int) -> bytes:
    csrf, known = "__Host-csrftoken", "__Host-known"
    token = server.ask(server.get(LOGIN)).cookies()[csrf]
    fields = {"login": f"person{number}", "password": PASSWORD, "csrfmiddlewaretoken": token}

    def form(**cookies: str) -> bytes:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "Origin": f"https://{HOST}",
            "Referer": f"https://{HOST}{LOGIN}",
        }
        return server.post(LOGIN, urlencode(fields).encode(), **headers)

    answer = server.ask(form(**{csrf: token}))
    assert answer.status == 302, answer
    return form(**{csrf: token, known: answer.cookies()[known]})
