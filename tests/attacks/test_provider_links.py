"""Attacks on connecting an account with a provider, and on reauthentication by the provider."""

from typing import Any

import pytest
from django.test import Client

from accounts.social import services as social
from tests.support.clock import Clock
from tests.support.identities import ALICE, CONFIRM_LINK, SIGN_IN_FIRST, owners
from tests.support.openid_provider import OpenIDProvider, Person
from tests.support.signin import signed_in
from tests.support.social import round_trip
from tests.support.steps import LOGIN, is_signed_in, make_user, sign_in

pytestmark = pytest.mark.django_db


def test_a_pending_link_works_only_in_its_own_browser(op: OpenIDProvider) -> None:
    alice = make_user("alice")
    waiting, other = Client(), Client()
    assert round_trip(waiting, op, ALICE).url == SIGN_IN_FIRST
    signed_in(alice, other)

    assert other.get(CONFIRM_LINK).url == "/accounts/3rdparty/"
    assert other.post(CONFIRM_LINK, {"connect": "1"}).url == "/accounts/3rdparty/"
    assert waiting.post(CONFIRM_LINK, {"connect": "1"}).url.startswith(LOGIN)

    assert owners() == []


def test_a_pending_link_is_not_connected_to_another_account(
    op: OpenIDProvider,
) -> None:
    make_user("alice")
    make_user("mallory")
    browser = Client()
    round_trip(browser, op, ALICE)
    sign_in(browser, "mallory", next=CONFIRM_LINK)

    assert browser.post(CONFIRM_LINK, {"connect": "1"}).url == "/"

    assert owners() == []
    assert browser.post(CONFIRM_LINK, {"connect": "1"}).url == "/accounts/3rdparty/"


def test_a_pending_link_expires_after_thirty_minutes(op: OpenIDProvider, clock: Clock) -> None:
    make_user("alice")
    browser = Client()
    round_trip(browser, op, ALICE)
    clock.advance(minutes=30)
    sign_in(browser, "alice")

    assert browser.post(CONFIRM_LINK, {"connect": "1"}).url == "/accounts/3rdparty/"

    assert owners() == []


def test_an_identity_cannot_be_connected_to_a_second_account(op: OpenIDProvider) -> None:
    round_trip(Client(), op, Person("alice-1", username="alice"))

    mallory = signed_in(make_user("mallory"))
    round_trip(mallory, op, act="connect")
    mallory.post(CONFIRM_LINK, {"connect": "1"})

    assert owners() == [("alice", "alice-1")]


def test_only_a_users_own_identity_reauthenticates_them(op: OpenIDProvider, clock: Clock) -> None:
    round_trip(Client(), op, Person("alice-1", username="alice"))
    mallory, mine = signed_in(make_user("mallory")), Person("mallory-1")
    round_trip(mallory, op, mine, act="connect")
    mallory.post(CONFIRM_LINK, {"connect": "1"})
    clock.advance(minutes=11)
    op.signed_in_at = clock.now().timestamp()

    for person, is_fresh in ((Person("alice-1"), False), (mine, True)):
        round_trip(mallory, op, person, act="prove")
        asked = mallory.post("/accounts/oidc/acme/login/", {"act": "connect"}).url
        assert asked.startswith("/accounts/reauthenticate/") != is_fresh


def test_an_identity_is_not_connected_if_the_session_is_revoked_meanwhile(
    op: OpenIDProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = make_user("alice")
    thief, owner = signed_in(alice), signed_in(alice)
    round_trip(thief, op, Person("mallory-1"), act="connect")
    connect = social.connect

    def ended_meanwhile(*args: Any) -> bool:
        owner.post("/accounts/sessions/", {"others": "1"})
        return connect(*args)

    monkeypatch.setattr(social, "connect", ended_meanwhile)
    thief.post(CONFIRM_LINK, {"connect": "1"})

    assert not is_signed_in(thief)
    assert owners() == []
    assert is_signed_in(owner)
