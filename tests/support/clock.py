"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta


class Clock:
    """A replacement for the site's clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def now(self) -> datetime:
        return self._now

    def set(self, moment: datetime) -> None:
        self._now = moment

    def advance(self, **interval: float) -> None:
        """Move the clock forward, for example by ``clock.advance(minutes=15)``."""
        self._now += timedelta(**interval)
