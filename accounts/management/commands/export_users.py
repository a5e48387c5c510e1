"""``export_users``: print all accounts as JSON lines, with password hashes only encrypted."""

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.exports import people
from accounts.management.databases import reading_from

# The number of accounts between two messages about the progress.
EVERY = 5000


class Command(BaseCommand):
    """Changes nothing. The output can be read while it is written, however large it is."""

    help = (
        "Print all accounts as JSON lines. Without --with-hashes, they contain no password hash "
        "and no second factor but passkeys, which are not secret."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", help="only accounts changed since: 2026-11-30[T12:00Z]")
        parser.add_argument("--with-hashes", action="store_true", help="with what signs people in")
        parser.add_argument(
            "--recipient", action="append", default=[], help="encrypt for an age key: age1..."
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        has_secrets, recipients = options["with_hashes"], options["recipient"]
        if has_secrets and not recipients:
            raise CommandError("--with-hashes needs --recipient: the file must be encrypted.")
        url = settings.AUTHSITE.database_replica_url
        with reading_from(url) if url else nullcontext():
            self._export(options, recipients, has_secrets=has_secrets)

    def _export(self, options: dict[str, Any], recipients: list[str], *, has_secrets: bool) -> None:
        try:
            found = people.accounts(_moment(options["since"]))
            lines = self._lines(people.lines(found, has_secrets=has_secrets), found.count())
            if recipients:
                from accounts.exports import age  # noqa: PLC0415 its library is needed here only

                age.encrypt(lines, self._write, [age.recipient(text) for text in recipients])
            else:
                for line in lines:
                    self._write(line)
        except ValueError as error:
            raise CommandError(str(error)) from None
        except InvalidToken:
            raise CommandError("No key of ENCRYPTION_KEYS decrypts a second factor.") from None

    def _lines(self, lines: Iterator[str], total: int) -> Iterator[str]:
        """Return ``lines``, and say on stderr how many accounts have been read."""
        for number, line in enumerate(lines):
            yield line
            if number % EVERY == 0 or number == total:
                self.stderr.write(f"{number} of {total} accounts")

    def _write(self, text: str) -> None:
        self.stdout.write(text, ending="")


def _moment(text: str | None) -> datetime | None:
    """Parse a date, with or without a time. The default time zone is UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("--since is a date such as 2026-11-30, perhaps with a time.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
