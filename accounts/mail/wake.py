"""The bell between whoever posts a mail and the thread that sends it."""

from threading import Event

_bell = Event()


def up() -> None:
    """There is mail."""
    _bell.set()


def sleep(seconds: float) -> None:
    """Wait for the bell, at most that long: another process may have posted."""
    _bell.wait(seconds)
    _bell.clear()
