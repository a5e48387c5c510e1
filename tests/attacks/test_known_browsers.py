"""Attacks with browsers that an account knows, and what people are told who were signed out."""

import pytest
from django.test import Client

from accounts.activity import events
from accounts.sessions import known_browsers
from accounts.sessions.current import REASONS
from accounts.throttle.models import FamiliarPlace
from tests.support.disputes import NEW, lock, reopened
from tests.support.passkeys import REAUTHENTICATE, times_in_history
from tests.support.second_factor import enrolled
from tests.support.second_steps import TRUSTED, browser, needs_second_step, trusting_browser
from tests.support.signin import SIGNED_UP, request_of, set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import (
    LOGOUT,
    PASSWORD,
    WRONG,
    is_signed_in,
    make_user,
    outbox,
    sign_in,
    signed_up,
)

SESSIONS = "/accounts/sessions/"
NEW_BROWSER, NEW_NETWORK = "Sign-in from a new browser", "Sign-in from a new network"


def since(client, user):
    row = known_browsers.recognize(request_of(client), user)
    return row.since if row else None


def copy_of(client, *, at="127.0.0.1"):
    """Return a browser with the same user agent and cookies, at the IP address ``at``."""
    copy = Client(**client.defaults | {"REMOTE_ADDR": at})
    for name, cookie in client.cookies.items():
        copy.cookies[name] = cookie.value
    return copy


def sign_out_elsewhere(client):
    return client.post(SESSIONS, {"others": "1"}, follow=True).text


def mails_of(client, login="alice", password=PASSWORD):
    """Sign in with ``client`` and return the subjects of the mails about it."""
    before = len(outbox())
    client.cookies.pop("sessionid", None)
    sign_in(client, login, password)
    return [mail.subject for mail in outbox()[before:]]


def test_signing_out_elsewhere_makes_copies_of_the_browser_unknown_and_keeps_its_age(clock):
    """Withstands a thief with a cookie."""
    alice = make_user("alice")
    here, begun = signed_in(alice), clock.now()
    phone, thief = signed_in(alice), copy_of(here)
    clock.advance(days=8)
    sign_in(here, "alice")
    copy = copy_of(here)
    assert is_signed_in(copy)
    assert since(thief, alice) == begun

    for _ in range(2):
        sign_out_elsewhere(here)

        assert is_signed_in(here)
        assert since(here, alice) == begun
        assert [is_signed_in(copy), since(copy, alice), since(thief, alice)] == [False, None, None]
        copy = copy_of(here)
    assert since(phone, alice) == begun, "other browsers of the owner stay known"
    assert mails_of(thief) == [NEW_BROWSER]
    assert mails_of(here) == []


def test_signing_out_elsewhere_ends_the_trust_in_every_browser():
    """Withstands a thief with a cookie."""
    alice = make_user("alice")
    enrolled(alice)
    here, there = trusting_browser(alice), trusting_browser(alice)
    there.cookies.pop("sessionid")
    copy = copy_of(here)
    assert not needs_second_step(there)
    page = here.get(SESSIONS).text
    assert "(this browser too)" in page

    sign_out_elsewhere(here)

    assert "Trusted until" not in here.get(TRUSTED).text
    assert [needs_second_step(each) for each in (copy, there, here)] == [True] * 3
    assert times_in_history(alice, "trust_ended") == 2


def test_a_copied_cookie_does_not_change_the_age_of_another_users_browser():
    """Withstands a thief with a cookie."""
    bob = make_user("bob")
    his = signed_in(bob)
    begun = since(his, bob)
    thief = copy_of(his)
    make_user("mallory")
    assert mails_of(thief, "mallory") == [NEW_BROWSER]

    sign_out_elsewhere(thief)

    assert since(his, bob) == begun
    assert since(thief, bob) is None


def test_a_stolen_session_does_not_make_its_browser_known():
    alice = make_user("alice")
    thief = copy_of(signed_in(alice))
    thief.cookies.pop("known")

    assert "You weren’t signed in anywhere else." in sign_out_elsewhere(thief)

    assert "known" not in thief.cookies
    assert since(thief, alice) is None


@proves("V6.3.5")
def test_a_copy_of_a_known_browser_in_a_new_network_is_reported_once(clock):
    """Withstands a thief with the password."""
    alice = make_user("alice")
    here = browser()
    assert mails_of(here) == [NEW_BROWSER]

    thief = copy_of(here, at="203.0.113.66")

    assert mails_of(thief) == [NEW_NETWORK]
    assert {*FamiliarPlace.objects.values_list("owner", flat=True)} == {alice.pk}
    assert mails_of(thief) == mails_of(here) == []
    clock.advance(days=80)
    assert mails_of(thief) == []
    clock.advance(days=80)
    assert mails_of(thief) == []
    assert mails_of(copy_of(here, at="203.0.113.67")) == [NEW_NETWORK]


def test_a_copy_that_reauthenticates_in_a_new_network_is_reported_too(settings):
    """Withstands a thief with a cookie."""
    set_up(settings, session_protection_network="on")
    here = browser()
    make_user("alice")
    sign_in(here, "alice")
    thief = copy_of(here, at="203.0.113.66")

    thief.post(REAUTHENTICATE, {"password": PASSWORD})

    assert is_signed_in(thief)
    assert NEW_NETWORK in outbox()[-1].subject


def test_a_thief_who_comes_back_after_a_lock_is_reported_as_a_new_browser():
    """Withstands a thief in the account."""
    alice = make_user("alice")
    thief = browser()
    assert mails_of(thief) == [NEW_BROWSER]
    lock(alice)
    reopened(browser(), alice)

    assert mails_of(thief, password=NEW) == [NEW_BROWSER]


def test_the_network_of_the_first_browser_is_not_reported():
    here = signed_up("alice")

    assert mails_of(here) == []
    assert mails_of(copy_of(here)) == []


def forget(client, row):
    return client.post(SESSIONS, {"forget": row.pk}).status_code


def test_a_thief_with_a_stale_cookie_who_forgets_the_owners_browser_cannot_keep_the_owner_out(
    clock,
):
    """Withstands a thief with a cookie.

    The browser is mailed like a new one, but guesses elsewhere do not use up its guesses.
    """
    alice = make_user("alice")
    here = signed_in(alice)
    here.defaults["REMOTE_ADDR"] = "10.1.0.1"
    thief = copy_of(here)
    clock.advance(minutes=30)
    assert forget(thief, alice.known_browsers.get()) == 302
    for line in range(1, 6):
        for _ in range(5):
            sign_in(Client(REMOTE_ADDR=f"10.{line}.0.2"), "alice", WRONG)
    assert sign_in(Client(REMOTE_ADDR="10.1.0.1"), "alice").status_code == 429

    assert NEW_BROWSER in mails_of(here)
    assert is_signed_in(here)


def test_nobody_forgets_anothers_browser_or_one_twice():
    """Withstands another member."""
    alice = make_user("alice")
    here, mallory = signed_in(alice), signed_in(make_user("mallory"))
    row = alice.known_browsers.get()

    assert [forget(who, row) for who in (mallory, here, here)] == [404, 302, 404]


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

ENDS = {
    events.PASSWORD_CHANGED: ("/accounts/password/change/", {"password1": NEW}),
    events.OTHERS_ENDED: ("/accounts/sessions/", {"others": "1"}),
    events.LOCKED_DOWN: ("/accounts/lockdown/", {}),
}


def told(browser):
    """Return the messages on the page that the browser is led to."""
    return [str(message) for message in browser.get("/", follow=True).context["messages"]]


@pytest.mark.parametrize("event", ENDS, ids=lambda event: event.name)
def test_a_browser_that_was_signed_out_elsewhere_is_told_why_once(event):
    alice = make_user("alice")
    browser, elsewhere = signed_in(alice), signed_in(alice, by=SIGNED_UP)
    path, posted = ENDS[event]
    elsewhere.post(path, posted)

    assert told(browser) == [REASONS[event.name]]
    assert told(browser) == []


def test_another_browser_with_the_cookie_and_a_browser_without_it_learn_nothing():
    """Withstands a spy."""
    alice = make_user("alice")
    browser = signed_in(alice)
    thief = Client(headers={"user-agent": FIREFOX})
    thief.cookies["sessionid"] = browser.cookies["sessionid"].value
    signed_in(alice).post("/accounts/password/change/", {"password1": NEW})

    for stranger in (thief, Client()):
        assert told(stranger) == []


def test_who_signed_out_or_was_switched_off_is_told_no_reason():
    alice = make_user("alice")
    browser, copy = signed_in(alice), Client()
    copy.cookies["sessionid"] = browser.cookies["sessionid"].value
    browser.post(LOGOUT)
    assert told(copy) == []

    browser = signed_in(alice)
    signed_in(alice).post("/accounts/password/change/", {"password1": NEW})
    type(alice).objects.update(is_active=False)

    assert told(browser) == []
