"""The waiting period after which somebody without the second factor may remove it."""

from accounts.activity.services import Actor
from accounts.common import clock as site_clock
from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Method, Proof
from accounts.recovery import services as recovery
from accounts.recovery.models import OPEN, Recovery
from accounts.recovery.rule import MONTH, Kind, Opening, Thing
from tests.support.disputes import MINE, accept_notices
from tests.support.second_factor import enrolled
from tests.support.signin import set_up
from tests.support.steps import make_user

P, M, F = Kind


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


def test_openings_stops_cases_and_lone_locks_are_remembered_for_thirty_days(clock):
    now = site_clock.now()
    row = Recovery(opened_at=now, opened_with=2, stopped_at=now, stopped=[P], support_asked_at=now)
    row.at_support, row.lone_locks = [[[P, ""], [M, "a"]]], {"a": now.isoformat()}

    clock.advance(seconds=MONTH.total_seconds() - 1)
    assert row.opening == Opening(now, 2)
    assert row.shown_to_support == [["mailbox", "password"]]
    assert [row.refuses(kinds) for kinds in ({P}, {M}, {P, M})] == [True, True, False]
    assert row.locked_alone_by() == {"a"}
    clock.advance(seconds=1)
    assert (row.opening, row.cases, row.locked_alone_by()) == (None, [], set())
    assert not row.refuses({P})


def test_a_request_waits_from_the_first_notice_on_and_is_current_for_a_week_afterwards(clock):
    row = Recovery(asked_at=site_clock.now(), asked=[[M, "a"]])
    assert not Recovery().is_current
    clock.advance(seconds=(Recovery.wait() + OPEN).total_seconds() - 1)
    assert row.is_current
    assert not row.is_due
    clock.advance(seconds=1)
    assert not row.is_current

    row.warned_at = site_clock.now()
    clock.advance(seconds=Recovery.wait().total_seconds() - 1)
    assert row.is_current
    assert not row.is_due
    clock.advance(seconds=1)
    assert row.is_due


def test_a_request_is_finished_with_all_that_it_was_made_with():
    row, a, b = Recovery(asked=[[M, "a"]]), Thing(M, "a"), Thing(M, "b")

    assert row.covered_by({a, b})
    assert row.covered_by({a})
    assert not row.covered_by({b})
    assert not Recovery().covered_by({b})
