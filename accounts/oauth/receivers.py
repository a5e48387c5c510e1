"""Disconnects apps of accounts that are locked or deactivated, and tells apps of ended sessions."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.dispatch import receiver

from accounts.activity import events
from accounts.common.signals import credentials_changed, sessions_ended
from accounts.oauth import app_sessions, connections, logout
from accounts.sessions.models import LoginSession
from accounts.users.models import User


@receiver(credentials_changed)
def disconnect_apps(*, user: User, event: str, **_signal: Any) -> None:
    """Forget what ``user`` has agreed to, in the transaction of the change ``event``.

    Otherwise an app that a thief has connected would need no consent after the lock. The sessions
    of apps end with all others (``accounts.consequences``).
    """
    if event in events.ACCESS_ENDED:
        connections.forget_all(user)


@receiver(sessions_ended)
def end_sessions_of_apps(
    *, rows: QuerySet[LoginSession], at: datetime, reason: str, **_signal: Any
) -> None:
    """Tell the apps whose sessions have just ended, and end the sessions that end with ``rows``."""
    logout.post(rows.filter(ended_at=at).order_by())
    app_sessions.end_children(rows, reason)
