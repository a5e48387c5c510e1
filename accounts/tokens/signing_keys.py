"""The table of signing keys, and what each key is for at a moment.

No job moves a key on: what it does follows from the clock. Of the keys that aren't withdrawn, by
number, one signs from its ``signs_at`` until that of a later one has come. Before, it's published,
so that every verifier has it in time; after, it's published until its last token has ended. A key
that was withdrawn signs and verifies nothing.
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
# How old what a process knows may be; then one thread reads the table, the others go on.
RELOAD = timedelta(seconds=60)
# Tokens with a ``kid`` that nobody has made cost one look into the table in this time.
LOOK_AGAIN = timedelta(seconds=5)
# How long others may keep the published keys (``Cache-Control``).
MAX_AGE = timedelta(seconds=300)
# For clocks that differ and answers that are slow.
SLACK = timedelta(minutes=4)
# A key is published for so long before it signs: a copy made a moment before it came, in a process
# that didn't know of it yet, has ended by then.
LEAD = MAX_AGE + RELOAD + SLACK
# And for so long after: until the last token ends of a process that didn't know of its successor.
KEEP = timedelta(seconds=LONGEST_ACCESS_TOKEN) + RELOAD + SLACK


@dataclass(frozen=True)
class Signer:
    """The key that signs now, parsed."""

    kid: str
    algorithm: str
    key: keys.PrivateKey


@dataclass(frozen=True)
class Verifier:
    """A key that tokens may be signed with, parsed, and the only algorithm that it's good for."""

    kid: str
    algorithm: str
    key: keys.PublicKey


@dataclass(frozen=True)
class Published:
    """The JWK set (RFC 7517 section 5) as it's sent, and its ETag (RFC 9110 section 8.8.3)."""

    body: bytes
    etag: str


@dataclass(frozen=True)
class KeyRing:
    """What the table said: the greatest number in it, and the keys that count, by number."""

    last: int
    keys: tuple[SigningKey, ...]
    verifiers: dict[str, Verifier]
    published: Published

    def signing(self, now: datetime) -> SigningKey:
        """The last one that has begun; the first, where a clock is behind its maker's."""
        begun = [key for key in self.keys if key.signs_at <= now]
        return begun[-1] if begun else self.keys[0]

    @property
    def wants_a_successor(self) -> bool:
        """Whether the newest key is ``SIGNING_KEY_DAYS`` old."""
        days = settings.AUTHSITE.signing_key_days
        return bool(days and self.keys) and (
            self.keys[-1].made_at + timedelta(days=days) <= clock.now()
        )


def read(known: dict[str, Verifier]) -> KeyRing:
    """The table as it is; keys in ``known`` aren't parsed again."""
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


def make_next(ring: KeyRing, signs_at: datetime) -> None:
    """The key after those in ``ring``, unless another process was first: then it has made it."""
    key = keys.generate(settings.AUTHSITE.token_algorithm)
    try:
        # Durable: a key whose row is rolled back would have signed tokens that nobody verifies.
        with transaction.atomic(durable=True):
            insert(key, ring.last + 1, signs_at)
    except IntegrityError:
        log.info("Another process created the signing key.")


def insert(key: keys.PrivateKey, number: int, signs_at: datetime) -> SigningKey:
    """``IntegrityError`` if the number is taken: of several that make the next key one does."""
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
    """Whether no token that ``row`` has signed can be good any more."""
    later = [other.signs_at for other in live if other.number > row.number]
    return bool(later) and min(later) + KEEP <= now
