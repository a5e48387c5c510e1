"""``copy_database``: copy the site from SQLite to PostgreSQL, or back."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from time import monotonic
from typing import Any

import dj_database_url
from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError, connections
from django.db.utils import ConnectionHandler

from accounts.management import databases
from accounts.management.answers import ResultCommand
from accounts.management.databases import SOURCE, TARGET, CopyRefused

NEWS_SECONDS = 2.0


class Command(ResultCommand):
    """Stop every node first: what is written meanwhile is not copied."""

    help = "Copy all data into an empty database, and compare both row by row."

    def add_arguments(self, parser: CommandParser) -> None:
        about = "a URL as in DATABASE_URL, or the name of an environment variable with one"
        parser.add_argument("source", help=about)
        parser.add_argument("target", help=f"{about}; it must be empty")
        super().add_arguments(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        began = monotonic()
        source, target = _url(options["source"]), _url(options["target"])
        try:
            with _connected(source, target):
                databases.check_source()
                databases.check_target()
                self.stderr.write("Creating the tables of the target")
                _migrate(target)
                done = databases.copy(self._news())
        except CopyRefused as error:
            raise CommandError(str(error)) from error
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


def _url(text: str) -> str:
    """Return the URL in ``text``, or in the variable that it names. ``ps`` shows arguments."""
    if text == "DATABASE_URL":
        return str(settings.AUTHSITE.database_url)
    url = text if "://" in text else os.environ.get(text, "")
    if url.partition(":")[0] not in {"sqlite", "postgres", "postgresql"}:
        raise CommandError("Give the URL of a database, or the name of a variable that has one.")
    return url


@contextmanager
def _connected(source: str, target: str) -> Iterator[None]:
    """Make both databases known to Django, and close them afterwards."""
    given = {SOURCE: _settings(source), TARGET: _settings(target)}
    # The handler adds the defaults, and requires a default database.
    complete = ConnectionHandler({"default": {}, **given}).databases
    connections.databases.update({alias: complete[alias] for alias in given})
    try:
        yield
    finally:
        for alias in given:
            connections[alias].close()
            del connections[alias], connections.databases[alias]


def _settings(url: str) -> dict[str, Any]:
    found: dict[str, Any] = dict(dj_database_url.parse(url))
    if found["ENGINE"] == "django.db.backends.postgresql":
        from psycopg import IsolationLevel  # noqa: PLC0415 only some sites need the library

        # All tables are read as they were at one moment.
        level = IsolationLevel.REPEATABLE_READ
        found["OPTIONS"] = {**found.get("OPTIONS", {}), "isolation_level": level}
    return found


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
