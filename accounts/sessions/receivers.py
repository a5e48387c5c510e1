"""Revokes every other session when credentials change (ASVS 7.4.3)."""

import uuid
from typing import Any

from accounts.sessions import services
from accounts.users.models import User


def revoke_sessions(
    sender: Any, user: User, event: str, keep: uuid.UUID | None, **_more: Any
) -> None:
    """Revoke all sessions of ``user`` except ``keep``, in the transaction of the change."""
    services.revoke_all(user, keep=keep, reason=event)
