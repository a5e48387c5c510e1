"""Wakes the sender thread when an email is posted."""

from threading import Event

_posted = Event()


def up() -> None:
    """Wake the sender thread, because an email was posted."""
    _posted.set()


def sleep(seconds: float) -> None:
    """Wait until an email is posted in this process, but at most for ``seconds``.

    The limit is needed because another process may post an email, too.
    """
    _posted.wait(seconds)
    _posted.clear()
