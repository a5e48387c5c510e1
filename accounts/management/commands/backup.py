"""``backup``: write the database into a file, while the site runs."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.management.answers import ResultCommand
from accounts.management.backups import (
    BackupFailed,
    back_up,
    deletions_beside,
    digest_of,
    secrets_to_keep,
)


class Command(ResultCommand):
    """Names the secrets that a restore needs, and copies none of them."""

    help = "Back up the database into a new file of a folder. See docs/operating.md for a restore."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="created if it does not exist")
        super().add_arguments(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        try:
            file = back_up(options["folder"].absolute())
        except BackupFailed as error:
            raise CommandError(str(error)) from None
        return {
            "file": str(file),
            "bytes": file.stat().st_size,
            "sha256": digest_of(file),
            "deletions": str(deletions_beside(file)),
            "secrets": secrets_to_keep(),
        }

    def words(self, facts: dict[str, Any]) -> str:
        secrets = [f"  {secret['name']}, from {secret['kept_in']}" for secret in facts["secrets"]]
        return "\n".join(
            [
                f"{facts['file']}: {facts['bytes']:,} bytes, SHA-256 {facts['sha256']}",
                f"The ids of the accounts that were deleted so far: {facts['deletions']}",
                "A restore also needs these secrets. Keep copies of them in another place:",
                *secrets,
            ]
        )
