"""The waiting period after which somebody without the second factor may remove it."""

import pytest

from accounts.activity.services import Actor
from accounts.common.client_info import ClientInfo
from accounts.recovery import services as recovery
from accounts.users.disputes import Evidence, OwnershipEvidence
from tests.support.second_factor import enrolled
from tests.support.signin import set_up
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db

HOME = Actor(ClientInfo("192.0.2.1", "Firefox"))
SHOWN = frozenset({OwnershipEvidence(Evidence.PASSWORD)})


def test_a_setting_gives_the_waiting_period_and_unfinished_recoveries_end_after_a_week(
    clock, settings
):
    alice = make_user("alice")
    enrolled(alice)
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
