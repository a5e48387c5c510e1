"""Refresh tokens: opaque strings, each derived from the one before it, and their families.

A token consists of the id of its family, a secret and a tag. The secret of the next token is an
HMAC of the current token. Because it is not random, a client that repeats a request gets the same
next token again (RFC 9700 section 4.14.2). The database contains only digests of tokens, from which
nobody can compute the next token.

The tag is an HMAC under ``SECRET_KEY``. It proves without a query that this site has issued the
token. Without a tag, any service that has seen the id of the family, which is in the ``sid`` claim,
could invent a token with it. The invented token would look reused, and the family would be revoked.

A family is a row of :class:`LoginSession`. All refresh tokens of the session belong to its family,
and only the newest one can be used. The UPDATE that replaces a refresh token succeeds for only one
of several parallel requests (RFC 9700 section 4.14.2).
"""

import hmac
import uuid
from datetime import timedelta

from django.conf import settings
from django.db.models import (
    BooleanField,
    Case,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    When,
)
from django.db.models.functions import Coalesce, Least

from accounts.activity import events
from accounts.activity.services import Actor
from accounts.common import clock, crypto, secrets
from accounts.common.client_info import ClientInfo
from accounts.common.database import P, PreparedUpdate
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession, is_live
from accounts.tokens.errors import InvalidToken, TokenReused
from accounts.users.models import User
from accounts.users.services import OwnedQuery

# The 432 bits of a token fill exactly 72 characters of base64url, so no padding is needed.
ID, SECRET, TAG = 16, 22, 16


def first_token(family: uuid.UUID) -> str:
    """Return a random first refresh token for the family with this id."""
    body = family.bytes + secrets.raw(SECRET)
    return crypto.encode(body + _tags(body)[0])


def successor(token: str) -> str:
    """Return the refresh token that follows ``token``."""
    return successors(token)[0]


def successors(token: str) -> list[str]:
    """Return the successor of ``token`` under each ``SECRET_KEY``, in the order of the keys.

    The newest key is first.
    """
    family = _bytes(token)[:ID]
    bodies = [family + mac[:SECRET] for mac in secrets.macs(token, "refresh.successor")]
    # The tag uses the same key as the secret, so that the result is equal to the issued token.
    return [crypto.encode(body + _tags(body)[i]) for i, body in enumerate(bodies)]


def family_of(token: str) -> uuid.UUID | None:
    """Return the id of the family of ``token``, or None if this site did not issue the token."""
    raw = _bytes(token)
    body, tag = raw[:-TAG], raw[-TAG:]
    if not any(hmac.compare_digest(tag, good) for good in _tags(body)):
        return None
    return uuid.UUID(bytes=body[:ID])


def _tags(body: bytes) -> list[bytes]:
    return [mac[:TAG] for mac in secrets.macs(body.hex(), "refresh.tag")]


def _bytes(token: str) -> bytes:
    """Decode ``token``; return no bytes if it is not canonical base64url."""
    try:
        return crypto.canonical(token)
    except ValueError:
        return b""


def _live() -> QuerySet[LoginSession]:
    families = LoginSession.objects.exclude(kind=LoginSession.Kind.BROWSER)
    return families.filter(is_live(P("now")), pk=P("id"))


def live_of_subject() -> QuerySet[LoginSession]:
    """Return a query for the session of an access token: see :func:`find_family`."""
    is_signed_out = ExpressionWrapper(Q(signed_out_at__isnull=False), BooleanField())
    rows = _live().alias(about=Coalesce("pairwise_subject", "user_id"), is_out=is_signed_out)
    return rows.filter(about=P("subject"), is_out=P("is_signed_out"))


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
    # The fields for a new access token, and for a refresh by an app.
    returning=(
        *("id", "user_id", "kind", "amr", "auth_time", "factor_at", "stepped_up_at"),
        *("idle_at", "ends_at", "scope", "dpop_thumbprint", "pairwise_subject"),
        *("used_at", "rotated_at", "signed_out_at"),
    ),
    refresh_digest=P("next"),
    former_digest=F("refresh_digest"),
    rotated_at=P("now"),
    # It changes at most once a minute, because an index contains it.
    used_at=Case(When(used_at__gt=P("noted"), then=F("used_at")), default=P("now")),
    idle_at=Least(P("idle"), F("ends_at")),
    ip=P("ip"),
)


def find_family(*, id: uuid.UUID, subject: uuid.UUID, is_signed_out: bool) -> LoginSession | None:
    """Return the live family with this id and the subject ``subject``, or None.

    The same query loads the user and the user's groups.

    ``is_signed_out``: whether the token was issued after the user signed out. If not, and the user
        has signed out since, the token has ended and the result is None.
    """
    values = {"id": id, "subject": subject, "is_signed_out": is_signed_out}
    return _LIVE_OF_SUBJECT.first(**values, now=clock.now())


def of(token: str) -> LoginSession | None:
    """Return the live family of the refresh token ``token``, or None.

    ``token`` may be an older refresh token of the family that was replaced. The same query loads
    the user and the user's groups.
    """
    family = family_of(token)
    return _LIVE.first(id=family, now=clock.now()) if family else None


def rotate(
    token: str, client: ClientInfo, kind: LoginSession.Kind, *, keeps: bool = False
) -> tuple[LoginSession, str] | None:
    """Replace the refresh token ``token``; return its family and the new refresh token.

    ``keeps``: whether to return ``token`` itself and not replace it. Then it must be bound to a
        key, because a copied token would not be noticed.

    If ``token`` is not the newest token of a live family of a client of this ``kind``, change
    nothing and return None. The caller then passes it to :func:`repeat`.
    """
    family, now = family_of(token), clock.now()
    if family is None:
        return None
    follower = token if keeps else successor(token)
    session = _ROTATE.first(
        id=family,
        kind=kind.value,
        digest=secrets.plain_digest(token),
        next=secrets.plain_digest(follower),
        now=now,
        noted=now - sessions.NOTE_EVERY,
        idle=now + timedelta(days=settings.AUTHSITE.refresh_idle_days),
        ip=client.ip,
    )
    return (session, follower) if session else None


def repeat(token: str, client: ClientInfo, kind: LoginSession.Kind) -> tuple[LoginSession, str]:
    """Return the result of the :func:`rotate` call that used ``token`` for the first time.

    A client that did not receive the response may repeat its request within
    ``REFRESH_GRACE_SECONDS``, unless the new token was already used. Any other second use of
    ``token`` means that two parties have it. The family is then revoked, and the user is notified.

    Raises:
        TokenReused: the token was used before, and its family is now revoked.
        InvalidToken: the token is not valid, or belongs to a client of another ``kind``.
    """
    session = of(token)
    if session is None or (digest := secrets.plain_digest(token)) == session.refresh_digest:
        raise InvalidToken
    # A connected app has its own endpoint. At other endpoints, its token ends no session.
    if session.is_app != (kind == LoginSession.Kind.CONNECTED):
        raise InvalidToken
    is_last = digest == session.former_digest
    grace = timedelta(seconds=settings.AUTHSITE.refresh_grace_seconds)
    # If the clock has been set back since, a rotation in the future does not count as recent.
    # Otherwise a stolen token would not be noticed until the clock has caught up.
    if is_last and session.rotated_at and abs(clock.now() - session.rotated_at) < grace:
        if session.kind != kind:
            raise InvalidToken
        for follower in successors(token):
            if secrets.plain_digest(follower) == session.refresh_digest:
                return session, follower
        # Another node has derived the successor with a SECRET_KEY that this node does not have yet,
        # so this is not theft.
        raise InvalidToken
    actor = Actor(client, session=session.pk)
    sessions.revoke(session, reason=events.TOKEN_REUSED, actor=actor)
    raise TokenReused
