"""Encryption at rest: what must be read again (a mail in waiting, a seed) but not from a dump.

Fernet (AES-128-CBC with HMAC-SHA256) under keys derived per purpose, so that a value sealed for
one purpose can't be moved to another. ``ENCRYPTION_KEYS`` holds the keys, newest first: the first
seals, all of them open.
"""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


def seal(text: str, purpose: str) -> str:
    """``text`` encrypted for ``purpose``, as ASCII."""
    return _box(tuple(settings.AUTHSITE.encryption_keys), purpose).encrypt(text.encode()).decode()


def unseal(sealed: str, purpose: str) -> str:
    """The text again; ``cryptography.fernet.InvalidToken`` if it was not sealed for ``purpose``."""
    return _box(tuple(settings.AUTHSITE.encryption_keys), purpose).decrypt(sealed).decode()


def reseal(sealed: str, purpose: str) -> str:
    """The same text under the newest key; ``InvalidToken`` as above."""
    return _box(tuple(settings.AUTHSITE.encryption_keys), purpose).rotate(sealed).decode()


@lru_cache(maxsize=64)
def _box(keys: tuple[str, ...], purpose: str) -> MultiFernet:
    return MultiFernet([Fernet(_derive(key, purpose)) for key in keys])


def _derive(key: str, purpose: str) -> bytes:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"authsite:{purpose}".encode())
    return base64.urlsafe_b64encode(hkdf.derive(base64.urlsafe_b64decode(key)))
