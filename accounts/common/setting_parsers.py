"""Readers of settings: from the text that an operator wrote to a value, or ``ValueError``.

The error says what the setting should be; that of a secret never repeats it.
"""

import re
from collections.abc import Callable
from dataclasses import field
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from accounts.common.client_ip import Network


def knob(
    means: str, read: Callable[[str], Any] = str, *, default: Any = "", secret: bool = False
) -> Any:
    """A setting: what it means, how its text is read, what it is when not given.

    Every secret may also be given as NAME_FILE, the path of a file that holds it.
    """
    metadata = {"means": means, "read": read, "secret": secret}
    return field(default=default, metadata=metadata)


def choice(*allowed: str) -> Callable[[str], str]:
    """A reader that takes one of ``allowed``."""

    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"is one of {', '.join(allowed)}")
        return text

    return read


def whole(most: int, least: int = 1) -> Callable[[str], int]:
    """A reader of whole numbers from ``least`` to ``most``."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"is a whole number from {least} to {most}")
        return int(text)

    return read


def line(text: str) -> str:
    """A reader of one line of text."""
    if not text.isprintable():
        raise ValueError("is one line of printable text")
    return text


def scale(text: str) -> float:
    """A reader of a finite number above 0."""
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text) or float(text) <= 0:
        raise ValueError("is a number above 0")
    return float(text)


def words(text: str) -> tuple[str, ...]:
    """A reader of a list, separated by commas or spaces."""
    return tuple(text.replace(",", " ").split())


def networks(text: str) -> tuple[Network, ...]:
    """A reader of addresses and networks."""
    return tuple(ip_network(word) for word in words(text))


def address(*schemes: str) -> Callable[[str], str]:
    """A reader of URLs with one of ``schemes``; errors never repeat it, as it holds a password."""

    def read(text: str) -> str:
        if text.partition(":")[0] not in schemes:
            raise ValueError(f"begins with one of {', '.join(schemes)}")
        if not text.startswith("sqlite:") and not _is_readable(text):
            raise ValueError("can't be read as a URL: is # : / @ or % written as %23 and so on?")
        return text

    return read


def origin(text: str) -> str:
    """A reader of an origin (RFC 6454): scheme, host, port, and nothing behind them."""
    is_one = re.fullmatch(r"https?://[\w.:\[\]-]+/?", text)
    if not is_one or not _is_readable(text) or not urlsplit(text).hostname:
        raise ValueError("is an origin such as https://accounts.example.org, without a path")
    return text.rstrip("/").lower()


def origins(text: str) -> tuple[str, ...]:
    """A reader of a list of origins."""
    return tuple(origin(word) for word in words(text))


def mailbox(text: str) -> str:
    """A reader of a bare email address."""
    try:
        validate_email(text)
    except ValidationError:
        raise ValueError("is an address such as accounts@example.org") from None
    return text


def contact(text: str) -> str:
    """A reader of an address to write to (RFC 9116 section 2.5.3): by mail, or a page over TLS."""
    if text.startswith("mailto:"):
        mailbox(text.removeprefix("mailto:"))
    elif not re.fullmatch(r"https://[!-~]+", text) or not _is_readable(text):
        raise ValueError("is mailto:security@example.org or begins with https://")
    return text


def ip(text: str) -> str:
    """A reader of an address."""
    return str(ip_address(text))


def fernet_keys(text: str) -> tuple[str, ...]:
    """A reader of keys of 32 bytes each in URL-safe base 64, newest first."""
    for key in words(text):
        Fernet(key)
    return words(text)


def _is_readable(url: str) -> bool:
    """Whether host and port come out of ``url``: a bare # or @ in a password hides them."""
    try:
        parts = urlsplit(url)
        return (parts.port or 1) > 0 and not parts.fragment
    except ValueError:
        return False
