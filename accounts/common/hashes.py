"""Which stored password hashes this site can verify."""

from django.contrib.auth.hashers import BasePasswordHasher, identify_hasher


def hasher_of(encoded: str) -> BasePasswordHasher | None:
    """Return the hasher that made ``encoded``.

    None if no password fits it: an unusable hash, one by an algorithm that is not in
    ``PASSWORD_HASHERS`` (bcrypt, or another framework's), or a damaged one.
    """
    try:
        hasher = identify_hasher(encoded)
        hasher.decode(encoded)
    except (ValueError, LookupError, AssertionError):
        return None
    return hasher
