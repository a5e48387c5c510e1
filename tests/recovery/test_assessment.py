"""What somebody can do next to recover an account, by what was shown and by whom."""

from datetime import timedelta

import pytest

from accounts.common import clock as site_clock
from accounts.recovery import services
from accounts.recovery.checklist import WORDS, Checklist
from accounts.recovery.models import OPEN, Recovery
from accounts.recovery.rule import BEFORE, Kind, Lock, Ownership, Thing
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


@pytest.mark.parametrize(
    "given, listed, missing, said",
    [
        (["PM", ""], "p m f", "PMF", ""), (["PMF", ""], "p m f", "PMF", ""),
        (["pm", ""], "p m f", "PMF", ""), (["PM", "P"], "P m", "M", ""),
        (["pm", "P"], "P* m*", "M", ""), (["pm", "PM"], "P* M*", "", ""),
        (["pmf", "P"], "P* m* f*", "MF", "needs_factor"),
        (["pmf", "PM"], "P* M* f*", "F", "needs_factor lacks_factor"),
        (["pmf", "PF"], "P* m* F*", "M", "needs_factor"),
        (["pmf", "PF", "", "PM"], "P* m* F*", "M", "needs_factor is_equal_to_others"),
    ],
)  # fmt: skip
def test_the_checklist_says_what_is_missing_to_whoever_has_shown_something(
    given, listed, missing, said
):
    found = Checklist(assessment(*given))
    letters = {str(WORDS[kind][0]): letter for letter, kind in KINDS.items()}
    entries = [(letters[str(entry.label)], entry) for entry in found.entries]
    flags = ("needs_factor", "lacks_factor", "is_equal_to_others")

    assert listed == " ".join(
        (letter if entry.is_shown else letter.lower()) + "*" * bool(entry.names)
        for letter, entry in entries
    )
    assert (found.missing, found.needed) == ({KINDS[letter] for letter in missing}, 2)
    assert [flag for flag in flags if getattr(found, flag)] == said.split()


def test_the_checklist_names_the_oldest_first_and_nothing_for_what_was_removed_long_before():
    now = site_clock.now()
    lock = Lock(now, now - 10 * BEFORE)
    ages = {"z@": None, "y@": 30, "b@": 20, "c@": 20}
    mailboxes = {
        Thing(KINDS["M"], name, age and now - age * BEFORE, name=name) for name, age in ages.items()
    }
    former = Thing(KINDS["P"], "P", until=now - BEFORE - timedelta(seconds=1))
    ownership = Ownership(frozenset(mailboxes | {former}), lock)

    unknown, known = (
        Checklist(Assessment(ownership, frozenset(shown), None, may_wait=True))
        for shown in ({former}, {former, *mailboxes})
    )

    assert (unknown.shown, [entry.names for entry in unknown.entries]) == (set(), [()] * 3)
    assert [list(entry.names) for entry in known.entries][1] == list(ages)
