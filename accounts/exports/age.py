"""Encrypts and decrypts streams for age keys (https://age-encryption.org/v1, X25519)."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import BinaryIO

import pyrage
from pyrage import x25519


class _Source:
    """A file that reads from an iterator of texts. ``error``: the exception of the iterator."""

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
    """A file that passes written bytes on as text. An armored file is ASCII."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(bytes(data).decode("ascii"))
        return len(data)

    def flush(self) -> None:
        """Do nothing, because nothing is buffered."""


def recipient(text: str) -> x25519.Recipient:
    """Parse a public key, such as ``age1…``.

    Raises:
        ValueError: ``text`` is not a public key.
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

    If ``texts`` raises an exception, it is raised here. The pieces written before it cannot be
    decrypted as a complete file.
    """
    source = _Source(texts)
    try:
        pyrage.encrypt_io(source, _Sink(write), recipients, armored=True)
    except pyrage.EncryptError:
        raise source.error or OSError("The output cannot be written.") from None


def identities(text: str) -> list[x25519.Identity]:
    """Parse private keys, one in each line that is not a comment.

    Raises:
        ValueError: a line is not a private key.
    """
    lines = [line for line in text.split() if line.startswith("AGE-SECRET-KEY-")]
    try:
        return [x25519.Identity.from_str(line) for line in lines]
    except pyrage.IdentityError:
        raise ValueError("This is not the file of an age identity.") from None


@contextmanager
def decrypted(file: BinaryIO, keys: list[x25519.Identity]) -> Iterator[BinaryIO]:
    """Return a context manager with a file that decrypts ``file`` while it is read.

    Raises:
        ValueError: at the end of the context, if the file is damaged, truncated, or not
            encrypted for the keys.
    """
    errors: list[Exception] = []
    is_closed = Event()
    source, target = os.pipe()

    def work() -> None:
        with os.fdopen(target, "wb") as pipe:
            try:
                pyrage.decrypt_io(file, pipe, keys)
            except (pyrage.DecryptError, OSError) as error:
                # The caller may stop reading before the end.
                if not is_closed.is_set():
                    errors.append(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        with os.fdopen(source, "rb") as clear:
            yield clear
    finally:
        is_closed.set()
        thread.join()
        if errors:
            raise ValueError(f"The file cannot be decrypted: {errors[0]}") from None
