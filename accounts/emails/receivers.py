"""Cancel pending email addresses when an account is locked, reset, or gets a second factor."""

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
    """Delete the pending email addresses of ``user`` after certain changes of credentials.

    At a lock or a reset, because a thief may have added them. At a new second factor, because they
    were added without it.
    """
    if event in ENDINGS:
        PendingEmail.objects.filter(user=user).delete()
