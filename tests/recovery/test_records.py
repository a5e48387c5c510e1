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
from accounts.recovery.rule import MONTH, Kind, Thing
from accounts.sessions.models import LoginSession
from accounts.throttle.limits import FORMER_PASSWORD
from accounts.twofactor.models import Passkey, RecoveryCodes
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.models import FormerCredential, Identity, User
from tests.support.disputes import MINE, NEW, THIEFS, alice, lock, lock_link
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, make_user
from tests.support.webauthn import registered

pytestmark = pytest.mark.django_db
SECOND = "second@example.org"
# What a lock suspends of what a thief has added.
YOUNG = [THIEFS, "Phone", "Codes", "https://id.example (alice)"]


@pytest.fixture(autouse=True)
def old_account(clock):
    make_user("alice")
    clock.advance(days=60)


def suspended():
    return FormerCredential.objects.filter(is_suspended=True).order_by("pk")


def with_thiefs(clock, primary):
    """Give alice a second address, and a few days later what a thief adds; and bob the same."""
    users.confirm_email(alice(), SECOND)
    enrolled(alice())
    clock.advance(days=8)
    for user, email in ((alice(), THIEFS), (make_user("bob"), "bobs@example.net")):
        users.confirm_email(user, email)
        enrolled(user)
        RecoveryCodes.objects.create(user=user, name="Codes")
        Identity.objects.create(user=user, issuer="https://id.example", subject=user.username)
        registered(user)
        Activity.objects.create(user=user, kind="emailed_codes_on")
    Passkey.objects.update(confirmed=False)
    alice().save_email(primary)
    User.objects.update(emailed_codes=True, deletion_due=clock.now())
    Activity.objects.exclude(kind="emailed_codes_on").delete()


def history():
    rows = Activity.objects.filter(user=alice()).order_by("pk")
    return [(row.kind, row.detail, row.proof) for row in rows]


@pytest.mark.parametrize("primary, after", [(MINE, MINE), (SECOND, SECOND), (THIEFS, MINE)])
def test_a_lock_says_before_and_records_which_recent_credentials_it_suspends(clock, primary, after):
    with_thiefs(clock, primary)
    moved = [after] if primary == THIEFS else []
    assert locks.effects(alice()).items() >= {
        "suspended": YOUNG, "primary": "".join(moved), "emails": 2, "factors": 1,
        "emailed_codes": True, "by_mail": True,
    }.items()  # fmt: skip

    row = Activity(at=clock.now() - timedelta(days=5))
    further_back = locks.effects(alice(), notices.Notice(row, alice(), MINE, ""))
    assert (further_back["emails"], further_back["factors"]) == (1, 0)

    locks.lock_down(alice(), Actor(proof="mail"))

    rows = [*suspended(), *Identity.objects.exclude(suspended_at=None)]
    assert [(row.user, str(row)) for row in rows] == [(alice(), label) for label in YOUNG]
    assert (alice().email, alice().emailed_codes, alice().deletion_due) == (after, False, None)
    assert alice().emails.count() == 2
    again = locks.effects(alice())
    found = [again[name] for name in ("suspended", "emailed_codes", "by_mail")]
    assert found == [[], False, True]
    assert history()[1:] == [
        ("locked_down", "", "mail"), ("passkey_removed", "Phone", "mail"),
        ("deletion_undone", "", "mail"),
        *(("primary_changed", email, "mail") for email in moved),
        ("emailed_codes_off", "", "mail"), *(("suspended", label, "mail") for label in YOUNG),
    ]  # fmt: skip
    alice().emails.all().delete()
    users.confirm_email(alice(), "new@example.org")
    assert locks.effects(alice())["by_mail"]


def test_each_act_of_a_review_is_done_once_by_the_owner_and_recorded(clock):
    with_thiefs(clock, MINE)
    lock(alice())
    users.replace_password(alice(), NEW)
    User.objects.update(email="")
    Activity.objects.all().delete()
    ids = [row.pk for row in suspended()]
    provider = Identity.objects.first().pk
    acts = [
        (suspension.put_back_identity, provider), (suspension.put_back, ids[1]),
        (suspension.put_back, ids[0]), (suspension.delete, ids[2]),
        (suspension.delete_identity, provider),
    ]  # fmt: skip

    bob = User.objects.get(username="bob")
    for act, pk in acts:
        if act is suspension.delete_identity:
            Identity.objects.update(suspended_at=clock.now())
        assert not suspension.is_reviewed(alice())
        did = [act(who, pk, Actor(proof="pwd")) for who in (bob, alice())]
        assert [*did, act(alice(), pk, Actor())] == [False, True, False]

    assert (suspension.is_reviewed(alice()), alice().email) == (True, THIEFS)
    assert suspension.may_review(alice())
    suspension.finish(alice(), Actor(proof="pwd"))
    assert (alice().locked_at, suspension.may_review(alice())) == (None, False)
    Identity.objects.update(user=alice(), suspended_at=clock.now())
    assert suspension.may_review(alice())
    kinds = ["put_back"] * 3 + ["suspended_deleted"] * 2
    labels = [YOUNG[n] for n in (3, 1, 0, 2, 3)]
    assert history() == [
        *((kind, label, "pwd") for kind, label in zip(kinds, labels, strict=True)),
        ("reviewed", "", "pwd"),
    ]


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
    former = FormerCredential.objects.get(kind="factor")
    assert not suspension.put_back(alice(), former.pk, Actor())

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
    stored = [["password", str(alice().password_at or "")]]
    assert row.at_support == [stored, [["factor", key]]]
    assert row.support_asked_at == began + timedelta(hours=1)
    assert history() == [("support_asked", "", ""), ("support_asked", "", "otp")]
    password, factor = Proof.now(Method.PASSWORD), Proof.now(Method.TOTP, key)
    asking = [(password,), (factor,), (password, factor), ()]
    found = [recovery.assess(alice(), *proofs).is_at_support for proofs in asking]
    assert found == [True, True, False, False]
    clock.advance(seconds=MONTH.total_seconds() - 1)
    assert list(Recovery.disputed()) == [row]
    clock.advance(seconds=1)
    assert list(Recovery.disputed()) == []


def test_a_right_former_password_uses_up_no_guess():
    lock(alice())

    for _ in range(2 * FORMER_PASSWORD.burst):
        evidence.check_password(alice(), PASSWORD, Actor())


@pytest.mark.parametrize(
    "amr, minutes, is_enough, takes_password",
    [
        *((["pwd"], 0, False, False), (["pwd", "mail"], 0, True, False)),
        *((["mail"], 0, False, True), (["pwd", "mail"], 11, False, False)),
        (["pwd", "mail"], 10, True, False),
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


def test_the_mailboxes_that_lock_alone_are_remembered_for_thirty_days(clock):
    times = {"old": MONTH, "new": MONTH - timedelta(seconds=1)}
    alone = {key: (clock.now() - age).isoformat() for key, age in times.items()}
    row = Recovery.objects.create(user=alice(), lone_locks=alone)
    mailbox = Thing(Kind.MAILBOX, MINE)

    for shown in ({mailbox, Thing(Kind.PASSWORD)}, {mailbox}):
        locks._note_lone_lock(row, frozenset(shown))

        assert Recovery.objects.get().lone_locks == alone
        alone = {"new": alone["new"], MINE: clock.now().isoformat()}
    assert recovery.prune() == 0
    clock.advance(seconds=MONTH.total_seconds())
    assert recovery.prune() == 1


def test_a_wait_is_only_for_members_of_whom_somebody_can_be_told(clock):
    enrolled(alice())
    recovery.ask(alice(), Proof.now(Method.MAIL, MINE), actor=Actor())
    former = {"user": alice(), "data": {}, "removed_at": clock.now()}
    FormerCredential.objects.create(**former, kind="password")
    for change, is_offered in (
        ({}, True), ({"is_staff": True}, False), ({"is_staff": False, "email": ""}, False),
        ({"horizon": clock.now()}, False), ({"kind": "email"}, True),
    ):  # fmt: skip
        (FormerCredential if "kind" in change else User).objects.update(**change)
        found = recovery.assess(alice())
        offered = {found.may_wait, bool(found.running), bool(recovery.running(alice()))}
        assert offered == {recovery.is_offered(alice())} == {is_offered}, change


def test_a_lock_forgets_a_request_and_leaves_codes_by_email_on_that_are_older():
    enrolled(alice())
    User.objects.update(emailed_codes=True)
    recovery.ask(alice(), Proof.now(Method.MAIL, MINE), actor=Actor())
    lock(alice())
    assert (Recovery.objects.get().asked, alice().emailed_codes) == ([], True)
