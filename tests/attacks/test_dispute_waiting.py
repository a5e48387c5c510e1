"""The waiting period of a locked account: who must wait, and who may object."""

import dataclasses
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client

from accounts.activity.services import Actor
from accounts.passwords import services as passwords
from accounts.recovery import services as recovery
from accounts.recovery.models import Recovery
from accounts.twofactor.models import Authenticator
from accounts.users import services as users
from accounts.users.disputes import Evidence, OwnershipEvidence
from accounts.users.models import User
from tests.support.clock import Clock
from tests.support.disputes import (
    MINE,
    NEW,
    known_browser,
    lock,
    recipients_of,
    reloaded,
    reset_link,
    sets_password,
)
from tests.support.second_factor import enrolled
from tests.support.steps import PASSWORD, make_user, outbox, path_of

pytestmark = pytest.mark.django_db


def test_the_mailbox_alone_must_wait_and_two_older_proofs_can_object(
    alice: User, clock: Clock
) -> None:
    home = known_browser(alice)
    clock.advance(days=8)
    users.confirm_email(alice, "second@example.org")
    lock(alice)
    thief, link = Client(), reset_link()
    thief.post(link, {"lost": "ask"})
    assert recipients_of("asked to unlock your account") == {MINE, "second@example.org"}
    clock.advance(hours=71)
    assert not sets_password(thief, reset_link())
    objection = path_of(next(m.action_url for m in outbox() if "asked to unlock" in m.subject))

    assert "That isn’t enough" in Client().post(objection).text, (
        "one proof does not outweigh another"
    )
    assert Client().post(objection, {"former": NEW}).status_code == 200
    assert Recovery.objects.exists()
    assert "The recovery request has been stopped" in home.post(objection).text

    clock.advance(hours=2)
    assert not sets_password(thief, reset_link())
    thief.post(reset_link(), {"lost": "ask"})
    clock.advance(hours=72)
    assert sets_password(thief, reset_link()), "nobody objected this time"


def test_an_objection_counts_until_the_new_password_is_saved(
    alice: User, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The objection arrives while the new password is being hashed."""
    enrolled(alice)
    clock.advance(days=8)
    lock(alice)
    thief, link = Client(), reset_link()
    thief.post(link, {"lost": "ask"})
    clock.advance(hours=72)
    link = reset_link()

    def hash_while_another_objects(password: str) -> str:
        objection = {OwnershipEvidence(Evidence.EMAIL), OwnershipEvidence(Evidence.BROWSER)}
        assert recovery.cancel(alice, frozenset(objection), Actor())
        return make_password(password)

    monkeypatch.setattr(passwords, "hash_password", hash_while_another_objects)
    assert not sets_password(thief, link)
    assert reloaded(alice).is_locked_down


def test_staff_cannot_recover_by_waiting_or_remove_their_factors(
    clock: Clock, settings: Any
) -> None:
    carol = make_user("carol", is_staff=True)
    home = known_browser(carol)
    enrolled(carol)
    clock.advance(days=30)
    lock(carol)
    link = reset_link("carol")

    assert home.post(link, {"lost": "ask"}).status_code == 403
    home.post(link, {"former": PASSWORD})
    assert home.post(link, {"password1": NEW, "lost": "on"}).status_code == 302

    assert Authenticator.objects.filter(user=carol).exists()


def test_with_waiting_switched_off_only_enough_older_proofs_open_the_account(
    alice: User, clock: Clock, settings: Any
) -> None:
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, factor_recovery_hours=0)
    home = known_browser(alice)
    clock.advance(days=8)
    lock(alice)

    assert Client().post(reset_link(), {"lost": "ask"}).status_code == 403
    assert sets_password(home, reset_link())
