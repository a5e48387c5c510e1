"""Queries that several parts of the page about a person share."""

from django.db.models import QuerySet

from accounts.common.reading import read_once
from accounts.oauth import connections
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.users.models import User

connected_apps = read_once(connections.rows_of)


@read_once
def live_sessions(user: User) -> QuerySet[LoginSession]:
    """Return the live sessions of ``user``, with the apps that they belong to."""
    return sessions.live(user).prefetch_related("client")
