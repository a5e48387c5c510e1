"""Queries that several parts of the page about a person share."""

from typing import Any

from django.db.models import QuerySet

from accounts.sessions import connected
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.users.models import User


def connected_apps(user: User) -> QuerySet[Any]:
    """Return what ``user`` has agreed to: see :meth:`connected.Apps.connections_of`."""
    return connected.apps().connections_of(user)


def live_sessions(user: User) -> QuerySet[LoginSession]:
    """Return the live sessions of ``user``."""
    return sessions.live(user)


def sessions_with_apps(user: User) -> list[LoginSession]:
    """Return the live sessions of ``user``, with the apps that they belong to."""
    rows = list(live_sessions(user))
    connected.fetch(rows)
    return rows
