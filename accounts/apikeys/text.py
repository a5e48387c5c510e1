"""The text of API keys, which people, programs and secret scanners can recognize.

It consists of ``authsite_``, an id, a secret of 160 bits and a checksum: 64 characters of
``a-z2-7_``, which a double click selects. :data:`PATTERN` finds keys in text; the checksum excludes
strings that only look like one.
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
    """The text of a new API key, with the id and digest that are stored of it."""

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
    """Return whether ``text`` has the format and checksum of an API key, without a query."""
    return PATTERN.fullmatch(text) is not None and text[-7:] == _checksum(text[:-7])


def id_of(text: str) -> str:
    """Return the id in the text of an API key. It is not secret."""
    return text[len(PREFIX) : len(PREFIX) + ID_LENGTH]


def digest(text: str) -> str:
    """Return the digest of an API key to store.

    A plain hash is enough, because nobody can guess 160 random bits.
    """
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(body: str) -> str:
    """Return the CRC-32 of ``body`` as seven characters."""
    return _base32(zlib.crc32(body.encode()).to_bytes(4))


def _base32(raw: bytes) -> str:
    """Return ``raw`` in lower-case base32 without padding (RFC 4648 section 6)."""
    return base64.b32encode(raw).decode().rstrip("=").lower()
