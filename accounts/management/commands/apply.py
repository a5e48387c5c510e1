"""``apply``: change the database so that it matches a settings file."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import connection

from accounts.management.answers import ResultCommand
from accounts.management.commands.migrate import turn
from accounts.settingsfile import services


class Command(ResultCommand):
    """Waits until no other process migrates the database or applies a file."""

    help = (
        "Make apps, groups and the like as FILE describes them, in TOML; print what changes. A "
        "wrong file changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file",
            nargs="?",
            default=settings.AUTHSITE.settings_file,
            help="without it: SETTINGS_FILE; if that is not set either, nothing changes",
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="change nothing; print what would change, and exit with 1 if there is something",
        )
        parser.add_argument(
            "--prune",
            action="store_true",
            help="remove what a settings file has made and this one does not name; disable apps",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        if options["check"] and self.changes:
            sys.exit(1)

    def answer(self, **options: Any) -> dict[str, Any]:
        file, how = options["file"], {"prune": options["prune"], "only_check": options["check"]}
        self.changes: list[services.Change] = []
        try:
            if file:
                with turn(connection, self.stderr.write):
                    self.changes = services.apply(Path(file).read_text(), **how)
        except (OSError, ValueError) as error:
            raise CommandError(f"{file}: {error}") from None
        return {"changes": [asdict(change) for change in self.changes]}

    def words(self, facts: dict[str, Any]) -> str:
        lines = []
        for change in self.changes:
            lines.append(f"{change.what} {change.item}")
            lines += [f"  {name}: {old} -> {new}" for name, (old, new) in change.values.items()]
        return "\n".join(lines) or "Nothing differs."
