"""Disconnects all apps of an account when it is locked or deactivated."""

from typing import Any

from accounts.apikeys.receivers import ENDINGS
from accounts.oauth import connections
from accounts.users.models import User


def disconnect_apps(sender: Any, user: User, event: str, **_more: Any) -> None:
    """Forget what ``user`` has agreed to, in the transaction of the change ``event``.

    Otherwise an app that a thief has connected would need no consent after the lock. The sessions
    of apps end with all others (``sessions.receivers``).
    """
    if event in ENDINGS:
        connections.forget_all(user)
