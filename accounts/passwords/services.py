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

    One hash is computed even if ``encoded`` is None (no such account), unusable (no password) or of
    an unknown algorithm, so that the response time reveals nothing (CWE-208). A password that is
    too long does not match and is not hashed.
    """
    if len(password) > MAX_LENGTH:
        return False
    hasher = hasher_of(encoded) if encoded is not None else None
    if hasher is None or encoded is None:
        argon2 = Argon2id()
        return argon2.verify(password, argon2.dummy_hash()) and False
    return hasher.verify(password, encoded)


def is_outdated(encoded: str) -> bool:
    """Return whether ``encoded`` has another algorithm or other parameters than new hashes."""
    hasher = identify_hasher(encoded)
    preferred = get_hasher("default")
    return hasher.algorithm != preferred.algorithm or preferred.must_update(encoded)


def is_compromised(password: str) -> bool:
    """Return whether attackers try ``password`` first (NIST SP 800-63B section 3.1.1.2).

    The password is looked up in the list of common passwords, and its canonical form in the local
    copy of Have I Been Pwned.
    """
    return lists.is_common(password) or lists.is_pwned(canonical(password))
