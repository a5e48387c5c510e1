"""Encrypts a stream for the owners of age keys (https://age-encryption.org/v1, X25519)."""

from collections.abc import Callable, Iterator

import pyrage
from pyrage import x25519


class _Source:
    """A file that reads from an iterator of texts. ``error``: what the iterator has raised."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._texts, self._rest = texts, b""
        self.error: Exception | None = None

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes; none at the end."""
        try:
            self._rest = self._rest or next(self._texts, "").encode()
        except Exception as error:
            self.error = error
            raise
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


class _Sink:
    """A file that passes on what is written to it as text, because an armored file is ASCII."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(bytes(data).decode("ascii"))
        return len(data)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""


def recipient(text: str) -> x25519.Recipient:
    """Return the public key that ``text``, such as ``age1…``, stands for.

    Raises:
        ValueError: it stands for none.
    """
    try:
        return x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise ValueError(f"{text} is not an age recipient, which begins with age1") from None


def encrypt(
    texts: Iterator[str],
    write: Callable[[str], object],
    recipients: list[x25519.Recipient],
) -> None:
    """Encrypt ``texts`` for ``recipients``, and call ``write`` with pieces of the armored file.

    An error that ``texts`` raises is raised. What was written until then cannot be decrypted as a
    whole file.
    """
    source = _Source(texts)
    try:
        pyrage.encrypt_io(source, _Sink(write), recipients, armored=True)
    except pyrage.EncryptError:
        raise source.error or OSError("The output cannot be written.") from None
