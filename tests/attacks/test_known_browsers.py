"""A known browser that turns up elsewhere."""

from typing import Any

import pytest
from django.test import Client

from accounts.kernel import secrets
from accounts.kernel.places import place_of
from accounts.throttle import familiar
from accounts.users.models import User
from tests.attacks.passkey_steps import REAUTHENTICATE
from tests.attacks.trusted_steps import browser
from tests.conftest import Clock
from tests.support.signin import request_of, set_up
from tests.support.steps import PASSWORD, is_signed_in, make_user, outbox, sign_in, signed_up

pytestmark = pytest.mark.django_db

SESSIONS = "/accounts/sessions/"
NEW_BROWSER, NEW_NETWORK = "Signed in from a new browser", "Signed in from a new network"


def copy_of(client: Client, *, at: str = "127.0.0.1") -> Client:
    """The same kind of browser with the same cookies, wherever that is."""
    copy = Client(**client.defaults | {"REMOTE_ADDR": at})
    for name, cookie in client.cookies.items():
        copy.cookies[name] = cookie.value
    return copy


def mails_of(client: Client, login: str = "alice") -> list[str]:
    """What the owner is told of a sign-in there."""
    before = len(outbox())
    client.cookies.pop("sessionid", None)
    sign_in(client, login)
    return [mail.subject.removeprefix("authsite: ") for mail in outbox()[before:]]


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
        token, device = there.cookies["known"].value, place_of(request_of(there)).device
        familiar.remember(alice.pk, f"browser {token} {device} 0", None)
        assert mails_of(there) == []
        assert mails_of(copy_of(there)) == []
