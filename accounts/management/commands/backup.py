"""``backup``: back up the database while the site runs, or verify a backup."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.management.answers import ResultCommand
from accounts.management.backups import (
    BackupFailed,
    back_up,
    deletions_beside,
    drop_old,
    manifest_of,
    secrets_to_keep,
    verify,
)

NUMBER_OF_ROWS = "{file} was restored into a scratch database: {rows:,} rows in {tables} tables."


class Command(ResultCommand):
    """Names the secrets that a restore needs, and copies none of them."""

    help = (
        "Back up the database into a new file of a folder, or verify a backup by restoring it "
        "into a scratch database. See docs/operating.md for a restore."
    )
    refusals = (BackupFailed,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "path",
            type=Path,
            help="a folder, created if it does not exist; with --verify also a backup",
        )
        either = parser.add_mutually_exclusive_group()
        either.add_argument(
            "--verify",
            action="store_true",
            help="make no backup: verify the one at this path, or the newest one in this folder",
        )
        either.add_argument(
            "--keep",
            type=int,
            metavar="N",
            help="afterwards, delete all backups except the newest N and the newest verified one",
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        keep: int | None = options["keep"]
        if keep is not None and keep < 1:
            raise CommandError("Keep at least one backup.")
        path = options["path"].absolute()
        if options["verify"]:
            file, counts = verify(path)
            return {"file": str(file), "rows": sum(counts.values()), "tables": counts}
        file = back_up(path)
        digest = manifest_of(file)["sha256"]
        return {
            "file": str(file),
            "deleted": [str(old) for old in drop_old(file, keep)] if keep else [],
            "bytes": file.stat().st_size,
            "sha256": digest,
            "deletions": str(deletions_beside(file)),
            "secrets": secrets_to_keep(),
        }

    def words(self, facts: dict[str, Any]) -> str:
        if "tables" in facts:
            return NUMBER_OF_ROWS.format(**facts | {"tables": len(facts["tables"])})
        secrets = [f"  {secret['name']}, from {secret['kept_in']}" for secret in facts["secrets"]]
        return "\n".join(
            [
                f"{facts['file']}: {facts['bytes']:,} bytes, SHA-256 {facts['sha256']}",
                f"The ids of the accounts that were deleted so far: {facts['deletions']}",
                *(f"Deleted: {old}" for old in facts["deleted"]),
                "A restore also needs these secrets. Keep copies of them in another place:",
                *secrets,
            ]
        )
