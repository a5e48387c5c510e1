"""The interface by which the rest of the site deals with connected apps.

Only ``accounts.oauth`` implements it. If that app is installed, it registers its implementation at
the start.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from accounts.activity.services import Actor
from accounts.users.models import User


@dataclass(frozen=True)
class App:
    """A connected app. ``label``: its name on pages."""

    client_id: str
    label: str

    def __str__(self) -> str:
        return self.label


class Apps:
    """The interface to connected apps.

    ``accounts.oauth`` overrides these methods. The methods here are for a site without connected
    apps: they return nothing and do nothing.
    """

    def of_sessions(self, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, App]:
        """Return the apps of the sessions with these ids, by the id of the session."""
        return {}

    def sessions_like(self, session_id: uuid.UUID) -> Q:
        """Return the condition that a session belongs to the same app as ``session_id``."""
        return Q(pk=session_id)

    def names(self, sessions: QuerySet[Any]) -> list[str]:
        """Return the names of the apps of ``sessions``, without duplicates."""
        return []

    def connections_of(self, user: User) -> list[Any]:
        """Return what ``user`` has allowed connected apps to do, most recently used first.

        Each row has a ``client`` (with ``name``, ``label``, ``host``, ``is_verified``,
        ``disabled_at`` and ``required_group``), a time ``used_at``, an ``audience`` and a
        ``scope``. An app has a row for each service that it may use.
        """
        return []

    def restricted(self) -> QuerySet[Any]:
        """Return the apps that not everybody can use.

        They are disabled, or have a ``required_group`` or a ``required_factor``.
        """
        return User.objects.none()

    def disconnect(self, user: User, client_id: str, actor: Actor) -> None:
        """Disconnect the app with this client ID from ``user``, or every app if the ID is empty."""

    def users_known_as(self, subject: uuid.UUID) -> list[QuerySet[Any, Any]]:
        """Return queries for the ids of the users whom apps know by the identifier ``subject``."""
        return []

    def prune(self) -> Mapping[str, int]:
        """Delete expired rows about apps. Return how many of each kind were deleted."""
        return {}

    def revoke_after_restore(self) -> None:
        """Delete the tokens with which apps register themselves. ``after_restore`` calls this."""


_registered: list[Apps] = [Apps()]


def register(apps: Apps) -> None:
    """Make :func:`apps` return the object ``apps``."""
    _registered[:] = [apps]


def apps() -> Apps:
    """Return the registered implementation; without one, an object of :class:`Apps`."""
    return _registered[0]


def fetch[S: Any](rows: Iterable[S]) -> list[S]:
    """Return the sessions ``rows`` as a list, and set ``app`` of each session of a connected app.

    This reads all apps in one query.
    """
    sessions = list(rows)
    of_apps = [session for session in sessions if session.is_app]
    found = apps().of_sessions([session.pk for session in of_apps]) if of_apps else {}
    for session in of_apps:
        session.app = found.get(session.pk)
    return sessions
