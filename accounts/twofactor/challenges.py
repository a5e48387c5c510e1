"""Issues and checks the challenges that passkeys sign (WebAuthn 13.4.3).

A challenge is valid once, for one purpose and for five minutes. It is authenticated by an HMAC of
this site, and nothing is stored until it is used. Therefore visits to the sign-in page write
nothing to the database.
"""

import hmac
import struct
from datetime import datetime, timedelta

from accounts.codes.once import is_used, use_once
from accounts.common import clock, secrets

PURPOSE = "passkey"
LIFE = timedelta(minutes=5)
NONCE_BYTES = 16
_HEAD = struct.Struct(f">{NONCE_BYTES}sQ")


def issue(purpose: str) -> bytes:
    """Return a new challenge that is valid only for ``purpose``."""
    head = _HEAD.pack(secrets.raw(NONCE_BYTES), int(clock.now().timestamp()))
    return head + _seals(head, purpose)[0]


def is_good(challenge: bytes, purpose: str) -> bool:
    """Return whether ``challenge`` was issued for ``purpose`` and has not expired.

    Returns True even if the challenge was used: see :func:`spend`.
    """
    head, seal = challenge[: _HEAD.size], challenge[_HEAD.size :]
    if len(head) != _HEAD.size:
        return False
    is_ours = any(hmac.compare_digest(seal, ours) for ours in _seals(head, purpose))
    return is_ours and clock.now() < _issued_at(head) + LIFE


def spend(challenge: bytes) -> bool:
    """Use up a valid challenge; return whether it was still unused."""
    return use_once(PURPOSE, _nonce(challenge), _issued_at(challenge[: _HEAD.size]) + LIFE)


def is_spent(challenge: bytes) -> bool:
    """Return whether a valid challenge has been used.

    Another request may use the challenge immediately afterwards, so only :func:`spend` is reliable.
    """
    return is_used(PURPOSE, _nonce(challenge))


def _nonce(challenge: bytes) -> str:
    return challenge[:NONCE_BYTES].hex()


def _issued_at(head: bytes) -> datetime:
    seconds = _HEAD.unpack(head)[1]
    return datetime.fromtimestamp(seconds, tz=clock.now().tzinfo)


def _seals(head: bytes, purpose: str) -> list[bytes]:
    return [bytes.fromhex(d) for d in secrets.digests(head.hex(), f"webauthn:{purpose}")]
