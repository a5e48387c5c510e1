"""The table of signing keys, and what each key is used for at a given moment.

Keys are ordered by number. A new key is published some time before it signs, so that every verifier
has it. A key signs from its ``signs_at`` until the ``signs_at`` of the next key of its algorithm.
It stays published until its last token has expired. This state follows from the clock, and no job
changes it. A withdrawn key neither signs nor verifies.

Each algorithm that is in use has its own signing key and successor. If an algorithm is no longer in
use, its keys stay published until ``keyring.prune`` deletes them.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.common import clock, crypto
from accounts.common.config import LONGEST_ACCESS_TOKEN
from accounts.tokens import keys
from accounts.tokens.models import SigningKey

log = logging.getLogger(__name__)

PURPOSE = "signing-key"
# ES256 signs 30 times as fast as RS256 with keys of the same strength, and its tokens are shorter.
FIRST_ALGORITHM = "ES256"
# A process reads the table again when its copy has this age. One thread reads, and the others do
# not wait.
RELOAD = timedelta(seconds=60)
# Tokens with an unknown ``kid`` cause at most one read of the table in this time.
LOOK_AGAIN = timedelta(seconds=5)
# How long clients may cache the published keys (``Cache-Control``).
MAX_AGE = timedelta(seconds=300)
# Allowance for clocks that differ and for slow answers.
SLACK = timedelta(minutes=4)
# How long a key is published before it signs. Until then, clients may use cached copies of the
# published keys without it.
LEAD = MAX_AGE + RELOAD + SLACK
# How long a key stays published after the next key starts to sign. A process may notice the next
# key late and sign with this one meanwhile, and those tokens must expire first.
KEEP = timedelta(seconds=LONGEST_ACCESS_TOKEN) + RELOAD + SLACK


@dataclass(frozen=True)
class Further:
    """How tokens of another kind than access tokens are signed.

    ``algorithm``: returns the algorithm.
    ``is_needed``: returns whether the site issues such tokens. Until then, the algorithm gets no
        key.
    """

    algorithm: Callable[[], str]
    is_needed: Callable[[], bool]


# Code that signs tokens of another kind adds its entry here.
FURTHER: list[Further] = []


@dataclass(frozen=True)
class Signer:
    """A parsed private key that signs tokens."""

    kid: str
    algorithm: str
    key: keys.PrivateKey


@dataclass(frozen=True)
class Verifier:
    """A parsed public key that verifies tokens, and the only algorithm to use with it."""

    kid: str
    algorithm: str
    key: keys.PublicKey


@dataclass(frozen=True)
class Published:
    """The JWK set (RFC 7517 section 5) in JSON, and its ETag (RFC 9110 section 8.8.3)."""

    body: bytes
    etag: str


@dataclass(frozen=True)
class KeyRing:
    """The signing keys as read from the table.

    ``last`` is the highest number in the table. ``keys`` are the published keys in the order of
    their numbers.
    """

    last: int
    keys: tuple[SigningKey, ...]
    verifiers: dict[str, Verifier]
    published: Published

    def signing(self, algorithm: str, now: datetime) -> SigningKey | None:
        """Return the key that signs with ``algorithm`` at the time ``now``, or None if it has none.

        This is the last key that has reached its ``signs_at``. If no key has reached it, because
        the algorithm is new or the clock of this server is behind, return the first key.
        """
        own = [key for key in self.keys if key.algorithm == algorithm]
        begun = [key for key in own if key.signs_at <= now]
        return begun[-1] if begun else next(iter(own), None)

    def signing_access(self, now: datetime) -> SigningKey:
        """Return the key that signs access tokens at the time ``now``.

        After a change of the algorithm, the keys of the previous one sign until the first key of
        the new one has been published for long enough.
        """
        own = self.signing(access_algorithm(self.keys), now)
        if own and own.signs_at <= now:
            return own
        begun = [key for key in self.keys if key.signs_at <= now]
        previous = [key for key in begun if key.algorithm not in further()]
        return (previous or begun or [own or self.keys[0]])[-1]

    @property
    def used(self) -> set[str]:
        """The algorithms in use, and the one that still signs access tokens after a change."""
        signing = {self.signing_access(clock.now()).algorithm} if self.keys else set()
        return {*in_use(self.keys), *signing}

    @property
    def due(self) -> list[str]:
        """The algorithms that need a key: they have none, or only old ones.

        A key is old if it was made more than ``SIGNING_KEY_DAYS`` ago.
        """
        days = settings.AUTHSITE.signing_key_days
        since = clock.now() - timedelta(days=days)
        held = {key.algorithm for key in self.keys if not days or key.made_at > since}
        needed = [access_algorithm(self.keys)]
        # Asked last, because it may take a query.
        needed += [f.algorithm() for f in FURTHER if f.algorithm() not in held and f.is_needed()]
        return [algorithm for algorithm in dict.fromkeys(needed) if algorithm not in held]

    @property
    def lacks_further(self) -> bool:
        """Whether an algorithm that signs other tokens than access tokens has no key."""
        return not {key.algorithm for key in self.keys}.issuperset(further())


def read(known: dict[str, Verifier]) -> KeyRing:
    """Read the key ring from the table; public keys in ``known`` are not parsed again."""
    rows = list(SigningKey.objects.order_by("number"))
    live, now = [row for row in rows if row.withdrawn_at is None], clock.now()
    counting = tuple(row for row in live if not is_over(row, live, now))
    body = json.dumps({"keys": [row.public for row in counting]}).encode()
    return KeyRing(
        last=rows[-1].number if rows else 0,
        keys=counting,
        verifiers={row.kid: known.get(row.kid) or _verifier(row) for row in counting},
        published=Published(body, f'"{sha256(body).hexdigest()}"'),
    )


def _verifier(row: SigningKey) -> Verifier:
    return Verifier(row.kid, row.algorithm, keys.public_key(row.public))


def access_algorithm(live: Sequence[SigningKey]) -> str:
    """Return the algorithm of access tokens. ``live``: all keys that are not withdrawn.

    Without ``TOKEN_ALGORITHM``, each key keeps the algorithm of the key before it, because other
    services may accept only that one.
    """
    held = [key.algorithm for key in live]
    own = [algorithm for algorithm in held if algorithm not in further()]
    return settings.AUTHSITE.token_algorithm or [FIRST_ALGORITHM, *(own or held)][-1]


def in_use(live: Sequence[SigningKey]) -> list[str]:
    """Return the algorithms that sign tokens. ``live``: all keys that are not withdrawn."""
    return list(dict.fromkeys([access_algorithm(live), *further()]))


def further() -> list[str]:
    """Return the algorithms that sign other tokens than access tokens."""
    return [kind.algorithm() for kind in FURTHER]


def make_due(ring: KeyRing, signs_at: datetime) -> None:
    """Generate and store a key for each algorithm that needs one.

    Nothing changes if another process has already stored a key.
    """
    made = [keys.generate(algorithm) for algorithm in ring.due]
    try:
        # Durable: if a key were rolled back, tokens that it signed could not be verified.
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
    """Return whether the key ``row`` is replaced and every token that it has signed has expired.

    ``live``: all keys that are not withdrawn. The last key of an algorithm is never over, because
        it is not replaced yet.
    """
    later = [
        other.signs_at
        for other in live
        if other.algorithm == row.algorithm and other.number > row.number
    ]
    return bool(later) and min(later) + KEEP <= now
