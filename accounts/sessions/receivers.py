"""A change of credentials ends every other session (ASVS 7.4.3)."""

import uuid
from typing import Any

from accounts.sessions import services
from accounts.users.models import User


def revoke_sessions(sender: Any, user: User, keep: uuid.UUID | None, **_more: Any) -> None:
    """End them, in the transaction of the change."""
    services.revoke_all(user, keep=keep)
