"""Challenges for passkeys (WebAuthn 13.4.3): signed, good once and for five minutes, for one act.

Nothing is stored until one is used: a stranger who only looks at the sign-in page leaves no trace.
"""

import hmac
import struct
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from accounts.common import clock, secrets
from accounts.twofactor.models import SpentChallenge

LIFE = timedelta(minutes=5)
NONCE_BYTES = 16
_HEAD = struct.Struct(f">{NONCE_BYTES}sQ")


def issue(purpose: str) -> bytes:
    """A new challenge for that act, and for nothing else."""
    head = _HEAD.pack(secrets.raw(NONCE_BYTES), int(clock.now().timestamp()))
    return head + _seals(head, purpose)[0]


def is_good(challenge: bytes, purpose: str) -> bool:
    """Whether it was issued for that act, within five minutes. It may have been used."""
    head, seal = challenge[: _HEAD.size], challenge[_HEAD.size :]
    if len(head) != _HEAD.size:
        return False
    is_ours = any(hmac.compare_digest(seal, ours) for ours in _seals(head, purpose))
    return is_ours and clock.now() < _issued_at(head) + LIFE


def spend(challenge: bytes) -> bool:
    """Use a good one up; whether it was unused. Of many at once one gets it (CVE-2022-42731)."""
    ends_at = _issued_at(challenge[: _HEAD.size]) + LIFE
    try:
        with transaction.atomic():
            SpentChallenge.objects.create(nonce=_nonce(challenge), ends_at=ends_at)
    except IntegrityError:
        return False
    return True


def is_spent(challenge: bytes) -> bool:
    """Whether a good one was used. Decides nothing: only :func:`spend` does."""
    return SpentChallenge.objects.filter(nonce=_nonce(challenge)).exists()


def prune() -> int:
    """Forget those that are no longer good anyway; how many."""
    return SpentChallenge.objects.filter(ends_at__lte=clock.now()).delete()[0]


def _nonce(challenge: bytes) -> str:
    return challenge[:NONCE_BYTES].hex()


def _issued_at(head: bytes) -> datetime:
    seconds = _HEAD.unpack(head)[1]
    return datetime.fromtimestamp(seconds, tz=clock.now().tzinfo)


def _seals(head: bytes, purpose: str) -> list[bytes]:
    return [bytes.fromhex(d) for d in secrets.digests(head.hex(), f"webauthn:{purpose}")]
