"""Creates and parses the texts of API keys, client secrets, registration and SCIM tokens.

A text consists of a prefix, an id, a secret of 160 bits and a checksum. After the prefix, it has 55
characters of ``a-z2-7``; a double click selects them together with the prefix. Secret scanners
find these texts by :data:`PATTERN`, and can use the checksum to exclude look-alikes.
"""

import base64
import re
import zlib
from dataclasses import dataclass

from accounts.common import secrets

ID, SECRET = 10, 20
ID_LENGTH = 16
CHECKSUM_LENGTH = 7
# Matches every text that a ``KeyText`` makes, whatever its prefix.
PATTERN = re.compile(r"authsite_(?:client_|register_|scim_)?[a-z2-7]{55}", re.ASCII)


@dataclass(frozen=True)
class NewKey:
    """The text of a new key, and the id and the digest that the database stores of it."""

    text: str
    id: str
    digest: str


class KeyText:
    """Creates and parses the texts that begin with ``prefix``."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._pattern = re.compile(rf"{prefix}[a-z2-7]{{55}}", re.ASCII)

    def make(self) -> NewKey:
        """Return a new random text."""
        raw = secrets.raw(ID + SECRET)
        body = f"{self.prefix}{_base32(raw[:ID])}{_base32(raw[ID:])}"
        text = f"{body}{_checksum(body)}"
        return NewKey(text, self.id_of(text), secrets.plain_digest(text))

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


def _base32(raw: bytes) -> str:
    """Return ``raw`` in lower-case base32 without padding (RFC 4648 section 6)."""
    return base64.b32encode(raw).decode().rstrip("=").lower()


# Secret scanners find the texts by these prefixes.
CLIENT_SECRET, REGISTRATION = KeyText("authsite_client_"), KeyText("authsite_register_")
SCIM_TOKEN = KeyText("authsite_scim_")
