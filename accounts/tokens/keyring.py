"""The key ring: which signing key signs now, and which signing keys verify.

Each process caches the table of signing keys (see ``accounts.tokens.signing_keys``) for a minute,
and for longer while the database is unreachable. A private key is decrypted only when it starts to
sign, so a site that has lost ``ENCRYPTION_KEYS`` can still verify tokens.
"""

import logging
import os
import re
from datetime import datetime, timedelta
from threading import Lock

from cryptography.fernet import InvalidToken
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
    """The current signing key cannot be decrypted.

    The response asks clients to try again later. The log gives the operator the reason.
    """

    code = "unavailable"
    status = 503
    message = _("The site can’t sign tokens at the moment. Try again later.")


class KnownKey(keys.KeyRefused):
    """The key to add is in the key ring already, or was withdrawn from it.

    A withdrawn key can never be added again, because attackers may know it.
    """


def signer() -> Signer:
    """Return the key to sign with now, and create the first key if there is none.

    Call this outside of transactions.

    Raises:
        CannotSign: the current signing key cannot be decrypted.
    """
    return _cache.signer(_with_a_key().signing(clock.now()))


def can_sign() -> bool:
    """Return whether this site can sign: the current key can be decrypted, or none exists yet."""
    now = clock.now()
    ring = _cache.ring()
    try:
        return not ring.keys or bool(_cache.signer(ring.signing(now)))
    except CannotSign:
        return False


def find(kid: str) -> Verifier | None:
    """Return the published key with this ``kid``, or None.

    If the cached table has no such key, the table is read again, but at most once per
    :data:`LOOK_AGAIN`.
    """
    key = _cache.ring().verifiers.get(kid)
    if key is None and KID.fullmatch(kid):
        key = _cache.look_again().verifiers.get(kid)
    return key


def jwks() -> Published:
    """Return the published JWK set, and create the first key if there is none.

    Call this outside of transactions.
    """
    return _with_a_key().published


def forget() -> None:
    """Clear the cache of this process.

    Call this after the keys have changed, and in a child process after a fork.
    """
    _cache.clear()


def rotate(*, now: bool = False) -> SigningKey:
    """Generate the next key and add it to the key ring; see :func:`add`."""
    newest = SigningKey.objects.filter(withdrawn_at=None).order_by("number").last()
    return add(keys.generate(signing_keys.next_algorithm(newest)), now=now)


def add(key: keys.PrivateKey, *, now: bool = False) -> SigningKey:
    """Add ``key`` to the key ring.

    The first key of a site starts to sign immediately. A later key starts to sign after
    :data:`LEAD`.

    ``now``: if True, ``key`` starts to sign immediately, and all other keys are withdrawn, because
        they may have leaked.

    Raises:
        KnownKey: the key is in the key ring already, or was in the key ring and is withdrawn.
        IntegrityError: another process is adding a key at the same moment.
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
    """Delete replaced keys whose tokens have all expired; return how many were deleted.

    Withdrawn keys are not deleted, so that they cannot be added again.
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
    """This process's copy of the signing keys.

    A thread holds the lock while it reads the table or parses a private key.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Empty the cache and create a new lock.

        After a fork, the old lock may be held by a thread that does not exist in the child process.
        """
        self._lock = Lock()
        self._ring: KeyRing | None = None
        self._signer: Signer | None = None
        self._read_again_at = self._look_again_at = clock.now()

    def ring(self) -> KeyRing:
        """Return the key ring.

        When the cached copy is :data:`RELOAD` old, one thread reads the table again. Meanwhile the
        other threads get the old copy.
        """
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
        """Read the table again and return the key ring.

        If the table was already read by this method within :data:`LOOK_AGAIN`, return the cached
        copy.
        """
        with self._lock:
            if self._ring is None:
                return self._read()
            if not _is_past(self._look_again_at, LOOK_AGAIN):
                return self._ring
            self._look_again_at = clock.now() + LOOK_AGAIN
            return self._read_or_keep(self._ring)

    def begin(self) -> KeyRing:
        """Read the key ring again and return it; create the first key if there is none."""
        with self._lock:
            ring = self._read()
            if not ring.keys:
                signing_keys.make_next(ring, clock.now())
                ring = self._read()
            return ring

    def signer(self, row: SigningKey) -> Signer:
        """Return the private key of ``row``.

        The first call for ``row`` decrypts and parses the key, and caches it.
        """
        held = self._signer
        if held is None or held.kid != row.kid:
            with self._lock:
                held = self._signer
                if held is None or held.kid != row.kid:
                    held = self._signer = _open(row)
        return held

    def _read(self) -> KeyRing:
        """Read the table, and add the next key if it is due. The caller must hold the lock."""
        ring = signing_keys.read(self._ring.verifiers if self._ring else {})
        # Within a transaction, the new key could be rolled back or could block other requests.
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
        """Read the key ring again; return the old ``ring`` if the database is unreachable."""
        try:
            return self._read()
        except Error as error:
            log.warning("The signing keys can't be read: %s", type(error).__name__)
            self._read_again_at = clock.now() + LOOK_AGAIN
            return ring


def _is_past(moment: datetime, span: timedelta) -> bool:
    """Return whether ``moment`` has passed.

    ``moment`` was set at most ``span`` ahead. If it is further ahead now, the clock has been set
    back since, and ``moment`` counts as passed.
    """
    return not timedelta(0) < moment - clock.now() <= span


def _with_a_key() -> KeyRing:
    ring = _cache.ring()
    return ring if ring.keys else _cache.begin()


_cache = _Cache()
os.register_at_fork(after_in_child=forget)
