"""How a key is written, so that people, programs and secret scanners know one when they see it.

``authsite_``, an id, a secret of 160 bits, a checksum: 64 characters of ``a-z2-7_`` that a double
click selects. :data:`PATTERN` finds one; the checksum tells it from what only looks like one.
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
    """A key as its owner sees it once, and what is kept of it."""

    text: str
    id: str
    digest: str


def make() -> NewKey:
    """A new key."""
    raw = secrets.raw(ID + SECRET)
    body = f"{PREFIX}{_base32(raw[:ID])}{_base32(raw[ID:])}"
    text = f"{body}{_checksum(body)}"
    return NewKey(text, id_of(text), digest(text))


def is_key(text: str) -> bool:
    """Whether ``text`` is written as keys are; costs no look into the database."""
    return PATTERN.fullmatch(text) is not None and text[-7:] == _checksum(text[:-7])


def id_of(text: str) -> str:
    """The id in a key, which is no secret."""
    return text[len(PREFIX) : len(PREFIX) + ID_LENGTH]


def digest(text: str) -> str:
    """What is stored of it: 160 random bits need no slow hash, and no key."""
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(body: str) -> str:
    """CRC-32, in seven characters."""
    return _base32(zlib.crc32(body.encode()).to_bytes(4))


def _base32(raw: bytes) -> str:
    """RFC 4648 section 6, in lower case, without padding."""
    return base64.b32encode(raw).decode().rstrip("=").lower()
