"""A lockdown and a deactivation end every key. A change of the password doesn't: see its page."""

from typing import Any

from accounts.activity import events
from accounts.apikeys import services
from accounts.users.models import User

ENDINGS = {events.LOCKED_DOWN.name, events.SWITCHED_OFF.name}


def end_keys(sender: Any, user: User, event: str, **_more: Any) -> None:
    """End them, in the transaction of the change."""
    if event in ENDINGS:
        services.end_silently(user)
