"""The table of signing keys, and what each key is used for at a given moment.

Keys are ordered by number. A new key is published some time before it signs, so that every verifier
has it. A key signs from its ``signs_at`` until the ``signs_at`` of the next key. It stays published
until its last token has expired. No job changes the state of a key: the state follows from the
clock. A withdrawn key neither signs nor verifies.
"""

import json
import logging
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

    def signing(self, now: datetime) -> SigningKey:
        """Return the key that signs at the time ``now``.

        This is the last key that has reached its ``signs_at``. If the clock of this server is
        behind and no key has reached it, return the first key.
        """
        begun = [key for key in self.keys if key.signs_at <= now]
        return begun[-1] if begun else self.keys[0]

    @property
    def wants_a_successor(self) -> bool:
        """Whether the newest key is at least ``SIGNING_KEY_DAYS`` old."""
        days = settings.AUTHSITE.signing_key_days
        return bool(days and self.keys) and (
            self.keys[-1].made_at + timedelta(days=days) <= clock.now()
        )


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


def next_algorithm(newest: SigningKey | None) -> str:
    """Return the algorithm for the key after ``newest``, or for the first key of a site.

    Without ``TOKEN_ALGORITHM``, each key keeps the algorithm of the key before it, because other
    services may accept only that one.
    """
    return settings.AUTHSITE.token_algorithm or (newest.algorithm if newest else FIRST_ALGORITHM)


def make_next(ring: KeyRing, signs_at: datetime) -> None:
    """Generate and store the key that follows the keys in ``ring``.

    Nothing changes if another process has already stored that key.
    """
    key = keys.generate(next_algorithm(ring.keys[-1] if ring.keys else None))
    try:
        # Durable: if the key were rolled back, tokens that it signed could not be verified.
        with transaction.atomic(durable=True):
            insert(key, ring.last + 1, signs_at)
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


def is_over(row: SigningKey, live: list[SigningKey], now: datetime) -> bool:
    """Return whether every token that the key ``row`` has signed has expired.

    ``live``: all keys that are not withdrawn. The last of these keys is never over, because it is
        not replaced yet.
    """
    later = [other.signs_at for other in live if other.number > row.number]
    return bool(later) and min(later) + KEEP <= now
