"""Revokes the invitations of a user whose account is locked or deactivated."""

from typing import Any

from accounts.activity import events
from accounts.invitations import services
from accounts.users.models import User

# A thief in the account may have sent them, to get in again by another account.
REVOKED_BY = {event.name for event in (events.LOCKED_DOWN, events.SWITCHED_OFF)}


def revoke_invitations(sender: Any, user: User, event: str, **_more: Any) -> None:
    """Revoke all invitations of ``user`` if the account was locked or deactivated."""
    if event in REVOKED_BY:
        services.revoke_all(user)
