"""Dates and times in words, in the language and time zone of the reader.

If the reader has not chosen a time zone, times are in UTC and end with "UTC".
"""

from datetime import date, datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.common import clock
from accounts.common.time_zones import DEFAULT

WEEK = timedelta(days=7)
# From this length on, intervals are given in months.
NINE_WEEKS = 9 * WEEK


def day_of(at: datetime) -> date:
    """Return the day of ``at`` in the time zone of the reader."""
    return timezone.localtime(at).date()


def day_in_words(day: date) -> str:
    """Return a heading for ``day``: Today, Yesterday, or the weekday and the date."""
    today = day_of(clock.now())
    if day == today:
        return _("Today")
    if day == today - timedelta(days=1):
        return _("Yesterday")
    date_words = date_format(day, "MONTH_DAY_FORMAT" if day.year == today.year else "DATE_FORMAT")
    return f"{date_format(day, 'l')}, {date_words}"


def date_in_words(at: datetime) -> str:
    """Return the date of ``at``."""
    return date_format(day_of(at), "DATE_FORMAT")


def short_date(at: datetime) -> str:
    """Return the date of ``at`` for a narrow column."""
    return date_format(day_of(at), "SHORT_DATE_FORMAT")


def time_in_words(at: datetime) -> str:
    """Return the time of day of ``at``."""
    words = date_format(timezone.localtime(at), "TIME_FORMAT")
    return f"{words} UTC" if _is_default_zone() else words


def in_words(at: datetime) -> str:
    """Return the day and the time of ``at``.

    In the last week, the day is Today, Yesterday or a weekday. Otherwise, it is a date.
    """
    day, today = day_of(at), day_of(clock.now())
    if day > today or day <= today - WEEK:
        words = date_format(day, "DATE_FORMAT")
    elif day > today - timedelta(days=2):
        words = day_in_words(day)
    else:
        words = date_format(day, "l")
    return f"{words}, {time_in_words(at)}"


def days_in_words(count: int) -> str:
    """Return ``count`` days in words. In German, they are in the dative."""
    return ngettext("%(count)d day", "%(count)d days", count) % {"count": count}


def in_full(at: datetime) -> str:
    """Return the weekday, date, time and time zone of ``at``, for texts that are read later."""
    day = day_of(at)
    zone = timezone.get_current_timezone_name().rpartition("/")[2].replace("_", " ")
    time = time_in_words(at) if _is_default_zone() else f"{time_in_words(at)} ({zone})"
    return f"{date_format(day, 'l')}, {date_in_words(at)}, {time}"


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
