"""Who learns why a session has ended: the browser that had it, and nobody else."""

import pytest
from django.test import Client

from tests.support.signin import signed_in
from tests.support.steps import LOGOUT, make_user

pytestmark = pytest.mark.django_db

NEW = "a lantern over seven wet roofs"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SIGNED_OUT = "You were signed out"
ENDS = {
    "because your password was changed": ("/accounts/password/change/", {"password1": NEW}),
    "from another browser": ("/accounts/sessions/", {"others": "1"}),
    "because your account was locked": ("/accounts/lockdown/", {}),
}


@pytest.mark.parametrize("reason", ENDS)
def test_a_browser_that_was_signed_out_elsewhere_is_told_why_once(reason: str) -> None:
    alice = make_user("alice")
    browser, elsewhere = signed_in(alice), signed_in(alice)
    path, posted = ENDS[reason]
    elsewhere.post(path, posted)

    assert f"{SIGNED_OUT} {reason}" in browser.get("/", follow=True).text
    assert SIGNED_OUT not in browser.get("/", follow=True).text


def test_another_browser_with_the_cookie_and_a_browser_without_it_learn_nothing() -> None:
    alice = make_user("alice")
    browser = signed_in(alice)
    thief = Client(headers={"user-agent": FIREFOX})
    thief.cookies["sessionid"] = browser.cookies["sessionid"].value
    signed_in(alice).post("/accounts/password/change/", {"password1": NEW})

    for stranger in (thief, Client()):
        assert SIGNED_OUT not in stranger.get("/", follow=True).text


def test_who_signed_out_or_was_switched_off_is_told_no_reason() -> None:
    alice = make_user("alice")
    browser, copy = signed_in(alice), Client()
    copy.cookies["sessionid"] = browser.cookies["sessionid"].value
    browser.post(LOGOUT)
    assert SIGNED_OUT not in copy.get("/", follow=True).text

    browser = signed_in(alice)
    signed_in(alice).post("/accounts/password/change/", {"password1": NEW})
    type(alice).objects.update(is_active=False)

    assert SIGNED_OUT not in browser.get("/", follow=True).text
