"""``make_secret``: print a random secret in the requested form."""

import sys
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.common import secrets
from accounts.common.secrets import CLIENT_SECRET, REGISTRATION, SCIM_TOKEN

# For each form: the function that generates the secret, and its default size.
FORMS: dict[str, tuple[Callable[[int], str | bytes], int]] = {
    "urlsafe": (secrets.token, 48),
    "hex": (secrets.hexadecimal, 32),
    "bytes": (secrets.raw, 32),
    "password": (secrets.password, 5),
}
# The secrets to which a settings file can refer.
KEYS = {
    "client-secret": CLIENT_SECRET,
    "registration-token": REGISTRATION,
    "scim-token": SCIM_TOKEN,
}


class Command(BaseCommand):
    """Uses the random generator of the operating system. Does not log or store the secret."""

    help = "Print a new random secret."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "form",
            nargs="?",
            choices=[*FORMS, "encryption-key", *KEYS],
            default="urlsafe",
            help="the format to print (default: urlsafe)",
        )
        parser.add_argument(
            "size",
            nargs="?",
            type=int,
            help="number of random bytes (16 to 1024), or of groups in a password (4 to 64)",
        )

    def handle(self, *_args: Any, form: str, size: int | None, **_options: Any) -> None:
        if form == "encryption-key":
            self.stdout.write(secrets.encryption_key())
            return
        if form in KEYS:
            self.stdout.write(KEYS[form].make().text)
            return
        make, usual = FORMS[form]
        try:
            secret = make(usual if size is None else size)
        except ValueError as error:
            raise CommandError(str(error)) from None
        if isinstance(secret, bytes):
            sys.stdout.buffer.write(secret)
        else:
            self.stdout.write(secret)
