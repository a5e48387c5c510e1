"""``copy_database``: copy the site from SQLite to PostgreSQL, or back."""

import os
import subprocess
import sys
from dataclasses import asdict
from time import monotonic
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from accounts.management import databases
from accounts.management.answers import ResultCommand
from accounts.management.databases import SOURCE, TARGET, CopyRefused, connected, url_of

NEWS_SECONDS = 2.0


class Command(ResultCommand):
    """Stop every node first: what is written meanwhile is not copied."""

    help = "Copy all data into an empty database, and compare both row by row."
    refusals = (CopyRefused,)

    def add_arguments(self, parser: CommandParser) -> None:
        about = "a URL as in DATABASE_URL, or the name of an environment variable with one"
        parser.add_argument("source", help=about)
        parser.add_argument("target", help=f"{about}; it must be empty")

    def answer(self, **options: Any) -> dict[str, Any]:
        began = monotonic()
        source, target = url_of(options["source"]), url_of(options["target"])
        try:
            with connected({SOURCE: source, TARGET: target}):
                databases.check_source()
                databases.check_target()
                self.stderr.write("Creating the tables of the target")
                _migrate(target)
                done = databases.copy(self._news())
        except DatabaseError as error:
            raise CommandError(f"A database can't be used: {type(error).__name__}") from error
        tables = [asdict(table) for table in done]
        rows = sum(table.rows for table in done)
        return {"rows": rows, "seconds": round(monotonic() - began, 1), "tables": tables}

    def words(self, facts: dict[str, Any]) -> str:
        lines = [f"{t['name']}: {t['rows']:,} rows, {t['digest'][:16]}" for t in facts["tables"]]
        end = "{rows:,} rows were copied, and are the same in the target. It took {seconds} s."
        return "\n".join([*lines, end.format(**facts)])

    def _news(self) -> databases.Told:
        """Return a function that prints the progress on standard error, every two seconds."""
        last = [monotonic()]

        def told(table: str, rows: int) -> None:
            if monotonic() > last[0] + NEWS_SECONDS:
                last[0] = monotonic()
                self.stderr.write(f"{table}: {rows:,} rows")

        return told


def _migrate(url: str) -> None:
    """Create the tables in another process, whose only database is the target."""
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        capture_output=True,
        check=False,
        cwd=settings.BASE_DIR,
        env=os.environ | {"DATABASE_URL": url, "DATABASE_URL_FILE": ""},
        text=True,
    )
    if done.returncode:
        raise CommandError(f"The tables of the target can't be made:\n{done.stderr}")
