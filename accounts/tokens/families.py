"""Families of tokens: a sign-in of a client of the API, and the refresh tokens that follow each
other in it.

A family is a login session, and its row the only one: a rotation is one UPDATE of it, whose WHERE
decides which of many at once is the first (RFC 9700 section 4.14.2).
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from accounts.activity import events
from accounts.activity.services import Actor
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.rows import Columns, parameter
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.tokens import refresh
from accounts.tokens.errors import InvalidToken, TokenReused
from accounts.users.models import User
from accounts.users.rows import Owned

_ROTATED = Columns(LoginSession)

LIVE = "o.ended_at IS NULL AND o.idle_at > %(now)s AND o.ends_at > %(now)s"

_FOUND = Owned(
    LoginSession, f"o.id = %(id)s AND o.user_id = %(user)s AND o.kind <> 'browser' AND {LIVE}"
)

ROTATE = f"""
UPDATE {LoginSession._meta.db_table} AS o
SET refresh_digest = %(next)s, former_digest = o.refresh_digest, rotated_at = %(now)s,
    used_at = %(now)s, address = %(address)s,
    idle_at = CASE WHEN %(idle)s < o.ends_at THEN %(idle)s ELSE o.ends_at END
WHERE o.id = %(id)s AND o.refresh_digest = %(digest)s
    AND o.kind = %(kind)s AND {LIVE}
    AND EXISTS (SELECT 1 FROM {User._meta.db_table} u WHERE u.id = o.user_id AND u.is_active)
RETURNING {_ROTATED.sql}
"""  # noqa: S608 nothing but names of tables and columns


def find(family: uuid.UUID, user: uuid.UUID) -> LoginSession | None:
    """The live family of that id and person, with the person and their groups: one query."""
    return _FOUND.find({"id": _id(family), "user": _id(user), "now": _time(clock.now())})


def rotate(token: str, client: ClientInfo, kind: LoginSession.Kind) -> tuple[LoginSession, str]:
    """The family of ``token``, which is of that kind, and the token that follows it.

    The same one for all who come at once or, before it's used itself, within
    ``REFRESH_GRACE_SECONDS``: they are one client whose answer was lost. :class:`TokenReused` for
    any other second use, which means that two have the token: the family ends, and the person is
    told. :class:`InvalidToken` for whatever else.
    """
    family = refresh.family_of(token)
    if family is None:
        raise InvalidToken
    follower = refresh.successor(token)
    if session := _rotate(family, refresh.digest(token), refresh.digest(follower), client, kind):
        return session, follower
    return _again(family, token, client, kind)


def revoke(session: LoginSession, actor: Actor) -> None:
    """End a family by its own token."""
    sessions.revoke(session, reason=events.CLIENT_SIGNED_OUT, actor=actor)


def of(token: str) -> LoginSession | None:
    """The live family that ``token`` is or was of, if this site has made it."""
    family = refresh.family_of(token)
    return _live(family) if family else None


def with_newest(token: str) -> LoginSession | None:
    """The live family whose newest token ``token`` is."""
    session = of(token)
    return session if session and session.refresh_digest == refresh.digest(token) else None


def _rotate(
    family: uuid.UUID, digest: str, follower: str, client: ClientInfo, kind: LoginSession.Kind
) -> LoginSession | None:
    now = clock.now()
    idle_at = now + timedelta(days=settings.AUTHSITE.refresh_idle_days)
    values = {
        "id": _id(family),
        "digest": digest,
        "kind": kind.value,
        "next": follower,
        "now": _time(now),
        "idle": _time(idle_at),
        "address": client.ip,
    }
    with connection.cursor() as cursor:
        cursor.execute(ROTATE, values)
        row = cursor.fetchone()
    return _ROTATED.instance(row) if row else None


def _revoke_reused(session: LoginSession, client: ClientInfo) -> None:
    actor = Actor(client, session=session.pk)
    sessions.revoke(session, reason=events.TOKEN_REUSED, actor=actor)


def _again(
    family: uuid.UUID, token: str, client: ClientInfo, kind: LoginSession.Kind
) -> tuple[LoginSession, str]:
    """A token that isn't the newest of its family, or not of one of that kind."""
    session, digest = _live(family), refresh.digest(token)
    if session is None or digest == session.refresh_digest:
        raise InvalidToken
    is_last = digest == session.former_digest
    grace = timedelta(seconds=settings.AUTHSITE.refresh_grace_seconds)
    if is_last and session.rotated_at and clock.now() < session.rotated_at + grace:
        if session.kind != kind:
            raise InvalidToken
        for follower in refresh.successors(token):
            if refresh.digest(follower) == session.refresh_digest:
                return session, follower
        # Another node has a SECRET_KEY that this one is yet to get. No thief is about.
        raise InvalidToken
    _revoke_reused(session, client)
    raise TokenReused


def _live(family: uuid.UUID) -> LoginSession | None:
    rows = LoginSession.objects.select_related("user").filter(user__is_active=True)
    session = rows.exclude(kind=LoginSession.Kind.BROWSER).filter(pk=family).first()
    return session if session and sessions.is_live(session) else None


def _id(value: uuid.UUID) -> Any:
    return parameter(LoginSession._meta.pk, value)


def _time(value: datetime) -> Any:
    return parameter(LoginSession._meta.get_field("idle_at"), value)
