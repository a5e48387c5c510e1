"""Finds out which stored password hashes the site can verify."""

from django.contrib.auth.hashers import BasePasswordHasher, identify_hasher


def hasher_of(encoded: str) -> BasePasswordHasher | None:
    """Return the hasher for the password hash ``encoded``, or None if no password can match.

    No password can match if the hash is unusable or damaged, or if its algorithm (bcrypt, for
    example) is not in ``PASSWORD_HASHERS``.
    """
    try:
        hasher = identify_hasher(encoded)
        hasher.decode(encoded)
    except (ValueError, LookupError, AssertionError):
        return None
    return hasher
