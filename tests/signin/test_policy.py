"""The authentication policy, as tables."""

from datetime import timedelta

import pytest

from accounts.common import clock as site_clock
from accounts.common.proofs import Method, Proof
from accounts.sessions import current
from accounts.sessions.models import LoginSession
from accounts.signin import policy
from accounts.signin.policy import NewFactor, ReauthenticationMethods, Requirement
from accounts.twofactor.models import Authenticator, Passkey
from accounts.twofactor.services import NEW
from accounts.users.models import PendingSignup
from tests.support.second_factor import enrolled
from tests.support.signin import set_up
from tests.support.steps import make_user

P, M, OP, F, T, R, K, U, B = Method
DONE, SECOND, ENROL = None, Requirement.SECOND_FACTOR, Requirement.ENROLMENT
SETTINGS = {
    "strict": {"strict": "on"},
    "all": {"second_factor": "all"},
    "optional": {"second_factor": "optional"},
    "passkeys": {"staff_factor": "passkey"},
    "terms": {"terms_version": "1"},
}
FIELDS = {
    "staff": {"is_staff": True},
    "new": {"credential_version": 0},
    "mailed": {"emailed_codes": True},
    "leaving": {"deletion_due": site_clock.now()},
}


def passkey_of(user, *, confirmed=True):
    return Passkey.objects.create(
        user=user, credential_id="1", sign_count=0, is_synced=False, confirmed=confirmed
    )


@pytest.fixture
def person(db, settings):
    """Return a user with what the given words name; some of them change settings."""

    def made(words):
        has = set(words.split())
        fields = {"credential_version": 1}
        for word in has & FIELDS.keys():
            fields |= FIELDS[word]
        for word in has & SETTINGS.keys():
            set_up(settings, **SETTINGS[word])
        user = make_user("alice", password=None if "passwordless" in has else "x", **fields)
        if "app" in has:
            enrolled(user)
        if has & {"passkey", "unconfirmed"}:
            passkey_of(user, confirmed="passkey" in has)
        return user

    return made


def session_of(user, *amr, **fields):
    now = site_clock.now()
    return LoginSession(user=user, amr=list(amr), auth_time=now, idle_at=now, ends_at=now, **fields)


@pytest.mark.parametrize(
    "words, methods, requirement",
    [
        ("", [], Requirement.CREDENTIAL), ("", [P], DONE), ("", [U], DONE), ("app", [P, T], DONE),
        ("app", [P], SECOND), ("app", [T], SECOND), ("app", [P, B], DONE), ("app", [M, R], DONE),
        ("app", [P, M], SECOND), ("app mailed", [P, M], DONE), ("app mailed", [P, F], SECOND),
        ("app mailed", [M, M], SECOND), ("app mailed strict", [P, M], SECOND),
        ("passkey", [K], DONE), ("passkey", [U], SECOND), ("passkey", [F, K], DONE),
        ("all", [P], ENROL), ("all", [M], ENROL), ("staff app mailed", [P, M], SECOND),
        ("staff", [P], Requirement.MAILBOX), ("staff", [M], Requirement.PASSWORD),
        ("staff", [P, M], ENROL), ("staff", [OP], ENROL), ("staff new", [P], ENROL),
        ("staff passkeys app", [P, T], Requirement.PASSKEY), ("staff passkeys app", [P], SECOND),
        ("staff passkeys passkey app", [P, T], SECOND), ("passkeys app", [P, T], DONE),
        ("staff passkeys passkey", [P, R], Requirement.PASSKEY),
        ("staff passkeys passkey", [P, B], SECOND), ("staff passkeys passkey", [P, K], DONE),
        ("staff passkeys passkey", [K], DONE), ("terms", [P], Requirement.TERMS),
        ("terms app", [P], SECOND), ("leaving terms", [P], Requirement.KEEP_ACCOUNT),
    ],
)  # fmt: skip
def test_a_sign_in_requires_what_the_table_says(person, words, methods, requirement):
    proofs = tuple(map(Proof.now, methods))

    assert policy.next_requirement(person(words), proofs) is requirement


def test_staff_who_have_signed_in_before_are_not_new(person):
    user = person("staff new")
    user.last_login = site_clock.now()

    assert policy.next_requirement(user, (Proof.now(P),)) is Requirement.MAILBOX
    assert policy.takes_mail(user, (Proof.now(P),))


def test_a_sign_up_requires_the_email_after_a_known_method():
    unknown = Proof(Method("newer"), site_clock.now())

    assert policy.next_requirement(PendingSignup(), (Proof.now(P),)) is Requirement.EMAIL
    assert policy.next_requirement(PendingSignup(), (unknown,)) is Requirement.CREDENTIAL


@pytest.mark.parametrize(
    "words, may",
    [("app", True), ("passkey", True), ("", False), ("app strict", False), ("app staff", False)],
)
def test_emailed_codes_are_for_people_with_a_factor_and_an_email_address(person, words, may):
    user = person(words)

    assert policy.may_use_emailed_codes(user) is may
    user.email = ""
    assert not policy.may_use_emailed_codes(user)


@pytest.mark.parametrize(
    "words, methods, may",
    [
        ("", [P], True), ("", [P, F], True), ("", [M], False), ("", [M, P], False),
        ("app", [P], False), ("unconfirmed", [P], False), ("staff", [P], False),
        ("all", [P], False), ("staff optional", [P], False),
    ],
)  # fmt: skip
def test_a_browser_makes_a_passkey_just_after_the_password(person, clock, words, methods, may):
    session = session_of(person(words), *methods)

    assert policy.may_make_passkey(session) is may
    clock.advance(seconds=policy.MAKE_PASSKEY.total_seconds())
    assert not policy.may_make_passkey(session)


@pytest.mark.parametrize(
    "words, methods, is_enough",
    [
        ("", [P], True), ("all", [P], False), ("all app", [P, T], True), ("staff", [P], False),
        ("staff passkeys", [P, T], False), ("staff passkeys", [P, K], True),
        ("passkeys", [P], True),
    ],
)  # fmt: skip
def test_the_admin_requires_the_factor_that_the_settings_say(person, words, methods, is_enough):
    assert policy.suffices(session_of(person(words), *methods)) is is_enough


@pytest.mark.parametrize(
    "words, methods, may",
    [
        ("", [P], True), ("app all", [P], True), ("all", [P], True), ("staff", [P], False),
        ("staff", [P, M], True), ("staff app", [P], True), ("staff optional", [P], True),
    ],
)  # fmt: skip
def test_who_must_have_a_factor_adds_it_after_the_proofs_of_a_sign_in(person, words, methods, may):
    assert policy.may_enrol(session_of(person(words), *methods)) is may


@pytest.mark.parametrize(
    "words, counts",
    [
        ("", "auth_time"), ("app", "factor_at"), ("passkey", "factor_at"),
        ("staff app passkeys", "factor_at"), ("staff passkey", "factor_at"),
        ("staff passkeys app passkey", "passkey_at"),
    ],
)  # fmt: skip
def test_only_the_strongest_proof_makes_authentication_recent(person, clock, words, counts):
    session = session_of(person(words), P)
    session.auth_time = session.factor_at = session.passkey_at = None
    assert not policy.is_recent(session)
    assert not policy.may_end_sessions(session)
    setattr(session, counts, clock.now())

    clock.advance(seconds=current.RECENT_TO_OPEN.total_seconds())
    assert policy.is_recent(session, is_opening=True)
    clock.advance(seconds=1)
    assert not policy.is_recent(session, is_opening=True)
    clock.advance(seconds=current.RECENT_TO_OPEN.total_seconds() - 1)
    assert policy.is_recent(session)
    clock.advance(seconds=1)
    assert not policy.is_recent(session)
    assert policy.may_end_sessions(session)


@pytest.mark.parametrize(
    "words, methods",
    [
        ("", "password"), ("passwordless", ""), ("app", "code"), ("passkey", "passkey code"),
        ("staff passkeys passkey", "passkey"), ("staff passkeys app", "code"),
        ("staff passkey", "passkey code"), ("staff passkeys passkey unproven", "passkey code"),
    ],
)  # fmt: skip
def test_who_has_a_factor_reauthenticates_with_it(person, words, methods):
    names = ("passkey", "code", "password")
    now = site_clock.now()
    session = session_of(person(words), P, factor_at=now, stepped_up_at=now)
    if "unproven" in words:  # only a new factor was shown
        session.stepped_up_at = None
    expected = ReauthenticationMethods(*(name in methods.split() for name in names))

    assert policy.reauthentication_methods(session) == expected


@pytest.mark.parametrize(
    "words, method, must, days",
    [
        ("", M, False, 30), ("passwordless", M, True, 30), ("passwordless", F, False, 30),
        ("staff passkeys", P, True, 0), ("passkeys", P, False, 30),
    ],
)  # fmt: skip
def test_who_must_add_a_passkey_and_who_may_trust_a_browser(person, words, method, must, days):
    user = person(words)

    assert policy.must_enrol_passkey(user, (Proof.now(method), Proof.now(T))) is must
    assert policy.trusted_browser_days(user) == days


def test_a_new_factor_counts_after_an_old_one_in_the_same_sign_in(alice, clock):
    enrolled(alice)
    clock.advance(days=8)
    passkey = passkey_of(alice)
    clock.advance(seconds=1)
    old, new = Proof.of(T, Authenticator.objects.get()), Proof.of(K, passkey)

    assert policy.stepped_up_at(alice, [new]) is None
    assert policy.stepped_up_at(alice, [old, new, Proof.now(P)]) == new.at
    assert policy.stepped_up_at(alice, [Proof.now(P), Proof.now(K)]) is None


def test_a_new_factor_counts_in_a_session_after_a_week_or_an_older_one(alice, clock):
    enrolled(alice)
    clock.advance(days=8)
    session = session_of(alice, P)
    new, old = passkey_of(alice), Proof.of(T, Authenticator.objects.get())
    unnamed = Proof.now(K)
    session.stepped_up_at = site_clock.now()

    assert policy.steps_up(session, old)
    assert policy.steps_up(session, Proof.now(T, old.key))
    assert not policy.steps_up(session, unnamed), "shown at the moment at which it was added"
    assert policy.new_factor(session) == NewFactor(may_show=True, until=new.made_at + NEW)
    session.stepped_up_at += timedelta(seconds=1)
    assert policy.steps_up(session, unnamed)
    session.stepped_up_at = None
    clock.advance(seconds=NEW.total_seconds() - 1)
    assert not policy.steps_up(session, unnamed)
    clock.advance(seconds=1)
    assert policy.steps_up(session, unnamed)
    assert not policy.steps_up(session, Proof.now(P))


def test_the_first_factor_counts_in_sessions_that_begin_after_it(alice, clock):
    enrolled(alice)
    session = session_of(alice, P, begun_at=Authenticator.objects.get().made_at)

    assert policy.steps_up(session, Proof.now(T))
    session.begun_at -= timedelta(seconds=1)
    assert not policy.steps_up(session, Proof.now(T))
    assert policy.new_factor(session) == NewFactor(may_show=False, until=None)
    Authenticator.objects.all().delete()
    assert not policy.steps_up(session, Proof.now(T))
    assert policy.new_factor(session) == NewFactor(may_show=False, until=None)
