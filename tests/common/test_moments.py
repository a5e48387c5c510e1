"""Dates and times in the words, language and time zone of the reader."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone, translation

from accounts.common import localization
from tests.support.clock import Clock

# A Wednesday; in Tokyo it is Thursday already.
NOW = datetime(2026, 11, 25, 20, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _now(clock: Clock) -> None:
    clock.set(NOW)


@pytest.mark.parametrize(
    "at, words",
    [
        (NOW, "Today, 20:30 UTC"),
        (NOW - timedelta(hours=21), "Yesterday, 23:30 UTC"),
        (NOW - timedelta(days=2), "Monday, 20:30 UTC"),
        (NOW - timedelta(days=6), "Thursday, 20:30 UTC"),
        (NOW - timedelta(days=7), "18 November 2026, 20:30 UTC"),
        (NOW + timedelta(days=1), "26 November 2026, 20:30 UTC"),
    ],
)
def test_a_moment_of_the_last_week_is_told_by_its_day(at: datetime, words: str) -> None:
    assert localization.in_words(at) == words


def test_days_and_times_are_those_of_the_reader() -> None:
    with timezone.override(ZoneInfo("Asia/Tokyo")):
        assert localization.in_words(NOW) == "Today, 05:30"
        assert localization.in_words(NOW - timedelta(hours=6)) == "Yesterday, 23:30"


@pytest.mark.parametrize(
    "days, words",
    [
        (0, "Today"),
        (1, "Yesterday"),
        (2, "Monday, 23 November"),
        (328, "Thursday, 1 January"),
        (329, "Wednesday, 31 December 2025"),
    ],
)
def test_a_heading_has_the_year_only_of_other_years(days: int, words: str) -> None:
    assert localization.day_in_words(localization.day_of(NOW - timedelta(days=days))) == words


def test_dates_are_written_as_the_language_writes_them() -> None:
    assert localization.date_in_words(NOW) == "25 November 2026"
    with translation.override("de"):
        assert localization.date_in_words(NOW) == "25. November 2026"
        assert localization.day_in_words(localization.day_of(NOW - timedelta(days=2))) == (
            "Montag, 23. November"
        )


@pytest.mark.parametrize(
    "days, words",
    [
        (1, "1 day"),
        (13, "13 days"),
        (14, "2 weeks"),
        (37, "5 weeks"),
        (62, "8 weeks"),
        (63, "2 months"),
        (365, "12 months"),
    ],
)
def test_an_interval_is_in_the_unit_that_people_count_in(days: int, words: str) -> None:
    assert localization.interval_in_words(timedelta(days=days, hours=5)) == words
