"""A lockdown cancels what waits, and so does a reset."""

from typing import Any

from accounts.activity import events
from accounts.addresses.models import PendingAddress
from accounts.users.models import User

ENDINGS = {events.LOCKED_DOWN.name, events.PASSWORD_RESET.name, events.SWITCHED_OFF.name}


def cancel_pending(sender: Any, user: User, event: str, **_more: Any) -> None:
    """Let go of addresses that were asked for: perhaps not by the owner, who comes back now."""
    if event in ENDINGS:
        PendingAddress.objects.filter(user=user).delete()
