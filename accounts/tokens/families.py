"""Token families: the sessions of API clients.

A family is a row of :class:`LoginSession`. All refresh tokens of the session belong to its family,
and only the newest one can be used. The UPDATE that replaces a refresh token succeeds for only one
of several parallel requests (RFC 9700 section 4.14.2).
"""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db.models import Case, Exists, F, OuterRef, QuerySet, When
from django.db.models.functions import Coalesce, Least

from accounts.activity import events
from accounts.activity.services import Actor
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.prepared import P, PreparedUpdate
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession, is_live
from accounts.tokens import refresh
from accounts.tokens.errors import InvalidToken, TokenReused
from accounts.users.models import User
from accounts.users.rows import OwnedQuery


def _live() -> QuerySet[LoginSession]:
    families = LoginSession.objects.exclude(kind=LoginSession.Kind.BROWSER)
    return families.filter(is_live(P("now")), pk=P("id"))


def live_of_subject() -> QuerySet[LoginSession]:
    """Return the live family ``P("id")`` if its tokens are about ``P("subject")``."""
    return _live().alias(about=Coalesce("pairwise_subject", "user_id")).filter(about=P("subject"))


_LIVE, _LIVE_OF_SUBJECT = OwnedQuery(_live), OwnedQuery(live_of_subject)
_ACTIVE = User.objects.filter(pk=OuterRef("user_id"), is_active=True)
_ROTATE = PreparedUpdate(
    lambda: LoginSession.objects.filter(
        is_live(P("now")),
        Exists(_ACTIVE),
        pk=P("id"),
        refresh_digest=P("digest"),
        kind=P("kind"),
    ),
    # What a new access token contains, and what else a refresh of an app needs.
    returning=(
        *("id", "user_id", "kind", "amr", "auth_time", "idle_at", "ends_at", "scope"),
        *("dpop_thumbprint", "pairwise_subject", "used_at", "rotated_at"),
    ),
    refresh_digest=P("next"),
    former_digest=F("refresh_digest"),
    rotated_at=P("now"),
    # It changes at most once a minute, as for browsers, because an index contains it.
    used_at=Case(When(used_at__gt=P("noted"), then=F("used_at")), default=P("now")),
    idle_at=Least(P("idle"), F("ends_at")),
    ip=P("ip"),
)


def find(family: uuid.UUID, subject: uuid.UUID) -> LoginSession | None:
    """Return the live family with this id if its tokens are about ``subject``, else None.

    The same query loads the user and the user's groups.
    """
    return _LIVE_OF_SUBJECT.first(id=family, subject=subject, now=clock.now())


def of(token: str) -> LoginSession | None:
    """Return the live family of the refresh token ``token``, or None.

    ``token`` may be an older refresh token of the family that was replaced. The same query loads
    the user and the user's groups.
    """
    family = refresh.family_of(token)
    return _LIVE.first(id=family, now=clock.now()) if family else None


def rotate(
    token: str, client: ClientInfo, kind: LoginSession.Kind
) -> tuple[LoginSession, str] | None:
    """Replace the refresh token ``token``; return its family and the new refresh token.

    If ``token`` is not the newest token of a live family of a client of this ``kind``, change
    nothing and return None: see :func:`repeat`.
    """
    family, now = refresh.family_of(token), clock.now()
    if family is None:
        return None
    follower = refresh.successor(token)
    session = _ROTATE.first(
        id=family,
        kind=kind.value,
        digest=refresh.digest(token),
        next=refresh.digest(follower),
        now=now,
        noted=now - sessions.NOTE_EVERY,
        idle=now + timedelta(days=settings.AUTHSITE.refresh_idle_days),
        ip=client.ip,
    )
    return (session, follower) if session else None


def repeat(token: str, client: ClientInfo, kind: LoginSession.Kind) -> tuple[LoginSession, str]:
    """Return what :func:`rotate` has returned for ``token``, if the client did not receive it.

    A client may repeat the request within ``REFRESH_GRACE_SECONDS``, unless the new token was used
    already. Any other second use of ``token`` means that two parties hold it. The family is then
    revoked, and the user is notified.

    Raises:
        TokenReused: the token was used before, and its family is now revoked.
        InvalidToken: the token is not valid, or belongs to a client of another ``kind``.
    """
    session = of(token)
    if session is None or (digest := refresh.digest(token)) == session.refresh_digest:
        raise InvalidToken
    # A connected app has its own endpoint. Elsewhere, its token ends nothing.
    if session.is_app != (kind == LoginSession.Kind.CONNECTED):
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
    actor = Actor(client, session=session.pk)
    sessions.revoke(session, reason=events.TOKEN_REUSED, actor=actor)
    raise TokenReused
