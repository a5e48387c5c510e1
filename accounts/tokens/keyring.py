"""The key ring: which signing key signs now, and which signing keys verify.

Keys are ordered by number. A new key is published some time before it signs, so that every verifier
has it. A key signs from its ``signs_at`` until the ``signs_at`` of the next key of its algorithm.
It stays published until its last token has expired. This state depends only on the clock, and no
job changes it. Afterwards the key is retired. It then verifies only ``id_token_hint``, because apps
may send an ID token as long as its session lives. A withdrawn key neither signs nor verifies.

Each algorithm that is in use has its own signing key and successor. If an algorithm is no longer in
use, its keys stay published until ``keyring.prune`` retires them.

Each process caches the table of signing keys for a minute, and for longer while the database is
unreachable. A private key is decrypted only when it starts to sign, so a site that has lost
``ENCRYPTION_KEYS`` can still verify tokens.
"""

import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import Error, IntegrityError, connection, transaction
from django.db.models import Max, Min, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.common import clock, crypto
from accounts.common.config import LONGEST_ACCESS_TOKEN
from accounts.common.errors import Busy
from accounts.sessions.models import LoginSession, is_live
from accounts.tokens import keys
from accounts.tokens.models import SigningKey

log = logging.getLogger(__name__)

PURPOSE = "signing-key"
# ES256 signs 30 times as fast as RS256 with keys of the same strength, and its tokens are shorter.
FIRST_ALGORITHM = "ES256"
# A process reads the table again when its copy is this old. One thread reads it, and the other
# threads do not wait.
RELOAD = timedelta(seconds=60)
# In this time, tokens with an unknown ``kid`` cause at most one read of the table.
LOOK_AGAIN = timedelta(seconds=5)
# The time for which clients may cache the published keys (``Cache-Control``).
MAX_AGE = timedelta(seconds=300)
# Allows for differences between clocks and for slow responses.
SLACK = timedelta(minutes=4)
# A key is published for this time before it signs. Until then, clients may use cached copies of the
# published keys without it.
LEAD = MAX_AGE + RELOAD + SLACK
# A key stays published for this time after the next key starts to sign. A process may notice the
# next key late and sign with this one meanwhile, and those tokens must expire first.
KEEP = timedelta(seconds=LONGEST_ACCESS_TOKEN) + RELOAD + SLACK


@dataclass(frozen=True)
class Further:
    """The signing of tokens other than access tokens.

    ``algorithm``: returns the algorithm.
    ``is_needed``: returns whether the site issues such tokens. Until then, the algorithm gets no
        key.
    """

    algorithm: Callable[[], str]
    is_needed: Callable[[], bool]


# Code that signs such tokens adds its entry here.
FURTHER: list[Further] = []


@dataclass(frozen=True)
class ParsedKey[K]:
    """A private key that signs tokens, or a public key that verifies them.

    ``algorithm``: the only algorithm to use with the key.
    """

    kid: str
    algorithm: str
    key: K


type Signer = ParsedKey[keys.PrivateKey]
type Verifier = ParsedKey[keys.PublicKey]


@dataclass(frozen=True)
class Published:
    """The JWK set (RFC 7517 section 5) in JSON, and its ETag (RFC 9110 section 8.8.3)."""

    body: bytes
    etag: str


@dataclass(frozen=True)
class KeyRing:
    """The signing keys as read from the table.

    ``last``: the highest number in the table.
    ``keys``: the published keys in the order of their numbers.
    ``verifiers``: the public halves of the published keys.
    ``retired``: the public halves of the other keys that are not withdrawn.
    """

    last: int
    keys: tuple[SigningKey, ...]
    verifiers: dict[str, Verifier]
    retired: dict[str, Verifier]
    published: Published

    def signing(self, algorithm: str, now: datetime) -> SigningKey | None:
        """Return the key that signs with ``algorithm`` at the time ``now``; None if it has no key.

        This is the newest key whose ``signs_at`` has passed. If there is none, because the
        algorithm is new or the clock of this server is behind, it is the first key.
        """
        own = [key for key in self.keys if key.algorithm == algorithm]
        begun = [key for key in own if key.signs_at <= now]
        return begun[-1] if begun else next(iter(own), None)

    def signing_access(self, now: datetime) -> SigningKey:
        """Return the key that signs access tokens at the time ``now``.

        After a change of the algorithm, the keys of the previous algorithm sign until the first key
        of the new one has been published for long enough.
        """
        own = self.signing(access_algorithm(self.keys), now)
        if own and own.signs_at <= now:
            return own
        begun = [key for key in self.keys if key.signs_at <= now]
        previous = [key for key in begun if key.algorithm not in further_algorithms()]
        return (previous or begun or [own or self.keys[0]])[-1]

    @property
    def used(self) -> set[str]:
        """The algorithms that sign tokens now or soon.

        After a change of the algorithm of access tokens, these are the new algorithm and the
        previous one, until the new one signs.
        """
        signing = {self.signing_access(clock.now()).algorithm} if self.keys else set()
        return {access_algorithm(self.keys), *further_algorithms(), *signing}

    @property
    def due(self) -> list[str]:
        """The algorithms that need a new key: they have none, or only old ones.

        A key is old if it was created more than ``SIGNING_KEY_DAYS`` ago.
        """
        days = settings.AUTHSITE.signing_key_days
        since = clock.now() - timedelta(days=days)
        held = {key.algorithm for key in self.keys if not days or key.made_at > since}
        needed = [access_algorithm(self.keys)]
        # This comes last, because it may take a query.
        needed += [f.algorithm() for f in FURTHER if f.algorithm() not in held and f.is_needed()]
        return [algorithm for algorithm in dict.fromkeys(needed) if algorithm not in held]

    @property
    def lacks_further(self) -> bool:
        """Whether an algorithm for tokens other than access tokens has no key."""
        return not {key.algorithm for key in self.keys}.issuperset(further_algorithms())


def read(known: dict[str, Verifier]) -> KeyRing:
    """Read the key ring from the table; public keys in ``known`` are not parsed again."""
    rows = list(SigningKey.objects.order_by("number"))
    valid, now = [row for row in rows if row.withdrawn_at is None], clock.now()
    # Keys whose algorithm only newer releases know are published, but not used.
    newer = [row for row in valid if row.algorithm not in keys.ALGORITHMS]
    valid = [row for row in valid if row not in newer]
    live = [row for row in valid if row.retired_at is None]
    counting = tuple(row for row in live if not is_over(row, live, now))
    published = [*counting, *(row for row in newer if row.retired_at is None)]
    body = json.dumps({"keys": [row.public for row in published]}).encode()
    return KeyRing(
        last=rows[-1].number if rows else 0,
        keys=counting,
        verifiers={row.kid: known.get(row.kid) or _verifier(row) for row in counting},
        retired={row.kid: _verifier(row) for row in valid if row not in counting},
        published=Published(body, f'"{sha256(body).hexdigest()}"'),
    )


def _verifier(row: SigningKey) -> Verifier:
    return ParsedKey(row.kid, row.algorithm, keys.public_key(row.public))


def access_algorithm(live: Sequence[SigningKey]) -> str:
    """Return the algorithm of access tokens. ``live``: all keys neither withdrawn nor retired.

    Without ``TOKEN_ALGORITHM``, each key has the algorithm of the key before it, because other
    services may accept only that algorithm.
    """
    held = [key.algorithm for key in live]
    own = [algorithm for algorithm in held if algorithm not in further_algorithms()]
    return settings.AUTHSITE.token_algorithm or [FIRST_ALGORITHM, *(own or held)][-1]


def further_algorithms() -> list[str]:
    """Return the algorithms that sign tokens other than access tokens."""
    return [kind.algorithm() for kind in FURTHER]


def make_due(ring: KeyRing, signs_at: datetime) -> None:
    """Generate and store a key for each algorithm that needs one.

    Nothing changes if another process has already stored a key.

    ``signs_at``: when the new keys start to sign.
    """
    made = [keys.generate(algorithm) for algorithm in ring.due]
    try:
        # Durable, because tokens could not be verified if the key that signed them were rolled
        # back.
        with transaction.atomic(durable=True):
            for number, key in enumerate(made, ring.last + 1):
                insert(key, number, signs_at)
    except IntegrityError:
        log.info("Another process created the signing key.")


def insert(key: keys.PrivateKey, number: int, signs_at: datetime) -> SigningKey:
    """Store ``key`` under ``number``, with its private half encrypted.

    Raises:
        IntegrityError: another process has already stored a key under ``number``.
    """
    jwk = keys.public_jwk(key)
    return SigningKey.objects.create(
        number=number,
        kid=jwk["kid"],
        algorithm=jwk["alg"],
        public=jwk,
        private=crypto.seal(keys.to_pem(key), PURPOSE),
        signs_at=signs_at,
    )


def is_over(row: SigningKey, live: Sequence[SigningKey], now: datetime) -> bool:
    """Return whether a newer key has replaced ``row``, and every token signed with it has expired.

    ``live``: all keys that are neither withdrawn nor retired.
    """
    own = [other for other in live if other.algorithm == row.algorithm]
    later = [other.signs_at for other in own if other.number > row.number]
    return bool(later) and min(later) + KEEP <= now


KID = re.compile(r"[\w-]{43}", re.ASCII)


class CannotSign(Busy):
    """The current signing key cannot be decrypted.

    The response asks clients to try again later. The log gives the operator the reason.
    """

    code = "unavailable"
    status = 503
    message = _("The site can’t sign tokens at the moment. Try again later.")


class KnownKey(keys.KeyRefused):
    """The new key is already in the key ring, or was withdrawn from it.

    A withdrawn key can never be added again, because attackers may know it.
    """


def signer(algorithm: str = "") -> Signer:
    """Return the key that signs now; create the first key if there is none.

    ``algorithm``: an algorithm that is in use. The default is the algorithm of access tokens.

    Call this outside of transactions: within a transaction, it creates no key.

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


def algorithms() -> set[str]:
    """Return the algorithms with which this site signs tokens."""
    return _cache.ring().used


def can_sign() -> bool:
    """Return whether this site can sign with each algorithm in use; True before the first key."""
    ring = _cache.ring()
    if not ring.keys:
        return True
    held = {key.algorithm for key in ring.keys}
    try:
        return all(map(signer, ["", *held.intersection(further_algorithms())]))
    except CannotSign:
        return False


def find_key(kid: str) -> Verifier | None:
    """Return the published key with this ``kid``, or None if there is none.

    If the key is not in the cache of this process, the keys are read from the database again, but
    at most once in five seconds.
    """
    key = _cache.ring().verifiers.get(kid)
    if key is None and KID.fullmatch(kid):
        key = _cache.look_again().verifiers.get(kid)
    return key


def find_hint_key(kid: str) -> Verifier | None:
    """Return the published or retired key with this ``kid``, or None if there is none.

    Only ``id_token_hint`` may be verified with a retired key.
    """
    return _cache.ring().retired.get(kid) or find_key(kid)


def jwks() -> Published:
    """Return the published JWK set, and create the first key if there is none.

    Call this outside of transactions.
    """
    ring = _with_a_key()
    # Another process may have just created the first key for ID tokens, which signs at once.
    return (_cache.look_again() if ring.lacks_further else ring).published


def cached_jwks() -> Published | None:
    """Return the published JWK set from the cache of this process.

    Return None if the cache is empty or outdated; :func:`jwks` reads the set from the database.
    """
    ring = _cache.peek()
    return ring.published if ring and ring.keys else None


def forget() -> None:
    """Clear the cache of this process.

    Call this after the keys have changed, and in a child process after a fork.
    """
    _cache.clear()


def rotate(*, now: bool = False) -> list[SigningKey]:
    """Generate the next key of each algorithm that signs tokens, and add it as :func:`add` does."""
    live = list(live_keys())
    held = {key.algorithm for key in live}
    further = [name for name in further_algorithms() if name in held]
    algorithms = dict.fromkeys([access_algorithm(live), *further])
    return add(*map(keys.generate, algorithms), now=now)


def add(*new: keys.PrivateKey, now: bool = False) -> list[SigningKey]:
    """Add the keys ``new`` to the key ring.

    The first keys of a site start to sign immediately. Later keys start to sign after :data:`LEAD`.

    ``now``: if True, ``new`` starts to sign immediately, and all other keys are withdrawn, because
        they may have leaked.

    Raises:
        KnownKey: a key is already in the key ring, or was withdrawn from it.
        IntegrityError: another process is adding a key at the same moment.
    """
    moment, kids = clock.now(), [keys.public_jwk(key)["kid"] for key in new]
    with transaction.atomic(durable=True):
        if SigningKey.objects.filter(kid__in=kids).exists():
            raise KnownKey("This key is in the key ring already, or was withdrawn from it.")
        signs_at = moment + LEAD if live_keys().exists() and not now else moment
        if now:
            valid = SigningKey.objects.filter(withdrawn_at=None)
            valid.update(withdrawn_at=moment, private="")
        last = SigningKey.objects.aggregate(last=Max("number"))["last"] or 0
        added = [insert(key, last + n, signs_at) for n, key in enumerate(new, 1)]
    forget()
    return added


def prune() -> int:
    """Retire replaced keys whose tokens have all expired; return how many retired keys are deleted.

    A retired key is deleted when no session from before its retirement is live.

    Keys of an algorithm that is no longer in use are retired :data:`KEEP` after this function first
    finds them. If the algorithm is in use again before, they sign again.

    Withdrawn keys are not deleted, so that they cannot be added again.
    """
    now, live, used = clock.now(), list(live_keys()), read({}).used
    live_keys().filter(algorithm__in=used).update(unused_at=None)
    live_keys().filter(unused_at=None).exclude(algorithm__in=used).update(unused_at=now)
    over = [row.pk for row in live if is_over(row, live, now)]
    ready = live_keys().filter(Q(pk__in=over) | Q(unused_at__lte=now - KEEP))
    ready.update(retired_at=now, private="")
    oldest = LoginSession.objects.filter(is_live(now)).aggregate(at=Min("begun_at"))["at"] or now
    retired = SigningKey.objects.filter(withdrawn_at=None, retired_at__lte=oldest)
    return retired.delete()[0]


def live_keys() -> QuerySet[SigningKey]:
    """Return the keys that are neither withdrawn nor retired, in the order of their numbers.

    Keys whose algorithm only newer releases know are left out.
    """
    rows = SigningKey.objects.filter(withdrawn_at=None, retired_at=None)
    return rows.filter(algorithm__in=keys.ALGORITHMS).order_by("number")


def _open(row: SigningKey) -> Signer:
    try:
        pem = crypto.unseal(row.private, PURPOSE)
    except InvalidToken:
        log.critical("No key of ENCRYPTION_KEYS decrypts the signing key %s.", row.kid)
        raise CannotSign(RELOAD.total_seconds()) from None
    return ParsedKey(row.kid, row.algorithm, keys.load(pem.encode()))


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

        When the cached copy is :data:`RELOAD` old, one thread reads the table again. Meanwhile,
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
            ring = self._ring or self._read()
            if not clock.is_past(self._look_again_at, LOOK_AGAIN):
                return ring
            self._look_again_at = clock.now() + LOOK_AGAIN
            return self._read_or_keep(ring)

    def begin(self) -> KeyRing:
        """Read the key ring again and return it; create the first key if there is none."""
        with self._lock:
            ring = self._read()
            if not ring.keys:
                make_due(ring, clock.now())
                ring = self._read()
            return ring

    def signer(self, row: SigningKey) -> Signer:
        """Return the private key of ``row``.

        The first call for ``row`` decrypts and parses the key, and caches it.
        """
        held = self._signers.get(row.kid)
        if held is None:
            with self._lock:
                held = self._signers[row.kid] = self._signers.get(row.kid) or _open(row)
        return held

    def _read(self) -> KeyRing:
        """Read the table, and add the keys that are due. The caller must hold the lock."""
        ring = read(self._ring.verifiers if self._ring else {})
        # Within a transaction, the new key could be rolled back or could block other requests.
        if ring.keys and ring.due and not connection.in_atomic_block:
            try:
                make_due(ring, clock.now() + LEAD)
                ring = read(ring.verifiers)
            except Error:
                log.exception(
                    "The next signing key can't be stored; the current one keeps signing."
                )
        self._ring, self._read_again_at = ring, clock.now() + RELOAD
        # A withdrawn key must not stay in memory.
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
