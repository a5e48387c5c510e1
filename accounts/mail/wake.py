"""Wakes the sender thread when a mail is posted."""

from threading import Event

_posted = Event()


def up() -> None:
    """Wake the sender thread, because a mail was posted."""
    _posted.set()


def sleep(seconds: float) -> None:
    """Wait until a mail is posted, for ``seconds`` at most.

    The limit is needed because another process may post a mail, too.
    """
    _posted.wait(seconds)
    _posted.clear()
