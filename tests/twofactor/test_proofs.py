"""The services of second factors and recovery, below the pages."""

import pytest

from accounts.activity.services import Actor
from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Method
from accounts.recovery import services as recovery
from accounts.twofactor import services as twofactor
from accounts.twofactor import verification
from accounts.twofactor.errors import WrongFactorCode
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.users.disputes import Evidence, OwnershipEvidence
from accounts.users.models import User
from accounts.users.services import AccountChanged
from tests.support.second_factor import code_of, enrolled
from tests.support.signin import set_up
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db

HOME = Actor(ClientInfo("192.0.2.1", "Firefox"))
SHOWN = frozenset({OwnershipEvidence(Evidence.PASSWORD)})


@pytest.fixture
def alice(clock):
    alice = make_user("alice")
    enrolled(alice)
    return alice


def test_a_mailed_code_is_tried_only_if_the_caller_accepts_one(alice):
    tried: list[str] = []

    def mailed(code):
        tried.append(code)
        return True

    with pytest.raises(WrongFactorCode):
        verification.verify(alice, "12345678", HOME)
    assert verification.verify(alice, "1234 5678", HOME, mailed=mailed).method is Method.MAIL
    with pytest.raises(WrongFactorCode):
        verification.verify(alice, "123 45", HOME, mailed=mailed)
    assert tried == ["12345678"]


def test_enrolment_fails_if_the_account_was_changed_meanwhile(clock):
    as_read, seed = make_user("alice"), twofactor.new_seed()
    meanwhile = User.objects.get()
    meanwhile.set_password("slow comet over the harbour")
    meanwhile.save()

    with pytest.raises(AccountChanged):
        twofactor.enrol(as_read, seed, code_of(seed), "Phone", HOME)

    assert not Authenticator.objects.exists()
    assert not RecoveryCodes.objects.exists()


def test_a_setting_gives_the_waiting_period_and_unfinished_recoveries_end_after_a_week(
    alice, clock, settings
):
    set_up(settings, factor_recovery_hours=24)
    due = recovery.ask(alice, SHOWN, HOME).due_at
    clock.advance(hours=24, seconds=-1)
    assert recovery.ask(alice, SHOWN, HOME).due_at == due, "a second request continues the first"
    assert not recovery.assess(alice, SHOWN).may_finish
    clock.advance(seconds=1)
    assert recovery.assess(alice, SHOWN).may_finish

    clock.advance(days=6)
    assert recovery.prune() == 0
    clock.advance(days=1)
    assert recovery.prune() == 1
