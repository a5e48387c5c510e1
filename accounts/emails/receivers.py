"""Delete pending email addresses after certain changes to the credentials of an account."""

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
        events.PASSKEY_CONFIRMED,
    )
}


def cancel_pending(sender: Any, user: User, event: str, **_more: Any) -> None:
    """Delete the pending email addresses of ``user`` if ``event`` is in ``ENDINGS``.

    After a lock, a deactivation or a password reset, this removes addresses that a thief may have
    added. After a second factor was added, it removes addresses that were added without that
    factor.
    """
    if event in ENDINGS:
        PendingEmail.objects.filter(user=user).delete()
