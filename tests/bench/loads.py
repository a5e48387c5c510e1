"""The loads: what is asked, of this site and of its yardstick alike."""

from dataclasses import replace
from urllib.parse import urlencode

from tests.bench.load import Load, Request
from tests.bench.servers import HOST, LOGIN, PASSWORD, PEOPLE, Server
from tests.support.client import Response


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
    return Load(lambda _number, _turn: server.get(LOGIN))


def forms(server: Server) -> Load:
    """Sign-ins on the page, each person in a browser that has signed in there before."""
    asked = [_form(server, number) for number in range(PEOPLE)]
    return Load(lambda number, turn: asked[(7 * number + turn) % PEOPLE], status=(302,))


def chains(server: Server) -> Load:
    """Each connection renews tokens of its own, on and on."""
    newest: dict[int, str] = {}

    def ask(number: int, _turn: int) -> Request:
        if number not in newest:
            newest[number] = server.tokens(number)["refresh"]
        return server.renew(newest[number])

    def hear(number: int, answer: Response) -> None:
        newest[number] = answer.json()["refresh"]

    return Load(ask, hear)


def strangers(asked: list[Request]) -> Load:
    """Each request is made once and by another person."""
    left = iter(asked)
    return Load(lambda _number, _turn: next(left))


def _form(server: Server, number: int) -> Request:
    def form(cookies: dict[str, str]) -> Request:
        person = {"login": f"person{number}", "password": PASSWORD}
        fields = person | {"csrfmiddlewaretoken": cookies["__Host-csrftoken"]}
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "Origin": f"https://{HOST}",
            "Referer": f"https://{HOST}{LOGIN}",
        }
        return Request("POST", LOGIN, urlencode(fields).encode(), server.headers | headers)

    cookies = {name: m.value for name, m in server.ask(server.get(LOGIN)).cookies.items()}
    answer = server.ask(form(cookies))
    assert answer.status == 302, answer
    return form(cookies | {"__Host-known": answer.cookies["__Host-known"].value})
