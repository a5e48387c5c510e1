"""Creates and parses the text of API keys.

The text consists of ``authsite_``, an id, a secret of 160 bits and a checksum. It has 64 characters
of ``a-z2-7_``, all of which a double click selects. Secret scanners find keys by :data:`PATTERN`,
and can use the checksum to exclude strings that only look like a key.
"""

import base64
import hashlib
import re
import zlib
from dataclasses import dataclass

from accounts.common import secrets

PREFIX = "authsite_"
ID, SECRET = 10, 20
ID_LENGTH = 16
PATTERN = re.compile(rf"{PREFIX}[a-z2-7]{{55}}", re.ASCII)


@dataclass(frozen=True)
class NewKey:
    """The text of a new API key, and the id and digest of the key to store."""

    text: str
    id: str
    digest: str


def make() -> NewKey:
    """Return a new random API key."""
    raw = secrets.raw(ID + SECRET)
    body = f"{PREFIX}{_base32(raw[:ID])}{_base32(raw[ID:])}"
    text = f"{body}{_checksum(body)}"
    return NewKey(text, id_of(text), digest(text))


def is_key(text: str) -> bool:
    """Return whether ``text`` has the format and checksum of an API key.

    The database is not queried.
    """
    return PATTERN.fullmatch(text) is not None and text[-7:] == _checksum(text[:-7])


def id_of(text: str) -> str:
    """Return the id in the text of an API key. The id is not secret."""
    return text[len(PREFIX) : len(PREFIX) + ID_LENGTH]


def digest(text: str) -> str:
    """Return the digest of an API key to store.

    A plain hash is enough, because nobody can guess 160 random bits.
    """
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(body: str) -> str:
    """Return the CRC-32 of ``body`` in base32: seven characters."""
    return _base32(zlib.crc32(body.encode()).to_bytes(4))


def _base32(raw: bytes) -> str:
    """Return ``raw`` in lower-case base32 without padding (RFC 4648 section 6)."""
    return base64.b32encode(raw).decode().rstrip("=").lower()
