"""A change of credentials is recorded, and its owner told, whoever made it."""

from typing import Any

from accounts.activity.events import EVENTS
from accounts.activity.services import OPERATOR, Actor, record
from accounts.users.models import User


def write_down(
    sender: Any, user: User, event: str, actor: Actor | None, detail: str = "", **_more: Any
) -> None:
    """Record it; without a source it came from the command line."""
    record(user, EVENTS[event], actor or Actor(name=OPERATOR), detail=detail)
