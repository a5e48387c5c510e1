"""Who learns why a session has ended: the browser that had it, and nobody else."""

import pytest
from django.test import Client

from accounts.activity import events
from accounts.activity.events import Event
from accounts.sessions.current import REASONS
from tests.support.signin import signed_in
from tests.support.steps import LOGOUT, make_user

pytestmark = pytest.mark.django_db

NEW = "a lantern over seven wet roofs"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
ENDS = {
    events.PASSWORD_CHANGED: ("/accounts/password/change/", {"password1": NEW}),
    events.OTHERS_ENDED: ("/accounts/sessions/", {"others": "1"}),
    events.LOCKED_DOWN: ("/accounts/lockdown/", {}),
}


def told(browser: Client) -> list[str]:
    """Return the messages on the page that the browser is led to."""
    return [str(message) for message in browser.get("/", follow=True).context["messages"]]


@pytest.mark.parametrize("event", ENDS, ids=lambda event: event.name)
def test_a_browser_that_was_signed_out_elsewhere_is_told_why_once(event: Event) -> None:
    alice = make_user("alice")
    browser, elsewhere = signed_in(alice), signed_in(alice)
    path, posted = ENDS[event]
    elsewhere.post(path, posted)

    assert told(browser) == [REASONS[event.name]]
    assert told(browser) == []


def test_another_browser_with_the_cookie_and_a_browser_without_it_learn_nothing() -> None:
    alice = make_user("alice")
    browser = signed_in(alice)
    thief = Client(headers={"user-agent": FIREFOX})
    thief.cookies["sessionid"] = browser.cookies["sessionid"].value
    signed_in(alice).post("/accounts/password/change/", {"password1": NEW})

    for stranger in (thief, Client()):
        assert told(stranger) == []


def test_who_signed_out_or_was_switched_off_is_told_no_reason() -> None:
    alice = make_user("alice")
    browser, copy = signed_in(alice), Client()
    copy.cookies["sessionid"] = browser.cookies["sessionid"].value
    browser.post(LOGOUT)
    assert told(copy) == []

    browser = signed_in(alice)
    signed_in(alice).post("/accounts/password/change/", {"password1": NEW})
    type(alice).objects.update(is_active=False)

    assert told(browser) == []
