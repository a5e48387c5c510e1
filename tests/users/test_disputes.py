"""Proofs of ownership."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command

from accounts.activity.services import Actor
from accounts.common.secrets import encryption_key
from accounts.recovery import suspension
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.disputes import (
    AT_ONCE,
    Evidence,
    Outcome,
    OwnershipEvidence,
    counts,
    covers,
    decide,
    stops,
)
from accounts.users.models import FormerCredential, User
from tests.support.second_factor import enrolled, set_up_authenticator
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db


PASSWORD, EMAIL, REMOVED, PROVIDER, BROWSER, FACTOR = Evidence
NOW = datetime(2026, 6, 1, tzinfo=UTC)
OLD = User(date_joined=NOW - timedelta(days=365))
NEW = User(date_joined=NOW - timedelta(hours=1))


@pytest.mark.parametrize(
    "shown, without_factor, with_factor",
    [
        (set(), Outcome.REFUSED, Outcome.REFUSED),
        ({REMOVED}, Outcome.REFUSED, Outcome.REFUSED),
        ({PASSWORD}, Outcome.AFTER_WAITING, Outcome.AFTER_WAITING),
        ({EMAIL, REMOVED}, Outcome.AFTER_WAITING, Outcome.AFTER_WAITING),
        ({FACTOR}, Outcome.AFTER_WAITING, Outcome.AFTER_WAITING),
        ({PASSWORD, EMAIL}, Outcome.AT_ONCE, Outcome.AFTER_WAITING),
        ({BROWSER, PROVIDER}, Outcome.AT_ONCE, Outcome.AFTER_WAITING),
        ({FACTOR, BROWSER}, Outcome.AT_ONCE, Outcome.AT_ONCE),
        ({PASSWORD, EMAIL, BROWSER}, Outcome.AT_ONCE, Outcome.AT_ONCE),
    ],
)
def test_older_proofs_decide_whether_a_request_is_refused_waits_or_succeeds(
    shown, without_factor, with_factor
):
    assert decide(shown, holds_factor=False) is without_factor
    assert decide(shown, holds_factor=True) is with_factor


@pytest.mark.parametrize(
    "objection, request_, is_stopped",
    [
        (set(), {PASSWORD}, False),
        ({EMAIL}, {PASSWORD}, False),
        ({EMAIL, REMOVED}, {PASSWORD}, False),
        ({EMAIL, BROWSER}, {PASSWORD}, True),
        ({EMAIL, BROWSER}, {PASSWORD, EMAIL}, True),
        ({EMAIL, BROWSER}, {PASSWORD, EMAIL, BROWSER}, False),
        ({FACTOR}, {PASSWORD, EMAIL, BROWSER}, True),
        ({PASSWORD, EMAIL, BROWSER}, {FACTOR}, False),
        ({FACTOR}, {FACTOR}, False),
        ({FACTOR, EMAIL}, {FACTOR}, True),
    ],
)
def test_a_tie_stops_a_request_and_a_factor_outweighs_other_proofs(objection, request_, is_stopped):
    assert stops(objection, request_) is is_stopped


def test_a_request_can_be_finished_only_with_the_proofs_it_was_made_with():
    first, second = (
        OwnershipEvidence(EMAIL, "a@example.org"),
        OwnershipEvidence(EMAIL, "b@example.org"),
    )
    removed, browser = OwnershipEvidence(REMOVED, "a@example.org"), OwnershipEvidence(BROWSER, "1")
    password = OwnershipEvidence(PASSWORD)

    def finishes(shown, request):
        return covers(frozenset(shown), frozenset(request))

    assert finishes({first, browser}, {first})
    assert finishes({first, browser}, {removed, browser}), "the removed email was restored"
    assert not finishes({second, browser}, {first}), "another email of the account"
    assert not finishes({second, browser}, {removed, browser})
    assert not finishes(set(), {first})
    assert not finishes({password}, {password, browser})
    assert not finishes({removed}, {removed})


@pytest.mark.parametrize(
    "user, since, is_older",
    [
        (OLD, None, True),
        (OLD, NOW - timedelta(days=7), True),
        (OLD, NOW - timedelta(days=7) + timedelta(seconds=1), False),
        (OLD, NOW + timedelta(days=30), False),
        (NEW, NEW.date_joined, True),
        (NEW, NEW.date_joined + AT_ONCE, True),
        (NEW, NEW.date_joined + AT_ONCE + timedelta(seconds=1), False),
    ],
)
def test_a_proof_counts_if_held_a_week_before_the_change_or_since_sign_up(user, since, is_older):
    assert counts(user, since, NOW) is is_older


def test_suspended_factors_survive_reencryption_and_work_when_restored(clock, settings):
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


def test_emails_added_after_the_disputed_change_are_not_disputed_emails(clock):
    alice = make_user("alice")
    clock.advance(days=8)
    alice.disputed_at = clock.now()
    clock.advance(hours=1)
    users.confirm_email(alice, "thief@example.net")

    for row in alice.emails.all():
        former_credentials.keep_email(row, clock.now())

    assert [row.label for row in former_credentials.disputed_emails(alice)] == ["alice@example.org"]


def test_replaced_credentials_are_pruned_after_37_days_and_suspended_ones_are_kept(clock):
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
