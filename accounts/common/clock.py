"""The current time. Everything that expires asks this module, so that tests can move the time."""

from collections.abc import Callable
from datetime import UTC, datetime


def _system() -> datetime:
    return datetime.now(UTC)


_now: Callable[[], datetime] = _system


def now() -> datetime:
    """Return the current time, aware and in UTC."""
    return _now()
