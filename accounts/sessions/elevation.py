"""Decides when a superuser has superuser rights (``ADMIN_ELEVATION``).

If the setting is ``on``, a superuser has the rights of a manager until the session of a browser is
elevated. Elevation belongs to that session alone: API keys and passwords never have superuser
rights, and an access token has them only while its own session is elevated.
"""

import uuid
from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.sessions import services
from accounts.sessions.models import LoginSession
from accounts.users import services as users
from accounts.users.models import User
from accounts.users.rights import superusers
from accounts.users.services import AccountChanged

LIFE = timedelta(minutes=30)


def reduce(user: User, session: LoginSession | None) -> None:
    """Reduce the rights of ``user`` for a request, unless its ``session`` is elevated.

    Every way to authenticate a request calls this: see ``sessions.current``.
    """
    user.is_reduced = is_offered(user) and not (session and seconds_left(session))


def is_offered(user: User) -> bool:
    """Return whether ``user`` is a superuser who must take superuser rights."""
    return settings.AUTHSITE.admin_elevation == "on" and user.holds_superuser


def seconds_left(session: LoginSession) -> int:
    """Return for how many seconds the session stays elevated; 0 if it is not elevated."""
    until = session.elevated_until
    return max(0, int((until - clock.now()).total_seconds())) if until else 0


@transaction.atomic
def begin(session: LoginSession, actor: Actor) -> None:
    """Elevate ``session`` for 30 minutes, and notify all other superusers.

    ``actor``: with the reason.

    Raises:
        AccountChanged: the session has ended, or the user is no longer a superuser.
    """
    user = users.lock_row(session.user)
    services.lock(session.pk)
    if not is_offered(user):
        raise AccountChanged
    LoginSession.objects.filter(pk=session.pk).update(elevated_until=clock.now() + LIFE)
    record(user, events.ELEVATED, actor)
    by_staff = replace(actor, name=user.username)
    for other in superusers().exclude(pk=user.pk):
        record(other, events.SUPERUSER_ELEVATED, by_staff, detail=user.username)


@transaction.atomic
def end(session: LoginSession, actor: Actor) -> None:
    """End the elevation of ``session``, if it has not ended yet."""
    if withdraw(session.pk):
        record(session.user, events.ELEVATION_ENDED, actor)


def withdraw(session_id: uuid.UUID) -> bool:
    """End the elevation of a session. Return whether it was elevated."""
    elevated = LoginSession.objects.filter(pk=session_id, elevated_until__gt=clock.now())
    return bool(elevated.update(elevated_until=None))
