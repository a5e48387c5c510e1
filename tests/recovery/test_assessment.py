"""What somebody can do next to recover an account, by what was shown and by whom."""

import pytest

from accounts.common import clock as site_clock
from accounts.recovery import services
from accounts.recovery.models import OPEN, Recovery
from accounts.recovery.rule import Kind, Lock, Ownership, Thing
from accounts.recovery.services import Assessment
from tests.support.signin import set_up

KINDS = dict(zip("PMF", Kind, strict=True))


def things(letters):
    return frozenset(Thing(KINDS[letter], letter) for letter in letters)


def stored(letters):
    return [[KINDS[letter], letter] for letter in letters]


def owned(has):
    """Return the facts of an account that has ``has``; in lower case if it is locked."""
    now = site_clock.now()
    return Ownership(things(has.upper()), Lock(now, now) if has.islower() else None)


def assessment(has, shown, asked="", *others):
    """Return what ``shown`` allows, and ``others`` at Support; both are letters of kinds.

    ``asked``: what the current request has shown; in lower case if its wait has ended.
    """
    now, running = site_clock.now(), None
    if asked:
        warned_at = now - Recovery.wait() if asked.islower() else None
        running = Recovery(asked=stored(asked.upper()), asked_at=now, warned_at=warned_at)
    at_support = tuple(map(things, others))
    return Assessment(owned(has), things(shown), running, may_wait=not others, others=at_support)


@pytest.mark.parametrize(
    "given, acts, step",
    [
        (["PMF", ""], "", "support"), (["PM", "M"], "finish", "support"),
        (["PMF", "M"], "ask", "ask"), (["PMF", "P"], "ask_support", "support"),
        (["PMF", "M", "", "F"], "ask_support", "support"), (["PMF", "MF"], "finish", "support"),
        (["PMF", "MF", "", "P"], "finish", "support"),
        (["PMF", "MF", "", "P", "PM"], "ask_support", "support"),
        (["PMF", "PMF", "", "PM"], "finish", "support"), (["PMF", "M", "M"], "", "come_back"),
        (["PMF", "PM", "M"], "ask stop", "stop"), (["PMF", "M", "PM"], "ask_support", "show_more"),
        (["PMF", "F", "PM"], "ask_support stop", "stop"), (["PMF", "M", "m"], "finish", "finish"),
        (["PMF", "P", "m"], "ask_support", "show_more"),
        (["PMF", "M", "m", "P"], "ask_support", "finish"),
        (["pmf", "F", "M"], "ask_support", "show_more"),
        (["pmf", "PF", "M"], "finish stop", "stop"),
        (["pmf", "PM", "M", "F"], "ask_support stop", "stop"),
    ],
)  # fmt: skip
def test_what_was_shown_decides_what_is_next(given, acts, step):
    found = assessment(*given)
    possible = ("finish", "ask", "ask_support", "stop")

    assert [act for act in possible if getattr(found, f"may_{act}")] == acts.split()
    assert found.step == step


@pytest.mark.parametrize(
    "has, stopped, by, stops",
    [
        ("PMF", "M", "P", True), ("pmf", "M", "P", False), ("pmf", "M", "F", True),
        ("pmf", "M", "PM", True), ("pm", "PM", "PM", True), ("pm", "M", "F", False),
        ("pm", "M", None, True),
    ],
)  # fmt: skip
def test_a_lock_undoes_a_stop_by_too_little_of_what_still_counts(has, stopped, by, stops):
    row = Recovery(stopped=[KINDS[letter] for letter in stopped])
    row.stopped_by = None if by is None else stored(by)

    assert services._still_stops(row, owned(has)) is stops


@pytest.mark.parametrize("hours, days", [(24, "1"), (48, "2"), (36, "0")])
def test_a_wait_of_whole_days_is_told_in_days(settings, hours, days):
    set_up(settings, factor_recovery_hours=hours)

    assert str(assessment("PMF", "M").wait_days) == days


def test_a_request_expires_a_week_after_its_wait(clock):
    found, now = assessment("PMF", "M", "M"), clock.now()

    assert found.wait_ends_at == now + Recovery.wait()
    assert found.ends_at == now + Recovery.wait() + OPEN
    assert assessment("PMF", "M").ends_at is None
