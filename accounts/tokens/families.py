"""Token families: the sessions of API clients.

A family is a row of :class:`LoginSession`. All refresh tokens of the session belong to its family,
and only the newest one can be used. The UPDATE that replaces a refresh token succeeds for only one
of several parallel requests (RFC 9700 section 4.14.2).
"""

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from accounts.activity import events
from accounts.activity.services import Actor
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.prepared import P, condition
from accounts.common.rows import Columns, parameter
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession, is_live
from accounts.tokens import refresh
from accounts.tokens.errors import InvalidToken, TokenReused
from accounts.users import profiles
from accounts.users.models import User
from accounts.users.rows import Owned, Rows

# Reading only what a new access token contains takes less time.
_IN_TOKEN = (
    *("id", "user_id", "client_id", "kind", "amr", "auth_time", "idle_at", "ends_at", "scope"),
    *("dpop_thumbprint", "pairwise_subject"),
)
# What else a refresh of an app needs.
_OF_APP = ("audience", "used_at", "rotated_at")

LIVE = condition(LoginSession, is_live(P("now")), "o")

_IS_LIVE_FAMILY = (
    "o.id = %(id)s AND COALESCE(o.pairwise_subject, o.user_id) = %(subject)s "
    f"AND o.kind <> 'browser' AND {LIVE}"
)
_LIVE_FAMILY = Owned(LoginSession, _IS_LIVE_FAMILY)
_NEWEST = Owned(
    LoginSession,
    f"o.id = %(id)s AND o.refresh_digest = %(digest)s AND {LIVE}",
    only=(
        *("id", "user_id", "client_id", "kind", "scope", "audience"),
        *("auth_time", "factor_at", "passkey_at", "idle_at", "ends_at", "dpop_thumbprint"),
        "pairwise_subject",
    ),
    only_of_user=("id",),
)
_LIVE_OWNER = Owned(LoginSession, _IS_LIVE_FAMILY, only=("id",), only_of_user=profiles.SHOWN)

# ``used_at`` changes at most once a minute, as for browsers, because an index contains it.
_ROTATE = f"""
UPDATE {LoginSession._meta.db_table} AS o
SET refresh_digest = %(next)s, former_digest = o.refresh_digest, rotated_at = %(now)s,
    used_at = CASE WHEN o.used_at > %(noted)s THEN o.used_at ELSE %(now)s END,
    idle_at = CASE WHEN %(idle)s < o.ends_at THEN %(idle)s ELSE o.ends_at END,
    ip = %(ip)s
WHERE o.id = %(id)s AND o.refresh_digest = %(digest)s
    AND o.kind = %(kind)s AND COALESCE(o.client_id, '') = %(app)s AND {LIVE}
    AND EXISTS (SELECT 1 FROM {User._meta.db_table} u WHERE u.id = o.user_id AND u.is_active)
"""  # noqa: S608 nothing but names of tables and columns


_ROTATED, _ROTATED_OF_APP = (
    Columns(LoginSession, only=(*_IN_TOKEN, *more)) for more in ((), _OF_APP)
)


def find(family: uuid.UUID, subject: uuid.UUID) -> LoginSession | None:
    """Return the live family with this id if its tokens are about ``subject``, else None.

    The same query loads the user and the user's groups.
    """
    return _LIVE_FAMILY.find(_values(family, subject))


def find_owner(family: uuid.UUID, subject: uuid.UUID) -> Rows | None:
    """Do the same as :func:`find`, but return rows from which :func:`owner` makes the user."""
    return _LIVE_OWNER.rows(_values(family, subject)) or None


def owner(rows: Rows) -> User:
    """Return the user, with all fields of a profile, from the ``rows`` of :func:`find_owner`."""
    return _LIVE_OWNER.instance(rows).user


def rotate(
    token: str, client: ClientInfo, kind: LoginSession.Kind, *, app: str = ""
) -> tuple[LoginSession, str]:
    """Replace the refresh token ``token``; return its family and the new refresh token.

    A client that did not receive the new token may repeat the request within
    ``REFRESH_GRACE_SECONDS``, and receives the same new token, unless the new token was used
    already. Any other second use of ``token`` means that two parties hold it. The family is then
    revoked, and the user is notified.

    ``app``: the client ID of the connected app that presents the token, or "".

    Raises:
        TokenReused: the token was used before, and its family is now revoked.
        InvalidToken: the token is not valid, or belongs to another app or a client of another
            ``kind``.
    """
    family = refresh.family_of(token)
    if family is None:
        raise InvalidToken
    return rotate_newest(token, client, kind, app=app) or _retry(family, token, client, kind, app)


def rotate_newest(
    token: str,
    client: ClientInfo,
    kind: LoginSession.Kind,
    *,
    app: str = "",
) -> tuple[LoginSession, str] | None:
    """Replace ``token`` as :func:`rotate` does, if it is the newest token of a live family.

    Otherwise, change nothing and return None.
    """
    family = refresh.family_of(token)
    if family is None:
        return None
    follower, now = refresh.successor(token), clock.now()
    times = {"now": now, "noted": now - sessions.NOTE_EVERY}
    times["idle"] = now + timedelta(days=settings.AUTHSITE.refresh_idle_days)
    values = {"id": family, "digest": refresh.digest(token), "next": refresh.digest(follower)}
    values |= times | {"kind": kind.value, "app": app, "ip": client.ip}
    columns = _ROTATED_OF_APP if app else _ROTATED
    with connection.cursor() as cursor:
        sql = f"{_ROTATE} RETURNING {columns.sql}"
        cursor.execute(sql, {name: parameter(value) for name, value in values.items()})
        row = cursor.fetchone()
    return (columns.instance(row), follower) if row else None


def revoke(session: LoginSession, actor: Actor) -> None:
    """Revoke ``session`` because its client has asked for that."""
    sessions.revoke(session, reason=events.CLIENT_SIGNED_OUT, actor=actor)


def of(token: str) -> LoginSession | None:
    """Return the live family of the refresh token ``token``, or None.

    ``token`` may be an older refresh token of the family that was replaced.
    """
    family = refresh.family_of(token)
    return _live(family) if family else None


def with_newest(token: str) -> LoginSession | None:
    """Return the live family of ``token``, or None if ``token`` is not its newest refresh token.

    The same query loads the groups of the user. Only what a refresh needs is loaded at once.
    """
    family = refresh.family_of(token)
    if family is None:
        return None
    values = {"id": family, "digest": refresh.digest(token), "now": clock.now()}
    return _NEWEST.find(values)


def _revoke_reused(session: LoginSession, client: ClientInfo) -> None:
    actor = Actor(client, session=session.pk)
    sessions.revoke(session, reason=events.TOKEN_REUSED, actor=actor)


def _retry(
    family: uuid.UUID, token: str, client: ClientInfo, kind: LoginSession.Kind, app: str
) -> tuple[LoginSession, str]:
    """Handle a refresh token that :func:`rotate_newest` did not accept."""
    session, digest = _live(family), refresh.digest(token)
    if session is None or digest == session.refresh_digest or (session.client_id or "") != app:
        raise InvalidToken
    is_last = digest == session.former_digest
    grace = timedelta(seconds=settings.AUTHSITE.refresh_grace_seconds)
    # If the clock has been set back since, a rotation in the future is not recent. Otherwise nobody
    # would notice a stolen token until the clock has caught up.
    if is_last and session.rotated_at and abs(clock.now() - session.rotated_at) < grace:
        if session.kind != kind:
            raise InvalidToken
        for follower in refresh.successors(token):
            if refresh.digest(follower) == session.refresh_digest:
                return session, follower
        # Another node has derived the successor with a SECRET_KEY that this node does not have yet.
        # This is not theft.
        raise InvalidToken
    _revoke_reused(session, client)
    raise TokenReused


def _live(family: uuid.UUID) -> LoginSession | None:
    rows = LoginSession.objects.select_related("user").filter(user__is_active=True)
    session = rows.exclude(kind=LoginSession.Kind.BROWSER).filter(pk=family).first()
    return session if session and session.is_live else None


def _values(family: uuid.UUID, subject: uuid.UUID) -> dict[str, Any]:
    return {"id": family, "subject": subject, "now": clock.now()}
