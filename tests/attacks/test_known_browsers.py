"""Copies of a browser's cookies, whose worth ends; and a known browser that turns up elsewhere."""

from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from accounts.common import secrets
from accounts.common.client_info import client_of
from accounts.sessions import known_browsers
from accounts.sessions.models import KnownBrowser
from accounts.throttle import known_networks
from accounts.users.models import User
from tests.attacks.passkey_steps import REAUTHENTICATE, happened
from tests.attacks.trusted_steps import TRUSTED, browser, is_asked, trusting
from tests.conftest import Clock
from tests.support.second import enrolled
from tests.support.signin import request_of, set_up, signed_in
from tests.support.steps import PASSWORD, is_signed_in, make_user, outbox, sign_in, signed_up

pytestmark = pytest.mark.django_db

SESSIONS = "/accounts/sessions/"
NEW_BROWSER, NEW_NETWORK = "Signed in from a new browser", "Signed in from a new network"


def since(client: Client, user: User) -> datetime | None:
    row = known_browsers.recognize(request_of(client), user)
    return row.since if row else None


def copy_of(client: Client, *, at: str = "127.0.0.1") -> Client:
    """The same kind of browser with the same cookies, wherever that is."""
    copy = Client(**client.defaults | {"REMOTE_ADDR": at})
    for name, cookie in client.cookies.items():
        copy.cookies[name] = cookie.value
    return copy


def sign_out_elsewhere(client: Client) -> str:
    return client.post(SESSIONS, {"others": "1"}, follow=True).text


def mails_of(client: Client, login: str = "alice") -> list[str]:
    """What the owner is told of a sign-in there."""
    before = len(outbox())
    client.cookies.pop("sessionid", None)
    sign_in(client, login)
    return [mail.subject.removeprefix("authsite: ") for mail in outbox()[before:]]


def test_who_signs_out_elsewhere_makes_strangers_of_all_copies_and_keeps_the_browsers_age(
    clock: Clock,
) -> None:
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
    assert since(phone, alice) == begun, "another browser of hers"
    assert mails_of(thief) == [NEW_BROWSER]
    assert mails_of(here) == []


def test_a_copy_of_a_browser_that_the_version_before_noted_ends_as_well(clock: Clock) -> None:
    alice, begun = make_user("alice"), clock.now()
    here = signed_in(alice)
    token, device = here.cookies["known"].value, client_of(request_of(here)).device
    KnownBrowser.objects.all().delete()
    known_networks.remember(alice.pk, f"browser {token} {device} 0", None)
    copy = copy_of(here)

    sign_out_elsewhere(here)

    assert (since(here, alice), since(copy, alice)) == (begun, None)


def test_who_signs_out_elsewhere_trusts_no_browser_any_more() -> None:
    alice = make_user("alice")
    enrolled(alice)
    here, there = trusting(alice), trusting(alice)
    there.cookies.pop("sessionid")
    copy = copy_of(here)
    assert not is_asked(there)
    page = here.get(SESSIONS).text
    assert "(this one too)" in page

    sign_out_elsewhere(here)

    assert "Trusted until" not in here.get(TRUSTED).text
    assert [is_asked(each) for each in (copy, there, here)] == [True] * 3
    assert happened(alice, "trust_ended") == 2


def test_nobody_takes_the_age_of_anothers_browser_by_a_copy_of_its_cookie() -> None:
    bob = make_user("bob")
    his = signed_in(bob)
    begun = since(his, bob)
    thief = copy_of(his)
    make_user("mallory")
    assert mails_of(thief, "mallory") == [NEW_BROWSER]

    sign_out_elsewhere(thief)

    assert since(his, bob) == begun
    assert since(thief, bob) is None


def test_a_session_alone_makes_no_browser_known() -> None:
    alice = make_user("alice")
    thief = copy_of(signed_in(alice))
    thief.cookies.pop("known")

    assert "You weren’t signed in anywhere else." in sign_out_elsewhere(thief)

    assert "known" not in thief.cookies
    assert since(thief, alice) is None


def test_a_copy_of_a_known_browser_is_told_of_once_where_the_account_was_never(
    clock: Clock,
) -> None:
    make_user("alice")
    here = browser()
    assert mails_of(here) == [NEW_BROWSER]

    thief = copy_of(here, at="203.0.113.66")

    assert mails_of(thief) == [f"{NEW_NETWORK}, in a known browser"]
    assert mails_of(thief) == mails_of(here) == []
    clock.advance(days=80)
    assert mails_of(thief) == []
    clock.advance(days=80)
    assert mails_of(thief) == []
    assert mails_of(copy_of(here, at="203.0.113.67")) == [f"{NEW_NETWORK}, in a known browser"]


def test_a_copy_that_proves_itself_in_a_session_is_told_of_too(settings: Any) -> None:
    set_up(settings, session_protection_network="on")
    here = browser()
    make_user("alice")
    sign_in(here, "alice")
    thief = copy_of(here, at="203.0.113.66")

    thief.post(REAUTHENTICATE, {"password": PASSWORD})

    assert is_signed_in(thief)
    assert NEW_NETWORK in outbox()[-1].subject


def test_the_networks_of_a_first_browser_and_of_those_from_before_the_upgrade_are_no_news() -> None:
    here = signed_up("alice")
    alice = User.objects.get()
    assert mails_of(here) == []
    for network in ("192.0.2.1", "192.0.2.2"):
        there = browser()
        there.cookies["known"], there.defaults["REMOTE_ADDR"] = secrets.token(), network
        token, device = there.cookies["known"].value, client_of(request_of(there)).device
        known_networks.remember(alice.pk, f"browser {token} {device} 0", None)
        assert mails_of(there) == []
        assert mails_of(copy_of(there)) == []


def test_a_stale_copied_cookie_signs_nobody_out_elsewhere(clock: Clock) -> None:
    alice = make_user("alice")
    here = signed_in(alice)
    begun, thief = clock.now(), copy_of(here)
    clock.advance(minutes=11)

    assert thief.post(SESSIONS, {"others": "1"}).url.startswith(REAUTHENTICATE)

    assert is_signed_in(here)
    assert since(here, alice) == begun
