"""The ring of signing keys as this process knows it: which one signs, which verify.

A process keeps what it has read of the table (``accounts.tokens.signing_keys``) for a minute, and
longer while the database is away. Private keys are unsealed when they begin to sign, and not
before: a site that has lost ``ENCRYPTION_KEYS`` verifies all the same.
"""

import logging
import os
import re
from datetime import datetime, timedelta
from threading import Lock

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import Error, connection, transaction
from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from accounts.common import clock, crypto
from accounts.common.errors import Busy
from accounts.tokens import keys, signing_keys
from accounts.tokens.models import SigningKey
from accounts.tokens.signing_keys import (
    LEAD,
    LOOK_AGAIN,
    PURPOSE,
    RELOAD,
    KeyRing,
    Published,
    Signer,
    Verifier,
)

log = logging.getLogger(__name__)

KID = re.compile(r"[\w-]{43}", re.ASCII)


class CannotSign(Busy):
    """The key that signs can't be unsealed. The log says why: it's the operator's affair."""

    code = "unavailable"
    status = 503
    message = _("The site can’t sign tokens at the moment. Try again later.")


class KnownKey(keys.KeyRefused):
    """The ring has, or had, the key. One that was withdrawn may be known to others: never again."""


def signer() -> Signer:
    """The key to sign with now; makes the first one. Call it outside transactions. `CannotSign`."""
    return _cache.signer(_with_a_key().signing(clock.now()))


def can_sign() -> bool:
    """Whether the key that signs now can be opened, as far as there is one; makes none."""
    now = clock.now()
    found = _cache.ring()
    try:
        return not found.keys or bool(_cache.signer(found.signing(now)))
    except CannotSign:
        return False


def find(kid: str) -> Verifier | None:
    """The key of that name, if it verifies. An unknown one is looked for in the table, once."""
    found = _cache.ring().verifiers.get(kid)
    if found is None and KID.fullmatch(kid):
        found = _cache.look_again().verifiers.get(kid)
    return found


def jwks() -> Published:
    """What others verify with; makes the first key. Call it outside transactions."""
    return _with_a_key().published


def forget() -> None:
    """Drop what this process knows: another one may have changed it, or it has just been forked."""
    _cache.clear()


def rotate(*, now: bool = False) -> SigningKey:
    """A new key of ``TOKEN_ALGORITHM``: see :func:`add`."""
    return add(keys.generate(settings.AUTHSITE.token_algorithm), now=now)


def add(key: keys.PrivateKey, *, now: bool = False) -> SigningKey:
    """Put ``key`` into the ring, to sign after :data:`LEAD`; the first one of all at once.

    With ``now`` it signs at once, and all others are withdrawn: somebody else may have them.
    :class:`KnownKey`; ``IntegrityError`` if another process has added one at this very moment.
    """
    moment = clock.now()
    with transaction.atomic(durable=True):
        if SigningKey.objects.filter(kid=keys.public_jwk(key)["kid"]).exists():
            raise KnownKey("The ring has this key already, or had it.")
        others = SigningKey.objects.filter(withdrawn_at=None)
        signs_at = moment + LEAD if others.exists() and not now else moment
        if now:
            others.update(withdrawn_at=moment, private="")
        last = SigningKey.objects.aggregate(last=Max("number"))["last"]
        added = signing_keys.insert(key, (last or 0) + 1, signs_at)
    forget()
    return added


def prune() -> int:
    """Delete the keys whose last token has ended; how many.

    Of those that were withdrawn the public half stays, so that they can't be added again.
    """
    live = list(SigningKey.objects.filter(withdrawn_at=None).order_by("number"))
    over = [row.pk for row in live if signing_keys.is_over(row, live, clock.now())]
    return SigningKey.objects.filter(pk__in=over, withdrawn_at=None).delete()[0]


def _open(row: SigningKey) -> Signer:
    try:
        pem = crypto.unseal(row.private, PURPOSE)
    except InvalidToken:
        log.critical("No key of ENCRYPTION_KEYS decrypts the signing key %s.", row.kid)
        raise CannotSign(RELOAD.total_seconds()) from None
    return Signer(row.kid, row.algorithm, keys.load(pem.encode()))


class _Cache:
    """What this process knows. The lock is held to read the table, and to parse the private key."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Know nothing. The lock is new, too: at a fork a thread that isn't there may hold it."""
        self._lock = Lock()
        self._ring: KeyRing | None = None
        self._signer: Signer | None = None
        self._read_again_at = self._look_again_at = clock.now()

    def ring(self) -> KeyRing:
        """What is known, read anew by one thread when it's :data:`RELOAD` old."""
        ring, lock = self._ring, self._lock
        if ring is None:
            with lock:
                return self._ring or self._read()
        if _is_past(self._read_again_at, RELOAD) and lock.acquire(blocking=False):
            try:
                return self._read_or_keep(ring)
            finally:
                lock.release()
        return ring

    def look_again(self) -> KeyRing:
        """What is known now, read anew unless that was done for :data:`LOOK_AGAIN`."""
        with self._lock:
            if self._ring is None:
                return self._read()
            if not _is_past(self._look_again_at, LOOK_AGAIN):
                return self._ring
            self._look_again_at = clock.now() + LOOK_AGAIN
            return self._read_or_keep(self._ring)

    def begin(self) -> KeyRing:
        """What is known once there is a key."""
        with self._lock:
            ring = self._read()
            if not ring.keys:
                signing_keys.make_next(ring, clock.now())
                ring = self._read()
            return ring

    def signer(self, row: SigningKey) -> Signer:
        """``row`` opened; unsealed and parsed when it begins to sign, and not before."""
        held = self._signer
        if held is None or held.kid != row.kid:
            with self._lock:
                held = self._signer
                if held is None or held.kid != row.kid:
                    held = self._signer = _open(row)
        return held

    def _read(self) -> KeyRing:
        """Read the table, and make the successor that is due; whoever calls it holds the lock."""
        ring = signing_keys.read(self._ring.verifiers if self._ring else {})
        # In somebody's transaction it would be rolled back with it, or hold others up.
        if ring.wants_a_successor and not connection.in_atomic_block:
            try:
                signing_keys.make_next(ring, clock.now() + LEAD)
                ring = signing_keys.read(ring.verifiers)
            except Error:
                log.exception(
                    "The next signing key can't be stored; the current one keeps signing."
                )
        self._ring, self._read_again_at = ring, clock.now() + RELOAD
        return ring

    def _read_or_keep(self, ring: KeyRing) -> KeyRing:
        """The same; while the database is away, ``ring``, which was good a moment ago."""
        try:
            return self._read()
        except Error as error:
            log.warning("The signing keys can't be read: %s", type(error).__name__)
            self._read_again_at = clock.now() + LOOK_AGAIN
            return ring


def _is_past(moment: datetime, span: timedelta) -> bool:
    """Whether a wait of ``span`` that ends at ``moment`` is over, or the clock was set back."""
    return not timedelta(0) < moment - clock.now() <= span


def _with_a_key() -> KeyRing:
    ring = _cache.ring()
    return ring if ring.keys else _cache.begin()


_cache = _Cache()
os.register_at_fork(after_in_child=forget)
