"""Encrypts stored values that the site must read again, such as queued emails and TOTP seeds.

Values are encrypted with Fernet (AES-128-CBC and HMAC-SHA256). The key is derived for one purpose,
so that an encrypted value cannot be used for another purpose. ``ENCRYPTION_KEYS`` holds the master
keys, newest first: the first one encrypts, and all of them decrypt.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


def encode(raw: bytes) -> str:
    """Return ``raw`` in base64url, without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes that ``text`` encodes, with or without padding.

    Raises:
        ValueError: ``text`` has a wrong length or characters outside ASCII.
    """
    return urlsafe_b64decode(f"{text}===")


def canonical(text: str) -> bytes:
    """Return the bytes for which :func:`encode` returns ``text``.

    Raises:
        ValueError: there are no such bytes.
    """
    raw = decode(text)
    if encode(raw) != text:
        raise ValueError("not canonical base64url")
    return raw


def seal(text: str, purpose: str) -> str:
    """Encrypt ``text`` for ``purpose``, and return the result as ASCII text."""
    return seal_bytes(text.encode(), purpose)


def unseal(sealed: str, purpose: str) -> str:
    """Decrypt ``sealed``, and return the text that was given to :func:`seal`.

    Raises:
        cryptography.fernet.InvalidToken: ``sealed`` was not encrypted for ``purpose`` with one of
            the ``ENCRYPTION_KEYS``.
    """
    return unseal_bytes(sealed, purpose).decode()


def seal_bytes(raw: bytes, purpose: str) -> str:
    """Encrypt ``raw`` as :func:`seal` encrypts text."""
    return _fernet(purpose).encrypt(raw).decode()


def unseal_bytes(sealed: str, purpose: str) -> bytes:
    """Decrypt ``sealed``, and return the bytes that were given to :func:`seal_bytes`."""
    if not sealed.isascii():
        raise InvalidToken  # Fernet would raise ValueError
    return _fernet(purpose).decrypt(sealed)


def can_unseal(sealed: str, purpose: str) -> bool:
    """Return whether one of the ``ENCRYPTION_KEYS`` decrypts ``sealed``."""
    try:
        unseal_bytes(sealed, purpose)
    except InvalidToken:
        return False
    return True


def reseal(sealed: str, purpose: str) -> str:
    """Decrypt ``sealed``, encrypt its text again with the newest key, and return the result.

    Raises:
        cryptography.fernet.InvalidToken: ``sealed`` was not encrypted for ``purpose`` with one of
            the ``ENCRYPTION_KEYS``.
    """
    return _fernet(purpose).rotate(sealed).decode()


def _fernet(purpose: str) -> MultiFernet:
    return _cached_fernet(tuple(settings.AUTHSITE.encryption_keys), purpose)


@lru_cache(maxsize=64)
def _cached_fernet(keys: tuple[str, ...], purpose: str) -> MultiFernet:
    return MultiFernet([Fernet(_derive(key, purpose)) for key in keys])


def _derive(key: str, purpose: str) -> bytes:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"authsite:{purpose}".encode())
    return urlsafe_b64encode(hkdf.derive(urlsafe_b64decode(key)))
