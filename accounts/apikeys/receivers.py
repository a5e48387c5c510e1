"""Revokes API keys when credentials change.

A lock or deactivation revokes all keys of the account. Any other change revokes the keys that were
created in the live sessions that it revokes. After a change of rights, no key of the account may
use the staff API.
"""

import uuid
from typing import Any

from accounts.activity import events
from accounts.activity.models import OPERATOR
from accounts.activity.services import Actor
from accounts.apikeys import access, services
from accounts.users.models import User

ENDINGS = {events.LOCKED_DOWN.name, events.SWITCHED_OFF.name}
OF_RIGHTS = {
    event.name
    for event in (
        events.RIGHTS_CHANGED,
        events.STAFF_GRANTED,
        events.STAFF_WITHDRAWN,
        events.SUPERUSER_GRANTED,
        events.SUPERUSER_WITHDRAWN,
    )
}


def revoke_keys(
    sender: Any,
    user: User,
    event: str,
    actor: Actor | None,
    keep: uuid.UUID | None,
    **_more: Any,
) -> None:
    """Revoke the API keys of ``user`` that the change ``event`` affects.

    This runs in the transaction of the change, before the sessions are revoked.

    ``keep``: the id of the session that is not revoked.
    """
    if event in ENDINGS:
        services.revoke_all(user)
        return
    by = actor or Actor(name=OPERATOR)
    services.revoke_with_sessions(user, keep, by)
    if event in OF_RIGHTS:
        access.withdraw_all(user, by)
