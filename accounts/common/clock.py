"""The clock of the site. All code reads the time from this module, so that tests can set it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def _system() -> datetime:
    return datetime.now(UTC)


_now: Callable[[], datetime] = _system


def now() -> datetime:
    """Return the current time as an aware datetime in UTC."""
    return _now()


def is_past(moment: datetime, span: timedelta) -> bool:
    """Return whether the time ``moment``, which was set at most ``span`` ahead, has passed.

    If ``moment`` is further ahead now, the clock has been set back since, and ``moment`` counts as
    passed.
    """
    return not timedelta(0) < moment - now() <= span
