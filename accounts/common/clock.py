"""The clock of the site. All code reads the time from this module, so that tests can set it."""

from collections.abc import Callable
from datetime import UTC, datetime


def _system() -> datetime:
    return datetime.now(UTC)


_now: Callable[[], datetime] = _system


def now() -> datetime:
    """Return the current time as an aware datetime in UTC."""
    return _now()
