"""The one source of randomness (ASVS 11.5.1): every secret of the site is made here.

All of it comes from the operating system through the standard library's ``secrets``; a test
refuses any other source in the code.
"""

import base64
import hmac
import secrets
import uuid
from hashlib import sha256

from django.conf import settings

CODE_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ23456789"
# Without 0 O 1 l I: a person reads it from a page and types it elsewhere.
READABLE_ALPHABET = "abcdefghijkmnopqrstuvwxyz23456789"
MAX_BYTES = 1024


def raw(nbytes: int = 32) -> bytes:
    """``nbytes`` random bytes, 16 to 1024; ``ValueError`` outside that."""
    if not 16 <= nbytes <= MAX_BYTES:
        raise ValueError(f"a secret has 16 to {MAX_BYTES} bytes")
    return secrets.token_bytes(nbytes)


def hexadecimal(nbytes: int = 32) -> str:
    """``nbytes`` random bytes as lower-case hexadecimal."""
    return raw(nbytes).hex()


def token(nbytes: int = 32) -> str:
    """``nbytes`` random bytes in the URL-safe alphabet of RFC 4648 section 5, unpadded."""
    if not 16 <= nbytes <= MAX_BYTES:
        raise ValueError(f"a secret has 16 to {MAX_BYTES} bytes")
    return secrets.token_urlsafe(nbytes)


def password(groups: int = 5) -> str:
    """A password to be read and typed: groups of five characters, 25 bits each, 4 to 64 groups."""
    if not 4 <= groups <= 64:
        raise ValueError("a password has 4 to 64 groups")
    return "-".join(_draw(READABLE_ALPHABET, 5) for _ in range(groups))


def encryption_key() -> str:
    """A key for ``ENCRYPTION_KEYS``: 256 bits, URL-safe, padded as Fernet wants it."""
    return base64.urlsafe_b64encode(raw()).decode()


def code(length: int = 8) -> str:
    """A code for a mail: ``length`` of A-Z and 2-9 (8 of them are 40 bits)."""
    return _draw(CODE_ALPHABET, length)


def digits(length: int) -> str:
    """``length`` of 0-9: tells names apart, and is no secret."""
    return _draw("0123456789", length)


def recovery_code() -> str:
    """A code that a person keeps on paper: ten characters, 50 bits."""
    return _draw(READABLE_ALPHABET, 10)


def public_id() -> uuid.UUID:
    """An id that may be shown and can't be guessed: a version 4 UUID (RFC 9562 section 5.4)."""
    return uuid.UUID(bytes=secrets.token_bytes(16), version=4)


def digests(value: str, purpose: str) -> list[str]:
    """What may be stored of a secret, newest key first: HMAC-SHA256 under each ``SECRET_KEY``.

    Keyed, because a mailed code has 40 bits: a plain hash in a stolen dump would fall in seconds.
    Look up with all of them, store the first.
    """
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    message = f"{purpose}\0{value}".encode()
    return [hmac.new(key.encode(), message, sha256).hexdigest() for key in keys]


def digest(value: str, purpose: str) -> str:
    """The first of :func:`digests`: the one to store."""
    return digests(value, purpose)[0]


def _draw(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
