"""The home page: four checks, the one next step, and what happened lately."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.common import clock as site_clock
from accounts.common.client_info import ClientInfo
from accounts.profile.checkup import Checkup, Step
from accounts.twofactor.models import Authenticator, Passkey, RecoveryCodes, sealed_codes
from accounts.twofactor.services import Held
from accounts.users.models import EmailAddress, User
from tests.support import webauthn
from tests.support.clock import Clock
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in
from tests.support.steps import make_user

APP, KEY, AUTOMATIC = Authenticator(), Passkey(), Passkey(confirmed=False)


def codes(left: int, *, are_saved: bool = True) -> RecoveryCodes:
    sealed = sealed_codes([str(number) for number in range(left)], "salt")
    return RecoveryCodes(sealed=sealed, saved_at=site_clock.now() if are_saved else None)


def checkup(*held: Any, email: str = "alice@example.org", **more: bool) -> Checkup:
    """The check-up of an account with a password and these factors."""
    factors = Held(
        [factor for factor in held if isinstance(factor, Authenticator)],
        [factor for factor in held if isinstance(factor, Passkey) and factor.confirmed],
        next((factor for factor in held if isinstance(factor, RecoveryCodes)), None),
        [factor for factor in held if isinstance(factor, Passkey) and not factor.confirmed],
    )
    return Checkup(
        email, int(bool(email)), has_password=True, has_provider=False, held=factors, **more
    )


NEXT = [
    (checkup(KEY, codes(10), email=""), Step.ADD_EMAIL),
    (checkup(), Step.ADD_PASSKEY),
    (checkup(APP, codes(10)), Step.ADD_PASSKEY),
    (checkup(has_declined=True), Step.TURN_ON_TWO_STEP),
    (checkup(AUTOMATIC), Step.CONFIRM_PASSKEY),
    (checkup(KEY), Step.SAVE_CODES),
    (checkup(KEY, codes(10, are_saved=False)), Step.SAVE_CODES),
    (checkup(KEY, APP, codes(3)), Step.MAKE_CODES),
    (checkup(KEY, codes(0)), Step.MAKE_CODES),
    (checkup(KEY, codes(4)), None),
]


@pytest.mark.parametrize("state, step", NEXT)
def test_the_next_step_is_the_first_that_applies(state: Checkup, step: Step | None) -> None:
    assert state.next_step is step


# Sign-in, two-step verification, recovery, email addresses.
CHECKS = [
    (checkup(), "..++"),
    (checkup(email=""), "...."),
    (checkup(APP, codes(10)), ".+++"),
    (checkup(APP, codes(10, are_saved=False)), ".+.+"),
    (checkup(KEY, codes(3)), "++.+"),
    (checkup(KEY), "++.+"),
    (checkup(KEY, codes(4)), "++++"),
    (checkup(KEY, codes(4), email=""), "+++."),
]


@pytest.mark.parametrize("state, good", CHECKS)
def test_each_check_is_good_or_needs_attention(state: Checkup, good: str) -> None:
    checks = (state.has_passkey, state.is_two_step, state.is_recovery_good, state.has_email)
    assert "".join("+" if is_good else "." for is_good in checks) == good
    assert state.to_improve == good.count(".")


pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> User:
    return make_user("alice")


def test_home_says_how_things_stand_and_shows_one_next_step(client: Client, alice: User) -> None:
    text = signed_in(alice, client).get("/").text

    assert (
        "Your account is only protected by one step. There are 2 things that you can improve."
        in text
    )
    assert re.findall(r">(Next step[^<]+)<", text) == ["Next step: add a passkey"]
    assert text.count(">Needs attention<") == text.count(">Good<") == 2
    assert "Off. Your password is all it takes to sign in." in text
    assert "We send notices to <bdi>alice@example.org</bdi>." in text


def test_not_now_hides_the_offer_of_a_passkey_for_90_days(
    client: Client, alice: User, clock: Clock
) -> None:
    signed_in(alice, client)
    assert "Next step: add a passkey" in client.get("/").text

    client.post("/accounts/2fa/passkeys/offer/", {"not_now": "1"})

    assert "Next step: add a passkey" not in client.get("/").text
    clock.advance(days=90)
    assert "Next step: add a passkey" in signed_in(User.objects.get()).get("/").text


def test_home_says_that_all_is_set(client: Client, alice: User) -> None:
    enrolled(alice)
    webauthn.registered(alice)
    RecoveryCodes.objects.filter(user=alice).delete()
    kept = codes(4)
    kept.user = alice
    kept.save()
    alice.refresh_from_db()

    text = signed_in(alice, client).get("/").text

    assert "Your account is well protected." in text
    assert "You’re all set" in text
    assert text.count(">Good<") == 4
    assert "You have 4 recovery codes left." in text


def test_home_without_an_email_address_asks_for_one(client: Client, alice: User) -> None:
    EmailAddress.objects.all().delete()
    User.objects.update(email="")

    text = signed_in(alice, client).get("/").text

    assert "Next step: add an email address" in text
    assert "Without an email address, you can’t reset your password." in text


def test_home_shows_the_last_sign_in_and_the_last_three_events(client: Client, alice: User) -> None:
    signed_in(alice)
    signed_in(alice, client)
    for _ in range(3):
        record(alice, events.SIGN_IN_FAILED, Actor(ClientInfo("192.0.2.1", "")))
    record(alice, events.PASSWORD_SET, Actor())

    text = client.get("/").text

    titles = re.findall(r"<strong>([^<]+)</strong>", text)
    assert titles == ["A password was set", "3 failed sign-ins", "Signed in with password"]
    assert re.search(r"Last sign-in: <strong><time [^>]+>Today, \d\d:\d\d UTC</time>", text)
    assert 'You’re signed in on <a href="/accounts/sessions/">2 devices</a>.' in text


def test_home_makes_as_many_queries_for_a_rich_account_as_for_a_new_one(
    client: Client, alice: User, django_assert_num_queries: Any
) -> None:
    signed_in(alice, client)
    client.get("/")
    with django_assert_num_queries(12):
        client.get("/")

    for _ in range(3):
        enrolled(alice)
        signed_in(User.objects.get(pk=alice.pk))
    signed_in(User.objects.get(pk=alice.pk), client)
    for minutes in range(60):
        at = site_clock.now() - timedelta(minutes=minutes)
        Activity.objects.create(user=alice, kind="password_set", at=at)
    with django_assert_num_queries(11):
        client.get("/")
