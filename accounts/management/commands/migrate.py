"""``migrate``: Django's command, which on PostgreSQL makes no request wait for long.

A statement that changes a table waits for every transaction that uses the table, and all later
queries wait behind that statement. Therefore a migration gives up its wait after two seconds, and
begins again after a pause. What was not finished is rolled back.
"""

from time import monotonic, sleep
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import OperationalError, connections

from accounts.common.database import code_of

LOCK_TIMEOUT = "2s"
PAUSE_SECONDS = 5.0
# PostgreSQL's error code of a wait that took longer than ``lock_timeout``.
LOCK_NOT_AVAILABLE = "55P03"
OLDEST = """
SELECT pid, round(extract(epoch FROM now() - xact_start)), left(query, 80) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
ORDER BY xact_start LIMIT 1
"""


class Command(migrate.Command):
    """Migrate, and name the transaction that a migration waits for."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--wait",
            type=int,
            default=600,
            metavar="SECONDS",
            help="how long to try again if another transaction uses a table (PostgreSQL)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        ends = monotonic() + options["wait"]
        while True:
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
            try:
                super().handle(*args, **options)
            except OperationalError as error:
                if code_of(error) != LOCK_NOT_AVAILABLE:
                    raise
                self._say_who(connection)
                if monotonic() > ends:
                    raise CommandError(
                        "Other transactions use the tables. The migration that waited has changed "
                        "nothing; those before it are complete. Run migrate again."
                    ) from None
                sleep(PAUSE_SECONDS)
            else:
                return

    def _say_who(self, connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(OLDEST)
            row = cursor.fetchone()
        who = "process {} of PostgreSQL, for {} s: {}".format(*row) if row else "a transaction"
        self.stderr.write(f"\nWaiting for {who}")
