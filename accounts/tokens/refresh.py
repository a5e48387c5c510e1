"""Refresh tokens: opaque, each derived from the one before it, so that an honest retry can be
answered with the very same successor (RFC 9700 section 4.14.2).

A token is an id of its family, a secret and a tag. The tag (HMAC under ``SECRET_KEY``) tells what
the site has made from what somebody has made up, without a look into the database: whoever knows
an id, which every service sees as ``sid``, can't end a family by showing rubbish. The successor's
secret is an HMAC of the token: nobody who reads the database, where only digests are, can make it.
"""

import base64
import hashlib
import hmac
import uuid

from accounts.common import secrets

ID, SECRET, TAG = 16, 22, 16
# 432 bits fill 72 characters without a spare bit.
LENGTH = (ID + SECRET + TAG) * 4 // 3


def first(family: uuid.UUID) -> str:
    """The first token of ``family``."""
    body = family.bytes + secrets.raw(SECRET)
    return _written(body, _tags(body)[0])


def successor(token: str) -> str:
    """The one token that follows ``token``."""
    return successors(token)[0]


def successors(token: str) -> list[str]:
    """The tokens that may have followed: under the newest key first, then under former ones."""
    family = _bytes(token)[:ID]
    derived = secrets.digests(token, "refresh.successor")
    bodies = [family + bytes.fromhex(secret)[:SECRET] for secret in derived]
    # The tag is of the same key: byte for byte what was given then.
    return [_written(body, _tags(body)[i]) for i, body in enumerate(bodies)]


def family_of(token: str) -> uuid.UUID | None:
    """The id of the family, if this site has made ``token``."""
    raw = _bytes(token)
    body, tag = raw[:-TAG], raw[-TAG:]
    if not any(hmac.compare_digest(tag, good) for good in _tags(body)):
        return None
    return uuid.UUID(bytes=body[:ID])


def digest(token: str) -> str:
    """What is stored of it. The secret has 176 bits: no key is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def _written(body: bytes, tag: bytes) -> str:
    return base64.urlsafe_b64encode(body + tag).decode()


def _tags(body: bytes) -> list[bytes]:
    return [bytes.fromhex(tag)[:TAG] for tag in secrets.digests(body.hex(), "refresh.tag")]


def _bytes(token: str) -> bytes:
    """The bytes of a token; as many zeros for anything else, other spellings of it included."""
    try:
        raw = base64.urlsafe_b64decode(token.encode())
    except ValueError:
        raw = b""
    is_ours = len(token) == LENGTH and base64.urlsafe_b64encode(raw).decode() == token
    return raw if is_ours else bytes(ID + SECRET + TAG)
