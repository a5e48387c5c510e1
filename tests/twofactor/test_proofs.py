"""The rules below the pages: what a proof costs and records, what a change ends."""

import dataclasses
from typing import Any

import pytest

from accounts.activity.services import OPERATOR, Source
from accounts.kernel.errors import Later
from accounts.kernel.places import Place
from accounts.kernel.proofs import Method
from accounts.sessions.models import LoginSession
from accounts.twofactor import proving, recovery
from accounts.twofactor import services as twofactor
from accounts.twofactor.errors import TooMany, WrongCode
from accounts.twofactor.models import Authenticator, FactorRecovery, RecoveryCodes
from accounts.users.models import User
from accounts.users.services import Outdated
from tests.conftest import Clock
from tests.support.second import code_of, enrolled, unused_code
from tests.support.signin import signed_in
from tests.support.steps import is_signed_in, mail_to, make_staff, make_user

pytestmark = pytest.mark.django_db

HOME = Source(Place("192.0.2.1", "Firefox"))
CAFE = Source(Place("203.0.113.9", "curl"))
WRONG = "000000"
# Of somebody who has none.
RECOVERY_CODE = "22222-22222"


@pytest.fixture
def alice(clock: Clock) -> User:
    alice = make_user("alice")
    enrolled(alice)
    return alice


def guess(user: User, source: Source = HOME, code: str = WRONG) -> str:
    try:
        return proving.prove(user, code, source).method
    except WrongCode:
        return "wrong"
    except Later:
        return "later"


def test_five_tries_at_once_then_one_a_minute(alice: User, clock: Clock) -> None:
    assert [guess(alice) for _ in range(7)] == ["wrong"] * 5 + ["later"] * 2

    clock.advance(seconds=59)
    assert guess(alice) == "later"
    clock.advance(seconds=1)
    assert [guess(alice), guess(alice)] == ["wrong", "later"]
    clock.advance(minutes=5)
    assert [guess(alice) for _ in range(6)] == ["wrong"] * 5 + ["later"]


def test_thirty_tries_a_day_then_one_in_48_minutes(alice: User, clock: Clock) -> None:
    begun = clock.now()
    tries = [guess(alice)]
    for _ in range(30):
        clock.advance(minutes=1)
        tries.append(guess(alice))
    assert tries == ["wrong"] * 30 + ["later"]
    assert (clock.now() - begun).total_seconds() == 30 * 60

    def counted(minutes: int) -> int:
        """How many are let through, tried once a minute."""
        passed = 0
        for _ in range(minutes):
            clock.advance(minutes=1)
            passed += guess(alice) == "wrong"
        return passed

    assert counted(17) == 0
    assert counted(1) == 1, "48 minutes after the first"
    assert counted(48) == 1
    assert counted(24 * 60) == 30, "in a whole day"


def test_a_success_gives_back_its_own_try_and_nothing_else(alice: User, clock: Clock) -> None:
    assert [guess(alice) for _ in range(4)] == ["wrong"] * 4
    assert guess(alice, HOME, unused_code(alice)) == Method.TOTP

    assert [guess(alice, CAFE), guess(alice, CAFE)] == ["wrong", "later"]


def test_a_place_where_it_was_shown_has_budgets_of_its_own(alice: User, clock: Clock) -> None:
    assert guess(alice, HOME, unused_code(alice)) == Method.TOTP

    assert [guess(alice, CAFE) for _ in range(6)] == ["wrong"] * 5 + ["later"]
    assert [guess(alice, HOME) for _ in range(6)] == ["wrong"] * 5 + ["later"]


def test_what_nobody_guesses_costs_the_account_nothing(alice: User, clock: Clock) -> None:
    """Or whoever knows the password would keep the owner out of the way back."""
    for code in (RECOVERY_CODE, "ABCD2345"):
        clock.advance(minutes=5)
        assert [guess(alice, CAFE, code) for _ in range(31)] == ["wrong"] * 30 + ["later"]
    assert not alice.activity.filter(kind="factor_blocked").exists()

    clock.advance(minutes=5)
    assert [guess(alice, CAFE) for _ in range(6)] == ["wrong"] * 5 + ["later"]
    (code, *_) = twofactor.make_recovery_codes(alice, HOME)
    assert [guess(alice), guess(alice, HOME, code)] == ["later", Method.RECOVERY_CODE]


def test_the_place_where_a_factor_was_added_has_budgets_of_its_own(clock: Clock) -> None:
    alice, seed = make_user("alice"), twofactor.new_seed()
    twofactor.enrol(alice, seed, code_of(seed), "Phone", HOME)

    assert [guess(alice, CAFE) for _ in range(6)] == ["wrong"] * 5 + ["later"]
    assert guess(alice, HOME, unused_code(alice)) == Method.TOTP


def test_every_wrong_one_is_recorded_and_a_block_once_an_hour(alice: User, clock: Clock) -> None:
    for _ in range(2):
        for _ in range(8):
            guess(alice)
        clock.advance(minutes=30)
    kinds = list(alice.activity.values_list("kind", flat=True))
    assert kinds.count("factor_failed_new") == 1, "once a day"
    assert kinds.count("factor_failed") == 9
    assert kinds.count("factor_blocked") == 1
    clock.advance(minutes=30)
    for _ in range(6):
        guess(alice)

    assert alice.activity.filter(kind="factor_blocked").count() == 2
    body = str(mail_to("alice").body)
    assert "The first step of a sign-in was right, then too many codes were wrong." in body
    assert "192.0.2.1" in body


def test_a_code_of_a_mail_is_tried_only_where_the_caller_takes_one(alice: User) -> None:
    tried: list[str] = []

    def mailed(code: str) -> bool:
        tried.append(code)
        return True

    assert guess(alice, HOME, "ABCD2345") == "wrong"
    assert proving.prove(alice, "abcd 2345", HOME, mailed=mailed).method is Method.MAIL
    with pytest.raises(WrongCode):
        proving.prove(alice, "123 45", HOME, mailed=mailed)
    assert tried == ["ABCD2345"]


def test_each_of_several_authenticators_is_good_and_only_its_own_code_is_used_up(
    alice: User, clock: Clock
) -> None:
    seeds = [Authenticator.objects.get().seed, enrolled(alice)]

    assert guess(alice, HOME, code_of(seeds[1])) == Method.TOTP
    assert guess(alice, HOME, code_of(seeds[0])) == Method.TOTP
    assert guess(alice, HOME, code_of(seeds[1])) == "wrong"


def test_there_are_five_authenticators_at_most(clock: Clock) -> None:
    alice = make_user("alice")
    for _ in range(5):
        seed = twofactor.new_seed()
        twofactor.enrol(alice, seed, code_of(seed), "Phone", HOME)
    seed = twofactor.new_seed()

    with pytest.raises(TooMany):
        twofactor.enrol(alice, seed, code_of(seed), "Phone", HOME)

    assert Authenticator.objects.count() == 5


def test_an_account_that_was_changed_meanwhile_is_not_enrolled(clock: Clock) -> None:
    as_read, seed = make_user("alice"), twofactor.new_seed()
    meanwhile = User.objects.get()
    meanwhile.set_password("slow comet over the harbour")
    meanwhile.save()

    with pytest.raises(Outdated):
        twofactor.enrol(as_read, seed, code_of(seed), "Phone", HOME)

    assert not Authenticator.objects.exists()
    assert not RecoveryCodes.objects.exists()


@pytest.mark.parametrize("name", ["alice", "carol"])
def test_a_reset_by_whoever_runs_the_site_removes_everything_and_tells(
    alice: User, name: str
) -> None:
    """Staff as well: it's their one way back."""
    user = alice if name == "alice" else make_staff("carol")
    twofactor.make_recovery_codes(user, HOME)
    browser = signed_in(user)

    twofactor.reset(user, Source(actor=OPERATOR))

    assert not twofactor.has_any(user)
    assert not Authenticator.objects.filter(user=user).exists()
    assert not RecoveryCodes.objects.filter(user=user).exists()
    assert not is_signed_in(browser)
    assert mail_to(name).subject == "authsite: All second factors were removed"
    assert "By: whoever runs authsite" in str(mail_to(name).body)


def test_a_reset_removes_no_factor_of_anybody_else(alice: User) -> None:
    bob = make_user("bob")
    enrolled(bob)

    twofactor.reset(alice, Source(actor=OPERATOR))

    assert list(Authenticator.objects.values_list("user__username", flat=True)) == ["bob"]


def test_a_reset_ends_a_removal_that_waits(alice: User, clock: Clock) -> None:
    recovery.ask(alice, CAFE)
    twofactor.reset(alice, Source(actor=OPERATOR))
    enrolled(alice)
    clock.advance(hours=72)

    with pytest.raises(recovery.NotDue):
        twofactor.recover(User.objects.get(), CAFE)

    assert Authenticator.objects.exists()


def test_recovering_waits_out_the_period_and_ends_every_sign_in(alice: User, clock: Clock) -> None:
    due = recovery.ask(alice, CAFE).due_at
    assert (due - clock.now()).total_seconds() == 72 * 3600
    clock.advance(hours=71, minutes=59)
    with pytest.raises(recovery.NotDue):
        twofactor.recover(alice, CAFE)
    assert Authenticator.objects.exists()
    browser = signed_in(alice)
    clock.advance(minutes=1)

    twofactor.recover(alice, CAFE)

    assert not Authenticator.objects.exists()
    assert not FactorRecovery.objects.exists()
    assert not is_signed_in(browser)
    assert LoginSession.objects.get().ended_at
    assert mail_to("alice").subject.startswith("authsite: All second factors were removed after")
    with pytest.raises(recovery.NotDue):
        twofactor.recover(alice, CAFE)


def test_asking_again_goes_on_with_the_period_that_runs(alice: User, clock: Clock) -> None:
    first = recovery.ask(alice, CAFE).due_at
    clock.advance(hours=48)

    assert recovery.ask(alice, HOME).due_at == first

    assert alice.activity.filter(kind="recovery_asked").count() == 1


@pytest.mark.parametrize("hours", [1, 24, 720])
def test_the_operator_sets_the_period(alice: User, clock: Clock, settings: Any, hours: int) -> None:
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, factor_recovery_hours=hours)
    recovery.ask(alice, CAFE)
    clock.advance(hours=hours, seconds=-1)
    assert not recovery.is_due(recovery.running(alice))
    clock.advance(seconds=1)

    assert recovery.is_due(recovery.running(alice))


def test_a_period_that_nobody_finished_is_pruned_after_a_week(alice: User, clock: Clock) -> None:
    recovery.ask(alice, CAFE)
    clock.advance(hours=72, days=6)
    assert recovery.prune() == 0
    clock.advance(days=1)

    assert recovery.prune() == 1
    assert recovery.running(alice) is None
