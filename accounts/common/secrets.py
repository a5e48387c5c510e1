"""Generates every secret and random id of the site, and computes digests (ASVS 11.5.1).

All randomness comes from the operating system, through the standard library's ``secrets``. A test
fails if the code uses another source.
"""

import base64
import hmac
import re
import secrets
import uuid
import zlib
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from django.conf import settings

from accounts.common import crypto

# Has no 0, 1, l or capitals, which people confuse when they copy a code by hand.
READABLE_ALPHABET = "abcdefghijkmnopqrstuvwxyz23456789"
# Has no vowels, so that codes form no words, and no digits (RFC 8628 section 6.1).
USER_CODE_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
MAX_BYTES = 1024


def raw(nbytes: int = 32) -> bytes:
    """Return ``nbytes`` random bytes.

    Raises:
        ValueError: ``nbytes`` is less than 16 or more than 1024.
    """
    if not 16 <= nbytes <= MAX_BYTES:
        raise ValueError(f"a secret has 16 to {MAX_BYTES} bytes")
    return secrets.token_bytes(nbytes)


def hexadecimal(nbytes: int = 32) -> str:
    """Return ``nbytes`` random bytes in lowercase hexadecimal.

    Raises:
        ValueError: ``nbytes`` is less than 16 or more than 1024.
    """
    return raw(nbytes).hex()


def token(nbytes: int = 32) -> str:
    """Return ``nbytes`` random bytes in unpadded URL-safe base64 (RFC 4648 section 5).

    Raises:
        ValueError: ``nbytes`` is less than 16 or more than 1024.
    """
    return crypto.encode(raw(nbytes))


def password(groups: int = 5) -> str:
    """Return a random password that is easy to type, in groups of five characters (25 bits).

    Raises:
        ValueError: ``groups`` is less than 4 or more than 64.
    """
    if not 4 <= groups <= 64:
        raise ValueError("a password has 4 to 64 groups")
    return "-".join(_draw(READABLE_ALPHABET, 5) for _ in range(groups))


def encryption_key() -> str:
    """Return a random key for ``ENCRYPTION_KEYS``: 256 bits in padded URL-safe base64."""
    return base64.urlsafe_b64encode(raw()).decode()


def digits(length: int) -> str:
    """Return ``length`` random digits. They are a secret only where guesses are limited."""
    return _draw("0123456789", length)


def recovery_code() -> str:
    """Return a random recovery code: 13 characters, 65 bits."""
    return _draw(READABLE_ALPHABET, 13)


def user_code() -> str:
    """Return a random code for a device to show: eight letters, 34 bits.

    Limit the guesses: 34 bits alone are too few.
    """
    return _draw(USER_CODE_ALPHABET, 8)


def public_id() -> uuid.UUID:
    """Return a random UUID (RFC 9562 section 5.4): a public id that nobody can guess."""
    return uuid.UUID(bytes=secrets.token_bytes(16), version=4)


def digests(value: str, purpose: str) -> list[str]:
    """Return one digest of the secret ``value`` for each secret key, newest key first.

    Store the first digest, and look up a secret by all digests, so that it remains valid after a
    change of ``SECRET_KEY``. The digests are keyed (HMAC-SHA256), because an emailed code has only
    27 bits: an unkeyed hash of it in a stolen database could be reversed in a second.
    """
    return [mac.hex() for mac in macs(value, purpose)]


def macs(value: str, purpose: str) -> list[bytes]:
    """Return the digests of :func:`digests` as bytes."""
    message, found = f"{purpose}\0{value}".encode(), []
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        mac = _keyed(key).copy()
        mac.update(message)
        found.append(mac.digest())
    return found


def digest(value: str, purpose: str) -> str:
    """Return the digest of the secret ``value`` for storage: the first one of :func:`digests`."""
    return digests(value, purpose)[0]


def plain_digest(secret: str) -> str:
    """Return the digest of a secret that has 160 random bits or more.

    It needs no key and no salt, because nobody can guess such a secret.
    """
    return sha256(secret.encode()).hexdigest()


@lru_cache(16)
def _keyed(key: str) -> hmac.HMAC:
    """Return an HMAC with ``key`` and no message. Copying it is faster than creating a new one."""
    return hmac.new(key.encode(), digestmod=sha256)


def _draw(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


ID, SECRET = 10, 20
ID_LENGTH = 16
CHECKSUM_LENGTH = 7
# Matches every text that a ``KeyText`` makes, whatever its prefix.
PATTERN = re.compile(r"authsite_(?:client_|register_|scim_)?[a-z2-7]{55}", re.ASCII)


@dataclass(frozen=True)
class NewKey:
    """The text of a new key, with the id and the digest that the database stores."""

    text: str
    id: str
    digest: str


class KeyText:
    """Creates and parses texts of API keys, client secrets, registration and SCIM tokens.

    A text consists of ``prefix``, an id, a secret of 160 bits and a checksum. After the prefix, it
    has 55 characters of ``a-z2-7``; a double click selects them together with the prefix. Secret
    scanners find these texts by :data:`PATTERN`, and can use the checksum to exclude look-alikes.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._pattern = re.compile(rf"{prefix}[a-z2-7]{{55}}", re.ASCII)

    def make(self) -> NewKey:
        """Return a new random text."""
        random = raw(ID + SECRET)
        body = f"{self.prefix}{_base32(random[:ID])}{_base32(random[ID:])}"
        text = f"{body}{_checksum(body)}"
        return NewKey(text, self.id_of(text), plain_digest(text))

    def is_key(self, text: str) -> bool:
        """Return whether ``text`` has the format and the checksum. The database is not queried."""
        body, checksum = text[:-CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
        return self._pattern.fullmatch(text) is not None and checksum == _checksum(body)

    def id_of(self, text: str) -> str:
        """Return the id in ``text``. The id is not secret."""
        return text.removeprefix(self.prefix)[:ID_LENGTH]


def _checksum(body: str) -> str:
    """Return the CRC-32 of ``body`` in base32: seven characters."""
    return _base32(zlib.crc32(body.encode()).to_bytes(4))


def _base32(octets: bytes) -> str:
    """Return ``octets`` in lower-case base32 without padding (RFC 4648 section 6)."""
    return base64.b32encode(octets).decode().rstrip("=").lower()


# Secret scanners find the texts by these prefixes.
CLIENT_SECRET, REGISTRATION = KeyText("authsite_client_"), KeyText("authsite_register_")
SCIM_TOKEN = KeyText("authsite_scim_")
