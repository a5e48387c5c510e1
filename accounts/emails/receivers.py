"""A lockdown and a reset cancel what waits, and so does a new factor: without it none was shown."""

from typing import Any

from accounts.activity import events
from accounts.emails.models import PendingEmail
from accounts.users.models import User

ENDINGS = {
    event.name
    for event in (
        events.LOCKED_DOWN,
        events.PASSWORD_RESET,
        events.SWITCHED_OFF,
        events.FACTOR_ADDED,
        events.PASSKEY_ADDED,
    )
}


def cancel_pending(sender: Any, user: User, event: str, **_more: Any) -> None:
    """Let go of addresses that were asked for: perhaps not by the owner, who comes back now."""
    if event in ENDINGS:
        PendingEmail.objects.filter(user=user).delete()
