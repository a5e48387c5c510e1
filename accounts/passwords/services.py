"""Hashing, verifying and renewing passwords, one hash a call; and which of them are known."""

from django.contrib.auth.hashers import (
    get_hasher,
    identify_hasher,
    is_password_usable,
    make_password,
)

from accounts.passwords import lists
from accounts.passwords.hashers import MAX_LENGTH, Argon2id, canonical

MIN_LENGTH = 12


def hash_password(password: str) -> str:
    """The hash to store. Slow by design: never inside a transaction."""
    return make_password(password)


def verify(password: str, encoded: str | None) -> bool:
    """Whether ``password`` belongs to ``encoded``.

    None (no such account) and an unusable hash (no password) cost one verification as well, so
    that time tells nothing (CWE-208). What is too long to be a password is not hashed.
    """
    if len(password) > MAX_LENGTH:
        return False
    if encoded is None or not is_password_usable(encoded):
        hasher = Argon2id()
        return hasher.verify(password, hasher.nobodys()) and False
    return identify_hasher(encoded).verify(password, encoded)


def is_outdated(encoded: str) -> bool:
    """Whether the hash was made by an older algorithm or with weaker parameters."""
    hasher = identify_hasher(encoded)
    preferred = get_hasher("default")
    return hasher.algorithm != preferred.algorithm or preferred.must_update(encoded)


def is_compromised(password: str) -> bool:
    """Whether ``password`` is on a list that attackers try first (NIST SP 800-63B 3.1.1.2).

    The copy of Have I Been Pwned is asked for the password as it would be hashed.
    """
    return lists.is_common(password) or lists.is_pwned(canonical(password))
