"""Which keys a change of credentials ends: all, or those made in the sessions that it ends."""

import uuid
from typing import Any

from accounts.activity import events
from accounts.activity.services import OPERATOR, Source
from accounts.apikeys import services
from accounts.users.models import User

ENDINGS = {events.LOCKED_DOWN.name, events.SWITCHED_OFF.name}


def end_keys(
    sender: Any,
    user: User,
    event: str,
    source: Source | None,
    keep: uuid.UUID | None,
    **_more: Any,
) -> None:
    """End them, in the transaction of the change, while its sessions are live."""
    if event in ENDINGS:
        services.end_silently(user)
    else:
        services.end_with_sessions(user, keep, source or Source(actor=OPERATOR))
