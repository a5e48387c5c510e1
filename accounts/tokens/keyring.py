"""The key ring: which signing key signs now, and which signing keys verify.

Each process caches the table of signing keys (see ``accounts.tokens.signing_keys``) for a minute,
and for longer while the database is unreachable. A private key is decrypted only when it starts to
sign, so a site that has lost ``ENCRYPTION_KEYS`` can still verify tokens.
"""

import logging
import os
import re
from threading import Lock

from cryptography.fernet import InvalidToken
from django.db import Error, connection, transaction
from django.db.models import Max, Q
from django.utils.translation import gettext_lazy as _

from accounts.common import clock, crypto
from accounts.common.errors import Busy
from accounts.tokens import keys, signing_keys
from accounts.tokens.models import SigningKey
from accounts.tokens.signing_keys import (
    KEEP,
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


def signer(algorithm: str = "") -> Signer:
    """Return the key to sign with now, and create the first key if there is none.

    ``algorithm``: an algorithm that is in use. The default is that of access tokens.

    Call this outside of transactions: within one, it creates no key.

    Raises:
        CannotSign: the current signing key cannot be decrypted, or does not exist yet.
    """
    ring, now = _with_a_key(), clock.now()
    row = ring.signing(algorithm, now) if algorithm else ring.signing_access(now)
    if row is None:
        row = _cache.begin().signing(algorithm, now)
    if row is None:
        raise CannotSign(RELOAD.total_seconds())
    return _cache.signer(row)


def can_sign() -> bool:
    """Return whether this site can sign with each algorithm that is in use, or has no key yet."""
    ring = _cache.ring()
    if not ring.keys:
        return True
    held = {key.algorithm for key in ring.keys}
    try:
        return all(
            signer(algorithm) for algorithm in ("", *held.intersection(signing_keys.further()))
        )
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
    ring = _with_a_key()
    # Another process may have made the first key for ID tokens, and signs with it at once.
    return (_cache.look_again() if ring.lacks_further else ring).published


def cached_jwks() -> Published | None:
    """Return the published JWK set, or None if it must be read from the table first."""
    ring = _cache.peek()
    return ring.published if ring and ring.keys else None


def forget() -> None:
    """Clear the cache of this process.

    Call this after the keys have changed, and in a child process after a fork.
    """
    _cache.clear()


def rotate(*, now: bool = False) -> list[SigningKey]:
    """Generate the next key of each algorithm that signs tokens; add them as :func:`add` does."""
    live = _live()
    held = {key.algorithm for key in live}
    further = [name for name in signing_keys.further() if name in held]
    algorithms = dict.fromkeys([signing_keys.access_algorithm(live), *further])
    return add(*map(keys.generate, algorithms), now=now)


def add(*new: keys.PrivateKey, now: bool = False) -> list[SigningKey]:
    """Add the keys ``new`` to the key ring.

    The first keys of a site start to sign immediately. Later keys start to sign after :data:`LEAD`.

    ``now``: if True, ``new`` starts to sign immediately, and all other keys are withdrawn, because
        they may have leaked.

    Raises:
        KnownKey: a key is in the key ring already, or was in the key ring and is withdrawn.
        IntegrityError: another process is adding a key at the same moment.
    """
    moment, kids = clock.now(), [keys.public_jwk(key)["kid"] for key in new]
    with transaction.atomic(durable=True):
        if SigningKey.objects.filter(kid__in=kids).exists():
            raise KnownKey("This key is in the key ring already, or was withdrawn from it.")
        others = SigningKey.objects.filter(withdrawn_at=None)
        signs_at = moment + LEAD if others.exists() and not now else moment
        if now:
            others.update(withdrawn_at=moment, private="")
        last = SigningKey.objects.aggregate(last=Max("number"))["last"] or 0
        added = [signing_keys.insert(key, last + n, signs_at) for n, key in enumerate(new, 1)]
    forget()
    return added


def prune() -> int:
    """Delete replaced keys whose tokens have all expired; return how many were deleted.

    Keys of an algorithm that is no longer in use are deleted :data:`KEEP` after this function first
    finds them. If the algorithm is in use again before, they sign again.

    Withdrawn keys are not deleted, so that they cannot be added again.
    """
    now, live, used = clock.now(), _live(), signing_keys.read({}).used
    rows = SigningKey.objects.filter(withdrawn_at=None)
    rows.filter(algorithm__in=used).update(unused_at=None)
    rows.filter(unused_at=None).exclude(algorithm__in=used).update(unused_at=now)
    over = [row.pk for row in live if signing_keys.is_over(row, live, now)]
    return rows.filter(Q(pk__in=over) | Q(unused_at__lte=now - KEEP)).delete()[0]


def _live() -> list[SigningKey]:
    return list(SigningKey.objects.filter(withdrawn_at=None).order_by("number"))


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
        self._signers: dict[str, Signer] = {}
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
        if clock.is_past(self._read_again_at, RELOAD) and lock.acquire(blocking=False):
            try:
                return self._read_or_keep(ring)
            finally:
                lock.release()
        return ring

    def peek(self) -> KeyRing | None:
        """Return the cached copy, or None if the caller must read the table, as in :meth:`ring`."""
        is_old = clock.is_past(self._read_again_at, RELOAD)
        return None if is_old and not self._lock.locked() else self._ring

    def look_again(self) -> KeyRing:
        """Read the table again and return the key ring.

        If the table was already read by this method within :data:`LOOK_AGAIN`, return the cached
        copy.
        """
        with self._lock:
            if self._ring is None:
                return self._read()
            if not clock.is_past(self._look_again_at, LOOK_AGAIN):
                return self._ring
            self._look_again_at = clock.now() + LOOK_AGAIN
            return self._read_or_keep(self._ring)

    def begin(self) -> KeyRing:
        """Read the key ring again and return it; create the first key if there is none."""
        with self._lock:
            ring = self._read()
            if not ring.keys:
                signing_keys.make_due(ring, clock.now())
                ring = self._read()
            return ring

    def signer(self, row: SigningKey) -> Signer:
        """Return the private key of ``row``.

        The first call for ``row`` decrypts and parses the key, and caches it.
        """
        held = self._signers.get(row.kid)
        if held is None:
            with self._lock:
                held = self._signers.get(row.kid)
                if held is None:
                    held = self._signers[row.kid] = _open(row)
        return held

    def _read(self) -> KeyRing:
        """Read the table, and add the keys that are due. The caller must hold the lock."""
        ring = signing_keys.read(self._ring.verifiers if self._ring else {})
        # Within a transaction, the new key could be rolled back or could block other requests.
        if ring.keys and ring.due and not connection.in_atomic_block:
            try:
                signing_keys.make_due(ring, clock.now() + LEAD)
                ring = signing_keys.read(ring.verifiers)
            except Error:
                log.exception(
                    "The next signing key can't be stored; the current one keeps signing."
                )
        self._ring, self._read_again_at = ring, clock.now() + RELOAD
        self._signers = {k: held for k, held in self._signers.items() if k in ring.verifiers}
        return ring

    def _read_or_keep(self, ring: KeyRing) -> KeyRing:
        """Read the key ring again; return the old ``ring`` if the database is unreachable."""
        try:
            return self._read()
        except Error as error:
            log.warning("The signing keys can't be read: %s", type(error).__name__)
            self._read_again_at = clock.now() + LOOK_AGAIN
            return ring


def _with_a_key() -> KeyRing:
    ring = _cache.ring()
    return ring if ring.keys else _cache.begin()


_cache = _Cache()
os.register_at_fork(after_in_child=forget)
