"""What locks, reviews and requests store and record, and when they refuse."""

from datetime import timedelta

import pytest

from accounts.activity import notices
from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.common import clock as site_clock
from accounts.common.proofs import Method, Proof
from accounts.recovery import evidence, locks, suspension
from accounts.recovery import services as recovery
from accounts.recovery.models import Recovery
from accounts.sessions.models import LoginSession
from accounts.throttle.limits import FORMER_PASSWORD
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.models import FormerCredential
from tests.support.disputes import MINE, NEW, THIEFS, alice, lock, lock_link
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, make_user
from tests.support.webauthn import registered

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def old_account(clock):
    make_user("alice")
    clock.advance(days=60)


def history():
    rows = Activity.objects.filter(user=alice()).order_by("pk")
    return [(row.kind, row.detail, row.proof) for row in rows]


def test_a_lock_restores_the_older_primary_address_and_the_history_says_so():
    users.confirm_email(alice(), THIEFS)
    alice().save_email(THIEFS)
    Activity.objects.all().delete()

    lock(alice())

    assert alice().email == MINE
    assert history() == [
        ("locked_down", "", ""), ("primary_changed", MINE, ""), ("suspended", THIEFS, ""),
    ]  # fmt: skip


def test_a_lock_link_that_is_used_at_the_same_time_locks_nothing():
    signed_in(alice()).post("/accounts/password/change/", {"password1": NEW})
    token = lock_link("password was changed").split("/")[-2]
    notice = notices.find_notice(token)
    assert notices.redeem(notice, token)

    with pytest.raises(locks.LinkEnded):
        locks.lock_down_by_link(notice, token, Actor(), site_clock.now())

    assert not alice().is_locked_down


def test_a_removed_passkey_counts_only_until_the_account_is_unlocked(clock):
    registered(alice())
    clock.advance(days=8)
    row = alice().passkey_set.get()
    former_credentials.keep(row, kind="factor", key=row.credential_id, removed_at=clock.now())
    row.delete()
    assert evidence.removed_passkeys(alice()) == []
    lock(alice())
    (removed,) = evidence.removed_passkeys(alice())
    assert removed.credential_id == row.credential_id

    users.replace_password(alice(), "!")

    assert former_credentials.removed(alice(), FormerCredential.Kind.FACTOR).exists()
    assert evidence.removed_passkeys(alice()) == []


def test_a_review_restores_only_what_was_put_aside_or_still_proves_ownership(clock):
    assert not suspension.put_back_identity(alice(), 1, Actor())
    users.confirm_email(alice(), THIEFS)
    signed_in(alice()).post("/accounts/password/change/", {"password1": NEW})
    young = alice().emails.get(email=THIEFS)
    former_credentials.keep_email(young, clock.now())
    young.delete()
    lock(alice())

    for row in FormerCredential.objects.all():
        assert not suspension.put_back(alice(), row.pk, Actor()), row.kind
    assert {row.kind for row in FormerCredential.objects.all()} == {"email", "password"}


def test_support_is_asked_once_for_the_same_proofs_and_only_with_one_that_counts(clock):
    enrolled(alice())
    key = alice().authenticator_set.get().persistent_id
    with pytest.raises(recovery.NotOffered):
        recovery.ask_support(alice(), actor=Actor())
    Activity.objects.all().delete()

    for _ in range(2):
        began = site_clock.now()
        recovery.ask_support(alice(), Proof.now(Method.PASSWORD), actor=Actor())
        clock.advance(hours=1)
    recovery.ask_support(alice(), Proof.now(Method.TOTP, key), actor=Actor().by("otp"))

    row = Recovery.objects.get()
    password = [["password", str(alice().password_at or "")]]
    assert row.at_support == [password, [["factor", key]]]
    assert row.support_asked_at == began + timedelta(hours=1)
    assert history() == [("support_asked", "", ""), ("support_asked", "", "otp")]


def test_a_right_former_password_uses_up_no_guess():
    lock(alice())

    for _ in range(2 * FORMER_PASSWORD.burst):
        evidence.check_password(alice(), PASSWORD, Actor())


@pytest.mark.parametrize(
    "amr, minutes, is_enough, takes_password",
    [
        *((["pwd"], 0, False, False), (["pwd", "mail"], 0, True, False)),
        *((["mail"], 0, False, True), (["pwd", "mail"], 11, False, False)),
    ],
)
def test_what_a_session_has_shown_decides_whether_a_lock_asks_for_the_password(
    clock, amr, minutes, is_enough, takes_password
):
    signed_in(alice())
    LoginSession.objects.update(amr=amr)
    Recovery.objects.create(user=alice(), lone_locks={MINE: clock.now().isoformat()})
    clock.advance(minutes=minutes)

    inside = locks.inside_lock_of(LoginSession.objects.get())

    assert (inside.is_enough, inside.takes_password) == (is_enough, takes_password)
