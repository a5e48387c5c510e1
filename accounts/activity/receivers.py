"""Records every change of credentials as an event, which also notifies the owner."""

from typing import Any

from accounts.activity.events import EVENTS
from accounts.activity.models import OPERATOR
from accounts.activity.services import Actor, record
from accounts.users.models import User


def write_down(
    sender: Any, user: User, event: str, actor: Actor | None, detail: str = "", **_more: Any
) -> None:
    """Record a change of credentials as an event.

    ``actor`` is None if the change was made on the command line.
    """
    record(user, EVENTS[event], actor or Actor(name=OPERATOR), detail=detail)
