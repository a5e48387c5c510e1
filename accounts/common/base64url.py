"""Base64 with the URL-safe alphabet and without padding (RFC 4648 section 5)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode


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
