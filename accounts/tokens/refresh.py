"""Refresh tokens: opaque strings, each derived from the one before it.

Because the successor of a token is derived, an honest retry gets the very same successor (RFC 9700
section 4.14.2). Its secret is an HMAC of the former token, so reading the database, which has only
digests, is not enough to compute it.

A token consists of the id of its family, a secret and a tag. The tag is an HMAC under
``SECRET_KEY`` and tells genuine tokens from invented ones without a query. Otherwise a service,
which sees the family's id as the ``sid`` claim, could have the family revoked by sending an
invented token.
"""

import base64
import hashlib
import hmac
import uuid

from accounts.common import secrets

ID, SECRET, TAG = 16, 22, 16
# The 432 bits fill 72 characters without a spare bit.
LENGTH = (ID + SECRET + TAG) * 4 // 3


def first(family: uuid.UUID) -> str:
    """Return a new first refresh token of the family with this id."""
    body = family.bytes + secrets.raw(SECRET)
    return _written(body, _tags(body)[0])


def successor(token: str) -> str:
    """Return the refresh token that follows ``token``."""
    return successors(token)[0]


def successors(token: str) -> list[str]:
    """Return the successors of ``token`` under each ``SECRET_KEY``, newest key first."""
    family = _bytes(token)[:ID]
    derived = secrets.digests(token, "refresh.successor")
    bodies = [family + bytes.fromhex(secret)[:SECRET] for secret in derived]
    # The tag is made with the same key, so the result equals the token that was issued then.
    return [_written(body, _tags(body)[i]) for i, body in enumerate(bodies)]


def family_of(token: str) -> uuid.UUID | None:
    """Return the id of the family of ``token``, or None if this site has not made the token."""
    raw = _bytes(token)
    body, tag = raw[:-TAG], raw[-TAG:]
    if not any(hmac.compare_digest(tag, good) for good in _tags(body)):
        return None
    return uuid.UUID(bytes=body[:ID])


def digest(token: str) -> str:
    """Return the digest of ``token`` to store; unkeyed, because the secret has 176 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def _written(body: bytes, tag: bytes) -> str:
    return base64.urlsafe_b64encode(body + tag).decode()


def _tags(body: bytes) -> list[bytes]:
    return [bytes.fromhex(tag)[:TAG] for tag in secrets.digests(body.hex(), "refresh.tag")]


def _bytes(token: str) -> bytes:
    """Return the bytes of ``token``; all zeros if it is not a token in canonical base64url."""
    try:
        raw = base64.urlsafe_b64decode(token.encode())
    except ValueError:
        raw = b""
    is_ours = len(token) == LENGTH and base64.urlsafe_b64encode(raw).decode() == token
    return raw if is_ours else bytes(ID + SECRET + TAG)
