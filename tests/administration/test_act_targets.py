"""Acts of staff on one session, key, app or factor of an account, or on all of them."""

import pytest
from django.test import Client

from accounts.activity.services import Actor
from accounts.apikeys.models import APIKey
from accounts.oauth import connections
from accounts.sessions import services as sessions
from accounts.twofactor.models import Authenticator
from accounts.users.models import User
from tests.support.administration import act
from tests.support.api_keys import key_of
from tests.support.apps import asked_for, connect_app, make_app
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in
from tests.support.steps import is_signed_in

pytestmark = pytest.mark.django_db


def test_one_session_can_be_ended_alone(alice: User, carol: Client) -> None:
    lost, kept = signed_in(alice), signed_in(alice)
    first = sessions.live(alice).order_by("begun_at").first()
    assert first

    act(carol, alice, "end-sessions", target=str(first.pk))

    assert [is_signed_in(lost), is_signed_in(kept)] == [False, True]
    assert alice.activity.latest("id").kind == "ended_by_staff"


def test_one_key_can_be_revoked_alone(alice: User, carol: Client) -> None:
    key_of(alice, name="first")
    key_of(alice, name="second")

    act(carol, alice, "revoke-keys", target=APIKey.objects.get(name="first").pk)

    assert APIKey.objects.get().name == "second"


def test_one_app_can_be_disconnected_alone(alice: User, carol: Client) -> None:
    first, second = make_app(), make_app("Wiki")
    for app in (first, second):
        connections.agree(asked_for(app), alice, Actor())

    act(carol, alice, "disconnect-apps", target=first.pk)

    assert [app.name for app in connections.of(alice)] == ["Wiki"]


def test_disconnecting_all_apps_signs_them_out_and_is_told_of_each(
    alice: User, carol: Client
) -> None:
    signed_in(alice)
    browser = sessions.live(alice).get()
    apps = [connect_app(browser, make_app(name), is_offline=True) for name in ("Paperless", "Wiki")]

    act(carol, alice, "disconnect-apps")

    assert list(sessions.live(alice)) == [browser]
    assert not connections.of(alice)
    told = alice.activity.filter(kind="app_disconnected", actor="carol")
    assert {row.detail for row in told} == {str(app) for app in apps}


def test_one_factor_can_be_removed_alone_and_the_last_takes_the_recovery_codes(
    alice: User, carol: Client
) -> None:
    for _ in range(2):
        enrolled(alice)
    first, second = Authenticator.objects.filter(user=alice).order_by("pk")

    act(carol, alice, "remove-factors", target=first.persistent_id)
    assert list(Authenticator.objects.filter(user=alice)) == [second]
    act(carol, alice, "remove-factors", target=second.persistent_id)
    assert not Authenticator.objects.filter(user=alice).exists()
    assert alice.activity.latest("id").kind == "factors_reset"
