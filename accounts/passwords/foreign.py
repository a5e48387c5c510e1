"""Stores and verifies password hashes of other systems until the first sign-in replaces them.

- ``foreign$…`` is the stored form of :class:`ForeignHash`.
- ``sealed$…`` is the same, encrypted. Hashes that can be guessed fast are sealed until the command
``rehash`` has wrapped them. Hashes with a secret of the other system stay sealed.
- ``wrapped$…$argon2-id$…`` is the Argon2id hash of a weak digest, with the parameters of the
digest.

:func:`rewrite` replaces all sealed hashes, for the commands ``rehash`` and ``reencrypt``.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, NamedTuple

from cryptography.fernet import InvalidToken
from django.contrib.auth.hashers import BasePasswordHasher
from django.db.models import Q

from accounts.common import crypto
from accounts.common.database import read_in_batches
from accounts.passwords.hashers import Argon2id, in_slot
from accounts.passwords.notations import parse
from accounts.passwords.schemes import ForeignHash
from accounts.users.models import LOCKED, LONGEST_HASH, FormerCredential, User, hasher_of

PURPOSE = "password hash"
SEALED = "sealed$"
# The length of the result of ``Argon2id.salt``.
SALT_CHARACTERS = 22


def accept(found: str | ForeignHash) -> str:
    """Return ``found``, a hash of another system, in its stored form.

    ``found``: a notation that :func:`parse` reads, or the result of another function of
        ``accounts.passwords.notations``.

    Raises:
        ValueError: the notation is unknown or damaged, or the hash is too expensive or too
            long.
    """
    hashed = found if isinstance(found, ForeignHash) else parse(found)
    is_sealed = hashed.is_weak or hashed.has_secret
    stored = _seal(hashed) if is_sealed else f"foreign${hashed}"
    if len(LOCKED + stored) > LONGEST_HASH:
        raise ValueError("the hash is too long")
    return stored


def _seal(hashed: ForeignHash) -> str:
    return SEALED + crypto.seal(str(hashed), PURPOSE)


def portable(password: str) -> str:
    """Return ``password``, a value of the password column, in a form that another site can read.

    Raises:
        ValueError: no key of ``ENCRYPTION_KEYS`` decrypts the hash.
    """
    encoded = password.removeprefix(LOCKED)
    if not encoded.startswith(SEALED):
        return password
    return f"{password.removesuffix(encoded)}{Foreign.algorithm}${unseal(encoded)}"


def accept_portable(encoded: str) -> str:
    """Return ``encoded``, a hash of another site of this kind, in its stored form.

    Raises:
        ValueError: no password can match, or the hash is too expensive or too long.
    """
    hasher = hasher_of(encoded)
    if hasher is None or isinstance(hasher, Sealed) or len(LOCKED + encoded) > LONGEST_HASH:
        raise ValueError("no password can match this hash, or it costs too much")
    if isinstance(hasher, Foreign) and not isinstance(hasher, Wrapped):
        return accept(hasher.read(encoded))
    return encoded


class Foreign(BasePasswordHasher):
    """Verifies hashes of other systems. No new hashes of this kind are created."""

    algorithm: str = "foreign"

    def read(self, encoded: str) -> ForeignHash:
        """Return the hash whose stored form is ``encoded``.

        Raises:
            ValueError: ``encoded`` is damaged, or its parameters are not allowed.
        """
        return ForeignHash.read(encoded.split("$", 1)[1])

    def decode(self, encoded: str) -> dict[str, Any]:
        return {"algorithm": self.algorithm, "hash": self.read(encoded)}

    def verify(self, password: str, encoded: str) -> bool:
        hashed = self.read(encoded)
        return in_slot(lambda: hashed.matches(password))

    def kind(self, encoded: str) -> tuple[str, str]:
        """Return a hash of the same cost without salts, secrets and digest, and its algorithm."""
        return str(self.read(encoded).blank), self.algorithm

    def dummy(self, blank: str) -> str:
        """Return a hash with the same cost as hashes of the kind ``blank``."""
        return f"{self.algorithm}${blank}"


class DjangoPbkdf2(Foreign):
    """Verifies PBKDF2 hashes of Django, which are stored unchanged."""

    algorithm = "pbkdf2_sha256"

    def read(self, encoded: str) -> ForeignHash:
        return parse(encoded)

    def kind(self, encoded: str) -> tuple[str, str]:
        return str(self.read(encoded).blank), Foreign.algorithm


class DjangoScrypt(DjangoPbkdf2):
    """Verifies scrypt hashes of Django, which are stored unchanged."""

    algorithm = "scrypt"


class Sealed(Foreign):
    """Verifies encrypted hashes."""

    algorithm = "sealed"

    def read(self, encoded: str) -> ForeignHash:
        return ForeignHash.read(unseal(encoded))

    def dummy(self, blank: str) -> str:
        return SEALED + crypto.seal(blank, PURPOSE)


def unseal(encoded: str) -> str:
    """Return the stored form of the hash that is encrypted in ``encoded``.

    Raises:
        ValueError: no key of ``ENCRYPTION_KEYS`` decrypts it.
    """
    try:
        return crypto.unseal(encoded.removeprefix(SEALED), PURPOSE)
    except InvalidToken:
        raise ValueError("no key of ENCRYPTION_KEYS decrypts this hash") from None


def reseal(encoded: str) -> str:
    """Return the sealed hash ``encoded``, encrypted with the newest key.

    Raises:
        ValueError: no key of ``ENCRYPTION_KEYS`` decrypts it.
    """
    return SEALED + crypto.seal(unseal(encoded), PURPOSE)


class WrappedHash(NamedTuple):
    """An Argon2id hash of a weak digest.

    ``inner``: the parameters of the weak digest.
    ``outer``: the Argon2id hash of the digest in hexadecimal.
    """

    inner: ForeignHash
    outer: ForeignHash

    def matches(self, password: str) -> bool:
        """Return whether this is the hash of ``password``."""
        return self.outer.matches(self.inner.compute(password).hex())


class Wrapped(Foreign):
    """Verifies Argon2id hashes of weak digests, which :func:`wrap` returns."""

    algorithm = "wrapped"

    def read(self, encoded: str) -> ForeignHash:
        return self._read(encoded).inner

    def decode(self, encoded: str) -> dict[str, Any]:
        return {"algorithm": self.algorithm, "hash": self._read(encoded)}

    def verify(self, password: str, encoded: str) -> bool:
        wrapped = self._read(encoded)
        return in_slot(lambda: wrapped.matches(password))

    def dummy(self, blank: str) -> str:
        return f"{self.algorithm}${blank}${_argon2id(b'.' * SALT_CHARACTERS)}"

    def _read(self, encoded: str) -> WrappedHash:
        parts = encoded.split("$")[1:]
        inner, outer = ("$".join(half) for half in (parts[:4], parts[4:]))
        return WrappedHash(ForeignHash.read(inner), ForeignHash.read(outer))


def wrap(encoded: str) -> str | None:
    """Return the Argon2id hash of the sealed hash ``encoded``, or None if it is not weak.

    Raises:
        ValueError: no key of ``ENCRYPTION_KEYS`` decrypts it, or its parameters are not
            allowed.
        Busy: every hashing slot is busy.
    """
    weak = Sealed().read(encoded)
    if not weak.is_weak:
        return None
    outer = _argon2id(Argon2id().salt().encode())
    digest = in_slot(lambda: outer.compute(weak.digest.hex()))
    hashed = ForeignHash(outer.scheme, outer.costs, outer.salts, digest)
    return f"{Wrapped.algorithm}${weak.without_digest}${hashed}"


def _argon2id(salt: bytes) -> ForeignHash:
    costs = (19, Argon2id.memory_cost, Argon2id.time_cost, Argon2id.parallelism)
    return ForeignHash("argon2-id", costs, (salt,), b"." * 32)


PORTION = 200
_IS_SEALED = Q(password__startswith=SEALED) | Q(password__startswith=LOCKED + SEALED)


class Outcome(NamedTuple):
    """The number of changed hashes, and the rows that could not be read."""

    changed: int
    lost: list[str]


class _Row(NamedTuple):
    """A stored hash. ``save`` replaces it unless it has changed, and returns the number of rows."""

    name: str
    encoded: str
    save: Callable[[str], int]


def rewrite(
    change: Callable[[str], str | None], progress: Callable[[int], object] = bool
) -> Outcome:
    """Replace each sealed hash with the result of ``change``; None leaves it unchanged.

    Each row is saved at once, so this can be stopped at any time and started again. A hash that a
    sign-in replaces meanwhile is not overwritten.

    ``change``: called in several threads. It raises ``ValueError`` if it cannot read the hash.
    ``progress``: called after each portion with the number of hashes that were changed so far.
    """
    changed, lost = 0, []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for portion in chain(_of_users(), _of_former()):
            for row, new in zip(portion, threads.map(_attempt(change), portion), strict=True):
                if isinstance(new, ValueError):
                    lost.append(row.name)
                elif new is not None:
                    changed += row.save(new)
            progress(changed)
    return Outcome(changed, lost)


def _attempt(change: Callable[[str], str | None]) -> Callable[[_Row], str | ValueError | None]:
    def attempt(row: _Row) -> str | ValueError | None:
        try:
            return change(row.encoded)
        except ValueError as error:
            return error

    return attempt


def _of_users() -> Iterator[list[_Row]]:
    rows = User.objects.filter(_IS_SEALED).values_list("pk", "password")
    for batch in read_in_batches(rows, PORTION):
        yield [_user(pk, password) for pk, password in batch]


def _user(pk: Any, password: str) -> _Row:
    encoded = password.removeprefix(LOCKED)
    mark = password.removesuffix(encoded)
    same = User.objects.filter(pk=pk, password=password)
    return _Row(f"user {pk}", encoded, lambda new: same.update(password=mark + new))


def _of_former() -> Iterator[list[_Row]]:
    passwords = FormerCredential.objects.filter(kind=FormerCredential.Kind.PASSWORD)
    rows = passwords.filter(data__hash__startswith=SEALED).values_list("pk", "data")
    for batch in read_in_batches(rows, PORTION):
        yield [_former(pk, data["hash"]) for pk, data in batch]


def _former(pk: int, encoded: str) -> _Row:
    row = FormerCredential.objects.filter(pk=pk)
    return _Row(f"former password {pk}", encoded, lambda new: row.update(data={"hash": new}))
