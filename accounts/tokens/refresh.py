"""Refresh tokens: opaque strings, each derived from the one before it.

A token consists of the id of its family, a secret and a tag. The secret of the next token is an
HMAC of the current token. Because it is not random, a client that repeats a request gets the same
next token again (RFC 9700 section 4.14.2). The database contains only digests of tokens, from which
nobody can compute the next token.

The tag is an HMAC under ``SECRET_KEY``. It shows without a query that this site has issued the
token. Without a tag, any service that has seen the id of the family, which is in the ``sid`` claim,
could invent a token with it. The invented token would look reused, and the family would be revoked.
"""

import hashlib
import hmac
import uuid

from accounts.common import base64url, secrets

ID, SECRET, TAG = 16, 22, 16
# The 432 bits of a token fill exactly 72 characters of base64url, so no padding is needed.
LENGTH = (ID + SECRET + TAG) * 4 // 3


def first_token(family: uuid.UUID) -> str:
    """Return a random first refresh token for the family with this id."""
    body = family.bytes + secrets.raw(SECRET)
    return _written(body, _tags(body)[0])


def successor(token: str) -> str:
    """Return the refresh token that follows ``token``."""
    return successors(token)[0]


def successors(token: str) -> list[str]:
    """Return the successor of ``token`` under each ``SECRET_KEY``, in the order of the keys.

    The newest key is the first one.
    """
    family = _bytes(token)[:ID]
    bodies = [family + mac[:SECRET] for mac in secrets.macs(token, "refresh.successor")]
    # The tag uses the same key as the secret, so the result equals the token that was issued.
    return [_written(body, _tags(body)[i]) for i, body in enumerate(bodies)]


def family_of(token: str) -> uuid.UUID | None:
    """Return the id of the family of ``token``, or None if this site did not issue the token."""
    raw = _bytes(token)
    body, tag = raw[:-TAG], raw[-TAG:]
    if not any(hmac.compare_digest(tag, good) for good in _tags(body)):
        return None
    return uuid.UUID(bytes=body[:ID])


def digest(token: str) -> str:
    """Return the digest of ``token``. It needs no key, because the secret has 176 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def _written(body: bytes, tag: bytes) -> str:
    return base64url.encode(body + tag)


def _tags(body: bytes) -> list[bytes]:
    return [mac[:TAG] for mac in secrets.macs(body.hex(), "refresh.tag")]


def _bytes(token: str) -> bytes:
    """Decode ``token``; return zero bytes if it is not canonical base64url of the right length."""
    try:
        return base64url.canonical(token) if len(token) == LENGTH else bytes(ID + SECRET + TAG)
    except ValueError:
        return bytes(ID + SECRET + TAG)
