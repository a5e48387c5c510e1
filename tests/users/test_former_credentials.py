"""Credentials that were replaced, removed or suspended."""

import pytest
from django.core.management import call_command

from accounts.activity.services import Actor
from accounts.common import clock as site_clock
from accounts.common.secrets import encryption_key
from accounts.recovery import suspension
from accounts.recovery.locks import lock_down
from accounts.recovery.rule import BEFORE, Lock
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.models import User
from tests.support.second_factor import set_up_authenticator
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user


@pytest.fixture(name="alice")
def alice_after_a_month(clock):
    user = make_user("alice")
    clock.advance(days=30)
    return user


def removed(user, email):
    """Remove an email address of ``user``, as the page of addresses does."""
    row = user.emails.get(email=email)
    former_credentials.keep_email(row, site_clock.now())
    row.delete()


def locked(user):
    lock_down(user, Actor())
    return User.objects.get(pk=user.pk)


def test_only_addresses_that_the_account_had_at_the_horizon_get_notices(alice, clock):
    """Withstands a flood: hundreds of addresses, each of which gets every mail.

    The owner gave one up long ago, and a thief has added and removed another one.
    """
    for email in ("given-up@example.org", "held@example.org"):
        users.confirm_email(alice, email)
    clock.advance(days=2)
    removed(alice, "given-up@example.org")
    clock.advance(days=8)
    users.confirm_email(alice, "thief@example.net")
    for email in ("thief@example.net", "held@example.org"):
        removed(alice, email)

    told = former_credentials.notified_emails(locked(alice))

    assert [row.label for row in told] == ["held@example.org"]


def test_a_suspended_factor_survives_reencryption_and_works_when_restored(alice, settings):
    set_up_authenticator(signed_in(alice))
    seed = Authenticator.objects.get().seed
    locked(alice)
    new, (old, *_) = encryption_key(), settings.AUTHSITE.encryption_keys
    set_up(settings, encryption_keys=(new, old))
    call_command("reencrypt", verbosity=0)
    set_up(settings, encryption_keys=(new,))

    User.objects.update(email="")
    for row in former_credentials.suspended(alice):
        suspension.put_back(User.objects.get(), row.pk, Actor())

    assert Authenticator.objects.get().seed == seed
    assert RecoveryCodes.objects.get().left == 10


def test_replaced_credentials_are_pruned_after_37_days_and_suspended_ones_are_kept(alice, clock):
    set_up_authenticator(signed_in(alice))
    now = site_clock.now()
    suspension.suspend(alice, Lock(now, now - BEFORE), Actor())
    suspended = former_credentials.suspended(alice).count()
    users.replace_password(alice, "!")

    clock.advance(days=36)
    assert former_credentials.prune() == 0
    clock.advance(days=1)
    assert former_credentials.prune() == 1
    assert former_credentials.suspended(alice).count() == suspended > 0
