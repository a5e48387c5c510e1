"""Steps that the tests of trusted browsers share."""

from http.cookies import Morsel
from typing import Any

from django.test import Client

from tests.support.second_factor import CHALLENGE, unused_code
from tests.support.steps import PASSWORD, is_signed_in, sign_in

TRUSTED = "/accounts/2fa/trusted/"
COOKIE = "trusted"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1"
)


def browser(agent: str = FIREFOX) -> Client:
    return Client(headers={"user-agent": agent})


def trusting_browser(user: Any, agent: str = FIREFOX) -> Client:
    """Return a browser in which ``user`` has signed in and ticked the box to trust it."""
    here = browser(agent)
    assert sign_in(here, user.username).url == CHALLENGE
    here.post(CHALLENGE, {"code": unused_code(user), "trust": "on"})
    assert is_signed_in(here)
    assert COOKIE in here.cookies
    return here


def cookie_of(here: Client) -> Morsel[str]:
    return here.cookies[COOKIE]


def with_cookie(value: str, agent: str = FIREFOX) -> Client:
    """Return a browser with this value in its cookie and no other cookies."""
    other = browser(agent)
    other.cookies[COOKIE] = value
    return other


def needs_second_step(here: Client, login: str = "alice", password: str = PASSWORD) -> bool:
    """Return whether the second step is required after the password."""
    here.cookies.pop("sessionid", None)
    answer = sign_in(here, login, password)
    assert answer.status_code == 302
    assert is_signed_in(here) is (answer.url != CHALLENGE)
    return bool(answer.url == CHALLENGE)
