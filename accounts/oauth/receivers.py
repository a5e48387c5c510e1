"""Disconnects apps of accounts that are locked or deactivated, and tells apps of ended sessions."""

from typing import Any

from django.db.models import QuerySet

from accounts.apikeys.receivers import ENDINGS
from accounts.oauth import connections, logout_notices
from accounts.sessions.models import LoginSession
from accounts.users.models import User


def disconnect_apps(sender: Any, user: User, event: str, **_more: Any) -> None:
    """Forget what ``user`` has agreed to, in the transaction of the change ``event``.

    Otherwise an app that a thief has connected would need no consent after the lock. The sessions
    of apps end with all others (``sessions.receivers``).
    """
    if event in ENDINGS:
        connections.forget_all(user)


def post_logout_notices(sender: Any, rows: QuerySet[LoginSession], **_more: Any) -> None:
    """Write a notice for the app of each of the sessions ``rows``, which have just ended."""
    logout_notices.post(rows)
