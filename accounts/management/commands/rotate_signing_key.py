"""``rotate_signing_key``: add signing keys, either new or one from a file."""

import sys
from getpass import getpass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError

from accounts.tokens import keyring, keys
from accounts.tokens.keyring import MAX_AGE, RELOAD
from accounts.tokens.models import SigningKey

# A file with an RSA key of 8192 bits has 6.4 kB.
LARGEST_FILE = 65_536


class Command(BaseCommand):
    """Prints the ``kid`` and the algorithm of each new key, never the key itself."""

    help = (
        "Add a signing key for access tokens, and one for ID tokens if the site issues some. They "
        "are published at once and sign after ten minutes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--now",
            action="store_true",
            help="withdraw all older keys and the tokens that they signed: for a leaked key",
        )
        parser.add_argument(
            "--key-file",
            help="PEM file of the new private key for access tokens; - for standard input",
        )
        parser.add_argument("--passphrase-file", help="file with the passphrase of the key file")

    def handle(
        self,
        *_args: Any,
        now: bool,
        key_file: str | None,
        passphrase_file: str | None,
        **_options: Any,
    ) -> None:
        try:
            if key_file:
                added = keyring.add(_own(key_file, passphrase_file), now=now)
            else:
                added = keyring.rotate(now=now)
        except keys.KeyRefused as error:
            raise CommandError(str(error)) from None
        except IntegrityError:
            raise CommandError(
                "Another process added a key at the same moment. Run it again."
            ) from None
        self.stdout.write("\n".join(map(_told, added)))
        if now:
            self.stdout.write(WITHDRAWN)


WITHDRAWN = (
    "All older keys are withdrawn. Running server processes refuse the access tokens that they "
    f"signed within {RELOAD.seconds} s (restart them to be sure), other services as soon as their "
    f"copy of the published keys is {MAX_AGE.seconds} s old."
)


def _told(added: SigningKey) -> str:
    is_waiting = added.signs_at > added.made_at
    when = f"from {added.signs_at:%Y-%m-%d %H:%M:%S} UTC on" if is_waiting else "from now on"
    return f"{added.kid} ({added.algorithm}) signs {when}."


def _own(key_file: str, passphrase_file: str | None) -> keys.PrivateKey:
    """Return the private key in ``key_file``.

    If the key is encrypted and ``passphrase_file`` is None, ask for the passphrase at the terminal.

    Raises:
        CommandError: the file or its passphrase cannot be read, or the key is not for
            ``TOKEN_ALGORITHM``.
        KeyRefused: the key cannot be loaded or cannot sign here.
    """
    text = _read(key_file)
    passphrase = _read(passphrase_file).rstrip(b"\r\n") if passphrase_file else None
    try:
        key = keys.load(text, passphrase)
    except keys.PassphraseNeeded:
        if not sys.stdin.isatty():
            raise CommandError(
                "The key is encrypted. Give its passphrase with --passphrase-file."
            ) from None
        key = keys.load(text, getpass("Passphrase of the key: ").encode())
    algorithm, wanted = keys.algorithm_of(key), settings.AUTHSITE.token_algorithm
    if wanted and algorithm != wanted:
        raise CommandError(
            f"The key signs {algorithm}, and TOKEN_ALGORITHM is {wanted}. Set TOKEN_ALGORITHM to "
            f"{algorithm} for the site and this command, or give a key for {wanted}."
        )
    return key


def _read(path: str) -> bytes:
    try:
        if path == "-":
            text = sys.stdin.buffer.read(LARGEST_FILE + 1)
        else:
            with Path(path).open("rb") as file:
                text = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise CommandError(f"{path} can’t be read: {error.strerror}.") from None
    if len(text) > LARGEST_FILE:
        raise CommandError(f"{path} is too large for a key.")
    return text
