"""Hashing, verifying and renewing passwords, one hash a call; and which of them are known."""

from django.contrib.auth.hashers import get_hasher, identify_hasher, make_password

from accounts.common.hashes import hasher_of
from accounts.passwords import lists
from accounts.passwords.hashers import MAX_LENGTH, Argon2id, canonical

MIN_LENGTH = 12


def hash_password(password: str) -> str:
    """The hash to store. Slow by design: never inside a transaction."""
    return make_password(password)


def verify(password: str, encoded: str | None) -> bool:
    """Whether ``password`` belongs to ``encoded``.

    None (no such account), an unusable hash (no password) and one by an algorithm that the site
    does not know cost one verification as well, so that time tells nothing (CWE-208). What is too
    long to be a password is not hashed.
    """
    if len(password) > MAX_LENGTH:
        return False
    hasher = hasher_of(encoded) if encoded is not None else None
    if hasher is None or encoded is None:
        nobody = Argon2id()
        return nobody.verify(password, nobody.nobodys()) and False
    return hasher.verify(password, encoded)


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
