"""Tells which stored password hashes the site can verify."""

from django.contrib.auth.hashers import BasePasswordHasher, identify_hasher


def hasher_of(encoded: str) -> BasePasswordHasher | None:
    """Return the hasher that made the password hash ``encoded``.

    Returns None if no password can match: the hash is unusable or damaged, or its algorithm is not
    in ``PASSWORD_HASHERS`` (bcrypt, for example).
    """
    try:
        hasher = identify_hasher(encoded)
        hasher.decode(encoded)
    except (ValueError, LookupError, AssertionError):
        return None
    return hasher
