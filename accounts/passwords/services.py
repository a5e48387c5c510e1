"""Hashes and verifies passwords, and recognizes outdated hashes and common passwords."""

from django.contrib.auth.hashers import get_hasher, identify_hasher, make_password

from accounts.common.hashes import hasher_of
from accounts.passwords import lists
from accounts.passwords.hashers import MAX_LENGTH, Argon2id, canonical

MIN_LENGTH = 12


def hash_password(password: str) -> str:
    """Return the hash of ``password`` to store.

    Hashing is slow, so never call this in a transaction.
    """
    return make_password(password)


def verify(password: str, encoded: str | None) -> bool:
    """Return whether ``password`` matches the hash ``encoded``.

    ``encoded`` is None if there is no such account. It may be unusable, if the account has no
    password, or of an unknown algorithm. A hash is computed in these cases, too, so that the
    response time reveals nothing (CWE-208).

    No hash is computed for a password that is too long, because it never matches.
    """
    if len(password) > MAX_LENGTH:
        return False
    hasher = hasher_of(encoded) if encoded is not None else None
    if hasher is None or encoded is None:
        argon2 = Argon2id()
        argon2.verify(password, argon2.dummy_hash())
        return False
    return hasher.verify(password, encoded)


def is_outdated(encoded: str) -> bool:
    """Return whether the algorithm or parameters of ``encoded`` differ from those of new hashes."""
    hasher = identify_hasher(encoded)
    preferred = get_hasher("default")
    return hasher.algorithm != preferred.algorithm or preferred.must_update(encoded)


def is_compromised(password: str) -> bool:
    """Return whether attackers try ``password`` first (NIST SP 800-63B section 3.1.1.2).

    This is the case if the password is in the list of common passwords, or if its canonical form is
    in the local copy of Have I Been Pwned.
    """
    return lists.is_common(password) or lists.is_pwned(canonical(password))
