"""``import_users``: import people from another system."""

import hashlib
import json
import os
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError, connections, transaction

from accounts.exports import age
from accounts.imports.django import Spool, database_records
from accounts.imports.formats import FORMATS
from accounts.imports.parts import BadRow, Options, Rows
from accounts.imports.portions import Note
from accounts.imports.services import Busy, Import
from accounts.mail.services import mass_mail
from accounts.management.answers import ResultCommand
from accounts.management.databases import SOURCE, connected, url_of

FROM = "@FILE or the name of an environment variable with"


class Command(ResultCommand):
    """Run it again after an interruption: it goes on where it ended."""

    help = "Import people with their passwords, second factors and groups. See docs/operating.md."
    refusals = (OSError, ValueError, BadRow, Busy)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file",
            help="the file; with --from django also the name of an environment variable with "
            "the URL of a database",
        )
        parser.add_argument("--from", dest="format", required=True, choices=list(FORMATS))
        parser.add_argument("--dry-run", action="store_true", help="check each row, write nothing")
        parser.add_argument("--notify", action="store_true", help="tell each person by email")
        parser.add_argument("--identity", type=Path, help="the age key that decrypts the file")
        parser.add_argument("--signer-key", default="", help=f"{FROM} that of Firebase")
        parser.add_argument("--salt-separator", default="", help="of Firebase, in base64")
        parser.add_argument("--rounds", type=int, default=0, help="of Firebase")
        parser.add_argument("--mem-cost", type=int, default=0, help="of Firebase")
        parser.add_argument("--pepper", default="", help=f"{FROM} that of Devise or Clerk")
        parser.add_argument("--app-key", default="", help=f"{FROM} APP_KEY of Laravel")
        parser.add_argument(
            "--passkeys",
            dest="keeps_passkeys",
            action="store_true",
            help="import the passkeys of Keycloak, whose domain (RP ID) this site has",
        )
        parser.add_argument(
            "--columns",
            type=_columns,
            default={},
            metavar="OURS=THEIRS,…",
            help="the names that columns of a CSV file have there",
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        names = ("salt_separator", "rounds", "mem_cost", "columns", "keeps_passkeys")
        importing = Import(
            self._tell_json if options["json"] else self._tell,
            lambda rows: self.stderr.write(f"{rows:,} rows"),
            is_trial=options["dry_run"],
            notify=options["notify"],
        )
        parameters = Options(
            **{name: options[name] for name in names},
            signer_key=_secret(options["signer_key"]),
            pepper=_secret(options["pepper"]),
            app_key=_secret(options["app_key"]),
        )
        with _opened(options, parameters) as (rows, digest), mass_mail():
            importing.run(rows, digest)
        return {
            "already_imported": importing.earlier,
            "imported": importing.imported,
            "refused": importing.refused,
        }

    def _tell(self, note: Note) -> None:
        word = "refused: " if note.is_refusal else ""
        self.stdout.write(f"row {note.number}: {word}{note.sentence}")

    def _tell_json(self, note: Note) -> None:
        self.stdout.write(json.dumps(note._asdict()))


@contextmanager
def _opened(options: dict[str, Any], parameters: Options) -> Iterator[tuple[Rows, str]]:
    """Return a context manager with the rows, and the SHA-256 of the file, format and columns."""
    path = Path(options["file"])
    if options["format"] == "django" and not path.exists():
        with closing(Spool()) as spool:
            _read_database(options["file"], spool)
            yield spool.people(), spool.digest
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        digest.update(json.dumps([options["format"], options["columns"]], sort_keys=True).encode())
        file.seek(0)
        identity = options["identity"]
        keys = age.identities(identity.read_text()) if identity else []
        with age.decrypted(file, keys) if identity else nullcontext(file) as clear:
            yield FORMATS[options["format"]](clear, parameters), digest.hexdigest()


def _read_database(name: str, spool: Spool) -> None:
    try:
        with connected({SOURCE: url_of(name)}), transaction.atomic(SOURCE):
            spool.fill(database_records(connections[SOURCE]))
    except DatabaseError as error:
        raise CommandError(f"The database can't be read: {type(error).__name__}") from None


def _secret(text: str) -> str:
    """Return the secret in the file or environment variable that ``text`` names.

    The argument never contains the secret itself, because ``ps`` shows arguments.
    """
    if text.startswith("@"):
        return Path(text[1:]).read_text().strip()
    if text and text not in os.environ:
        raise ValueError("Give a secret as @FILE, or as the name of an environment variable.")
    return os.environ[text] if text else ""


def _columns(text: str) -> dict[str, str]:
    """Parse other names of columns: a mapping from each name in the file to the known name."""
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(ours and theirs for ours, _equals, theirs in pairs):
        raise ArgumentTypeError("write username=login,email=mail")
    return {theirs: ours for ours, _equals, theirs in pairs}
