"""The connected apps, as far as the rest of the site needs to know them.

Only ``accounts.oauth`` knows apps. If it is installed, it registers an object of its own at start.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from accounts.activity.services import Actor
from accounts.users.models import User


@dataclass(frozen=True)
class App:
    """A connected app. Pages call it by its ``label``."""

    client_id: str
    label: str

    def __str__(self) -> str:
        return self.label


class Apps:
    """What the site asks about connected apps: the answers if there are none."""

    def of_sessions(self, ids: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, App]:
        """Return the apps of the sessions with these ids, by the id of the session."""
        return {}

    def sessions_like(self, session_id: uuid.UUID) -> Q:
        """Return a condition for the sessions of the same app as that of the session."""
        return Q(pk=session_id)

    def ending_with(self, ids: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, list[str]]:
        """Return the names of the apps that end with these browser sessions, by session."""
        return {}

    def names(self, sessions: QuerySet[Any]) -> list[str]:
        """Return the names of the apps that the ``sessions`` belong to, each app once."""
        return []

    def connections_of(self, user: User) -> QuerySet[Any]:
        """Return what ``user`` has agreed to, most recently used first.

        Each row has a ``client`` (with ``name``, ``label``, ``is_verified``, ``disabled_at`` and
        ``required_group``), an ``audience`` and a ``scope``. An app has a row for each service that
        it may use.
        """
        return User.objects.none()

    def disconnect(self, user: User, client_id: str, actor: Actor) -> None:
        """Disconnect the app of ``user`` with this client ID, or all apps if it is empty."""

    def users_known_as(self, subject: uuid.UUID) -> list[QuerySet[Any, Any]]:
        """Return queries for the ids of the users whom apps know by the identifier ``subject``."""
        return []

    def prune(self) -> Mapping[str, int]:
        """Delete expired rows; return how many of what."""
        return {}

    def revoke_after_restore(self) -> None:
        """Delete what gives access without a sign-in, except sessions (``after_restore``)."""


_registered: list[Apps] = [Apps()]


def register(apps: Apps) -> None:
    """Let ``apps`` answer instead."""
    _registered[:] = [apps]


def apps() -> Apps:
    """Return the object that answers."""
    return _registered[0]


def fetch[S: Any](rows: Iterable[S]) -> list[S]:
    """Return the sessions ``rows``, each with its ``app``, read with one query for all of them."""
    sessions = list(rows)
    of_apps = [session for session in sessions if session.is_app]
    found = apps().of_sessions([session.pk for session in of_apps]) if of_apps else {}
    for session in of_apps:
        session.app = found.get(session.pk)
    return sessions
