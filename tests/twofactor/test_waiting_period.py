"""The waiting period after which somebody without the second factor may remove it."""

from accounts.common import clock as site_clock
from accounts.recovery.models import Recovery
from accounts.recovery.rule import MONTH, Kind, Opening, Thing
from tests.support.signin import set_up

P, M, F = Kind


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


def test_a_request_waits_from_the_first_notice_on_and_is_current_for_a_week_afterwards(
    clock, settings
):
    set_up(settings, factor_recovery_hours=24)
    row = Recovery(asked_at=site_clock.now(), asked=[[M, "a"]])
    assert not Recovery().is_current
    clock.advance(days=8, seconds=-1)
    assert row.is_current
    assert not row.is_due
    clock.advance(seconds=1)
    assert not row.is_current

    row.warned_at = site_clock.now()
    clock.advance(hours=24, seconds=-1)
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
