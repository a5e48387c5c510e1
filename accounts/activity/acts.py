"""Remembers which emails the current request has posted, so that one email tells of one act.

A request can cause several events, in several transactions: a sign-in with a recovery code that
makes the browser trusted causes three. Each transaction posts its own email, because a change and
its email commit together. If an earlier email of the same request still waits in the outbox, the
new email replaces it and tells of the events of both.
"""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from accounts.activity.models import Activity


@dataclass(frozen=True)
class Posted:
    """An email that the current act has posted.

    Attributes:
        mail_id: the id of the email in the outbox.
        rows: the events that it tells of, oldest first.
        token: the secret of its link to lock the account, or None if it has no link.
    """

    mail_id: UUID
    rows: tuple[Activity, ...]
    token: str | None


_posted: ContextVar[dict[Hashable, Posted] | None] = ContextVar("posted", default=None)


@contextmanager
def act() -> Iterator[None]:
    """Return a context manager in which all events belong to one act."""
    token = _posted.set({})
    try:
        yield
    finally:
        _posted.reset(token)


def posted() -> dict[Hashable, Posted]:
    """Return the emails of the current act. Outside of an act, the dictionary is always new."""
    emails = _posted.get()
    return {} if emails is None else emails
