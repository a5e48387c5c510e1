"""The waiting period after which somebody without the second factor may remove it."""

from accounts.activity.services import Actor
from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Method, Proof
from accounts.recovery import services as recovery
from tests.support.disputes import MINE, accept_notices
from tests.support.second_factor import enrolled
from tests.support.signin import set_up
from tests.support.steps import make_user


def test_a_setting_gives_the_waiting_period_and_unfinished_recoveries_end_after_a_week(
    clock, settings
):
    alice, mailbox = make_user("alice"), Proof.now(Method.MAIL, MINE)
    enrolled(alice)
    set_up(settings, factor_recovery_hours=24)
    recovery.ask(alice, mailbox, actor=Actor(ClientInfo("192.0.2.1", "Firefox")))
    accept_notices()
    clock.advance(hours=24, seconds=-1)
    assert not recovery.assess(alice, mailbox).may_finish
    clock.advance(seconds=1)
    assert recovery.assess(alice, mailbox).may_finish

    clock.advance(days=7)
    assert not recovery.assess(alice, mailbox).may_finish
    assert recovery.prune() == 0
    clock.advance(days=30)
    assert recovery.prune() == 1
