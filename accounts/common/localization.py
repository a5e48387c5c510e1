"""Dates, times, time zones and languages, as the reader sees them.

If the reader has not chosen a time zone, times are in UTC and end with "UTC".
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.conf import settings
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.common import clock


def speaking(language: str) -> translation.override:
    """Return a context manager that activates ``language``, or ``LANGUAGE_CODE`` if it is empty."""
    return translation.override(language or settings.LANGUAGE_CODE)


@contextmanager
def writing_to(language: str, time_zone: str) -> Iterator[None]:
    """Return a context manager that activates the language and the time zone of a recipient."""
    with speaking(language), timezone.override(zone(time_zone)):
        yield


def spoken() -> str:
    """Return the active language. During a request, this is the language of the client."""
    return translation.get_language() or settings.LANGUAGE_CODE


def tag_of(language: str) -> str:
    """Return the language tag of a language in ``LANGUAGES``, such as pt-BR (RFC 5646)."""
    return translation.to_locale(language).replace("_", "-")


# The punctuation marks that differ from those of English, with the spaces around them.
MARKS = {
    "ar": {",": "، ", ";": "؛ "},
    "fr": {":": "\N{NO-BREAK SPACE}: ", ";": "\N{NO-BREAK SPACE}; "},
    "ja": {",": "、", ";": "；", ":": "："},
}


def listed(words: Iterable[str], mark: str = ",") -> str:
    """Join ``words`` by ``mark`` as the active language writes it."""
    return MARKS.get(spoken(), {}).get(mark, f"{mark} ").join(words)


def without_full_stop(sentence: str) -> str:
    """Return ``sentence`` without the full stop at its end, for a heading."""
    return sentence.rstrip(".。")


DEFAULT = "UTC"
# The areas of the IANA database from which people choose. Other names are offsets, countries and
# files.
AREAS = {
    "Africa",
    "America",
    "Antarctica",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
}


def canonical_name(typed: str) -> str | None:
    """Return the name of the time zone that ``typed`` names, or None if there is none.

    ``typed`` is a name or a city, such as "America/New_York", "America/New York" or "new york".
    """
    return _by_words().get(typed.strip().replace(" ", "_").casefold())


def is_offered(name: str) -> bool:
    """Return whether people can choose the time zone ``name``."""
    return canonical_name(name) == name


def zone(name: str) -> tzinfo:
    """Return the time zone called ``name``, or UTC if this machine has no such time zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


@lru_cache(maxsize=1)
def _by_words() -> dict[str, str]:
    """Return the names of the time zones by name and by city, both in lower case.

    A city with several names, such as Buenos Aires, has the same time in all of them.
    """
    # Cached, because this call opens hundreds of files.
    names = sorted(n for n in available_timezones() if n.partition("/")[0] in AREAS)
    cities = {name.rpartition("/")[2].casefold(): name for name in names}
    return cities | {name.casefold(): name for name in [DEFAULT, *names]}


WEEK = timedelta(days=7)
# From this length on, intervals are given in months.
NINE_WEEKS = 9 * WEEK


def day_of(at: datetime) -> date:
    """Return the day of ``at`` in the time zone of the reader."""
    return timezone.localtime(at).date()


def _written(at: date | time, form: str) -> str:
    return _in_language(spoken(), at, form)


# Without it, a page with many dates takes 5 % longer. No text depends on more than the arguments.
@lru_cache(maxsize=2048)
def _in_language(_language: str, at: date | time, form: str) -> str:
    return date_format(cast(date, at), form)


def day_in_words(day: date) -> str:
    """Return a heading for ``day``: Today, Yesterday, or the weekday and the date."""
    today = day_of(clock.now())
    if day == today:
        return _("Today")
    if day == today - timedelta(days=1):
        return _("Yesterday")
    date_words = _written(day, "MONTH_DAY_FORMAT" if day.year == today.year else "DATE_FORMAT")
    return _dated(capfirst(_written(day, "l")), date_words)


def date_in_words(at: datetime) -> str:
    """Return the date of ``at``."""
    return _written(day_of(at), "DATE_FORMAT")


def short_date(at: datetime) -> str:
    """Return the date of ``at`` for a narrow column."""
    return _written(day_of(at), "SHORT_DATE_FORMAT")


def time_in_words(at: datetime) -> str:
    """Return the time of day of ``at``."""
    local = timezone.localtime(at)
    words = _written(time(local.hour, local.minute), "TIME_FORMAT")
    return f"{words} UTC" if _is_default_zone() else words


def in_words(at: datetime) -> str:
    """Return the day and the time of ``at``.

    In the last week, the day is Today, Yesterday or a weekday. Otherwise, it is a date.
    """
    return _dated(recent_date(at, "DATE_FORMAT"), time_in_words(at))


def recent_date(at: datetime, form: str = "SHORT_DATE_FORMAT") -> str:
    """Return Today, Yesterday or the weekday of ``at``, or a date in ``form`` before last week."""
    day, today = day_of(at), day_of(clock.now())
    if day > today or day <= today - WEEK:
        return _written(day, form)
    return day_in_words(day) if day > today - timedelta(days=2) else capfirst(_written(day, "l"))


def _dated(*parts: str) -> str:
    """Join the parts of a date, as ``static/times.js`` does."""
    return " ".join(parts) if spoken() == "ja" else listed(parts)


def days_in_words(count: int) -> str:
    """Return ``count`` days in words. In German, they are in the dative."""
    return ngettext("%(count)d day", "%(count)d days", count) % {"count": count}


def in_full(at: datetime) -> str:
    """Return the weekday, date, time and time zone of ``at``, for texts that are read later."""
    day = day_of(at)
    zone = timezone.get_current_timezone_name().rpartition("/")[2].replace("_", " ")
    words = time_in_words(at) if _is_default_zone() else f"{time_in_words(at)} ({zone})"
    return _dated(capfirst(_written(day, "l")), date_in_words(at), words)


def interval_in_words(interval: timedelta) -> str:
    """Return ``interval`` in whole days, weeks or months, rounded down."""
    if interval < 2 * WEEK:
        return days_in_words(interval.days)
    if interval < NINE_WEEKS:
        count = interval // WEEK
        return ngettext("%(count)d week", "%(count)d weeks", count) % {"count": count}
    count = interval.days * 12 // 365
    return ngettext("%(count)d month", "%(count)d months", count) % {"count": count}


def _is_default_zone() -> bool:
    return timezone.get_current_timezone_name() == DEFAULT
