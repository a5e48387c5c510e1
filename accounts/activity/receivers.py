"""A change of credentials is recorded, and its owner told, whoever made it."""

from typing import Any

from accounts.activity.events import EVENTS
from accounts.activity.services import OPERATOR, Source, record
from accounts.users.models import User


def write_down(
    sender: Any, user: User, event: str, source: Source | None, detail: str = "", **_more: Any
) -> None:
    """Record it; without a source it came from the command line."""
    record(user, EVENTS[event], source or Source(actor=OPERATOR), detail=detail)
