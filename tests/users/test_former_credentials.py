"""Former credentials are kept for disputes, survive a key rotation and are pruned in time."""

from typing import Any

import pytest
from django.core.management import call_command

from accounts.activity.services import Actor
from accounts.common.secrets import encryption_key
from accounts.recovery import suspension
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.models import FormerCredential
from tests.support.clock import Clock
from tests.support.second_factor import enrolled, set_up_authenticator
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db


def test_suspended_factors_survive_reencryption_and_work_when_restored(
    clock: Clock, settings: Any
) -> None:
    alice = make_user("alice")
    clock.advance(minutes=2)
    set_up_authenticator(signed_in(alice))
    seed = Authenticator.objects.get().seed
    alice.refresh_from_db()
    suspension.suspend(alice, clock.now(), Actor())
    new, (old, *_) = encryption_key(), settings.AUTHSITE.encryption_keys
    set_up(settings, encryption_keys=(new, old))
    call_command("reencrypt", verbosity=0)
    set_up(settings, encryption_keys=(new,))

    for row in former_credentials.suspended(alice):
        alice.refresh_from_db()
        suspension.put_back(alice, row.pk, Actor())

    assert Authenticator.objects.get().seed == seed
    assert RecoveryCodes.objects.get().left == 10


def test_emails_added_after_the_disputed_change_are_not_disputed_emails(clock: Clock) -> None:
    alice = make_user("alice")
    clock.advance(days=8)
    alice.disputed_at = clock.now()
    clock.advance(hours=1)
    users.confirm_email(alice, "thief@example.net")

    for row in alice.emails.all():
        former_credentials.keep_email(row, clock.now())

    assert [row.label for row in former_credentials.disputed_emails(alice)] == ["alice@example.org"]


def test_replaced_credentials_are_pruned_after_37_days_and_suspended_ones_are_kept(
    clock: Clock,
) -> None:
    alice = make_user("alice")
    clock.advance(minutes=2)
    enrolled(alice)
    suspension.suspend(alice, clock.now(), Actor())
    users.replace_password(alice, "!")
    assert FormerCredential.objects.count() == 2

    clock.advance(days=36)
    assert former_credentials.prune() == 0
    clock.advance(days=1)
    assert former_credentials.prune() == 1
    assert FormerCredential.objects.get().is_suspended
