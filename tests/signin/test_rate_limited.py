"""The page of a rate-limited sign-in says when and how to go on, and reveals nothing else."""

import pytest
from django.test import Client

from accounts.throttle.limits import LOGIN_SUBSCRIBER, MAIL_SUBSCRIBER, UNGUESSABLE
from tests.support.clock import Clock
from tests.support.steps import (
    CODE,
    LOGIN,
    PASSWORD,
    SIGNUP,
    WRONG,
    make_user,
    outbox,
    sign_in,
    sign_up,
    without_nonces,
)

pytestmark = pytest.mark.django_db

RESET = "/accounts/password/reset/"
WAYS = {
    "passkey": "Sign in with a passkey",
    "code": "Email me a code to sign in",
    "reset": "Reset your password by email",
}


def refused(browser: Client, login: str = "alice", **more: str) -> str:
    """Use up the budget of this client with wrong passwords, and return the next page."""
    for _ in range(LOGIN_SUBSCRIBER.burst):
        sign_in(browser, login, WRONG)
    answer = sign_in(browser, login, PASSWORD, **more)
    assert answer.status_code == 429
    return str(answer.text)


def offered(page: str) -> set[str]:
    return {way for way, label in WAYS.items() if label in page}


def test_the_429_page_keeps_the_typed_login_but_not_the_password(clock: Clock) -> None:
    make_user("alice")
    browser, more = Client(), {"remember": "on", "next": "/accounts/sessions/"}

    page = refused(browser, **more)
    form = browser.post(LOGIN, {"login": "alice", "again": "1", **more}).text

    assert "You can try again at" in page
    assert PASSWORD not in page + form
    assert WRONG not in page + form
    assert page.count('name="login" value="alice"') == 3
    assert 'value="alice"' in form
    assert "checked" in form
    assert "/accounts/sessions/" in form
    assert "Error:" not in form
    assert browser.post(CODE, {"login": "alice", **more})["Location"] == CODE
    clock.advance(minutes=1)
    assert sign_in(browser, "alice", **more)["Location"] == "/accounts/sessions/"


@pytest.mark.parametrize("headers", [{}, {"accept-language": "de"}], ids=["en", "de"])
def test_the_429_page_is_the_same_for_known_and_unknown_logins(
    clock: Clock, headers: dict[str, str]
) -> None:
    make_user("alice")
    pages = [
        without_nonces(refused(Client(REMOTE_ADDR=place, headers=headers), login))
        for place, login in (("10.1.0.1", "alice"), ("10.2.0.1", "nobody"))
    ]

    assert pages[0].replace("alice", "nobody") == pages[1]
    assert ("Zu viele Versuche" in pages[0]) is bool(headers)


def test_the_429_page_offers_only_methods_with_budget_left_for_this_client(clock: Clock) -> None:
    browser = Client()
    assert offered(refused(browser)) == set(WAYS)
    for line in range(9):
        Client(REMOTE_ADDR=f"10.{line}.0.1").post(RESET, {"login": "alice"})
    assert offered(refused(browser)) == set(WAYS), "requests of other clients are not revealed"

    browser.post(CODE, {"login": "alice"})
    assert offered(refused(browser)) == {"passkey", "reset"}
    for _ in range(MAIL_SUBSCRIBER.burst - 1):
        browser.post(RESET, {"login": "alice"})
    assert offered(refused(browser)) == {"passkey"}
    for _ in range(UNGUESSABLE.burst):
        browser.post("/accounts/login/passkey/", {"credential": "{}"})
    assert offered(refused(browser)) == set()
    assert "want to wait" not in refused(browser)


def test_any_other_429_page_says_when_to_retry_and_links_back(clock: Clock) -> None:
    for _ in range(MAIL_SUBSCRIBER.burst):
        sign_up(Client(), f"mallory{len(outbox())}", "alice@example.org")

    page = sign_up(Client(), "mallory", "alice@example.org")

    assert (page.status_code, page["Retry-After"]) == (429, str(24 * 3600))
    assert f"{24} hours" in page.text
    assert f'href="{SIGNUP}"' in page.text
