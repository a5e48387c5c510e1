"""``migrate``: Django's command, for one process at a time, and without long waits of requests.

A statement that changes a table waits for every transaction that uses the table, and all later
queries wait for that statement. Therefore a migration stops waiting after a second, is rolled back,
and begins again after a pause.

An index of a table with rows is built after the migrations, with ``CONCURRENTLY``. Requests do not
wait for it, however large the table is, and an interrupted build is repeated.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.transaction import atomic

from accounts.common.database import is_locked

LOCK_TIMEOUT = "1s"
PAUSE_SECONDS = 5.0
TURN_SECONDS = 1.0
# Values can be personal data, so the query is cut before its first string, and numbers become ?.
OLDEST = r"""
SELECT pid, round(extract(epoch FROM now() - xact_start)), state,
regexp_replace(left(substring(query FROM '^[^''$]*'), 80), '\m\d+', '?', 'g') FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
AND query <> %s ORDER BY xact_start LIMIT 1
"""
# In a transaction, because PgBouncer may give each transaction another session.
TAKE_TURN = "SELECT pg_try_advisory_xact_lock(hashtext('authsite: migrate'))"

# An interrupted build leaves an index that is not valid.
BUILT = """
SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
WHERE indisvalid AND pg_table_is_visible(oid)
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
        with turn(connection, self.stderr.write):
            if connection.vendor == "postgresql":
                self._migrate_postgresql(connection, *args, **options)
            else:
                super().handle(*args, **options)

    def _migrate_postgresql(self, connection: Any, *args: Any, **options: Any) -> None:
        ends = monotonic() + options["wait"]

        def begin() -> None:
            # ``SET`` without ``LOCAL`` would remain in a connection that PgBouncer shares with
            # other clients.
            connection.connection.execute(f"BEGIN; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")

        # Django calls this method at the beginning of a transaction.
        connection._start_transaction_under_autocommit = begin
        connection.SchemaEditorClass = _without_indexes(connection.SchemaEditorClass)
        while True:
            try:
                super().handle(*args, **options)
                if not (options["plan"] or options["check_unapplied"]):
                    self._build_indexes(connection)
            except OperationalError as error:
                if not is_locked(error):
                    raise
                self._say_who(connection)
                if monotonic() > ends:
                    raise CommandError(
                        "Other transactions use the tables. The migration that waited has changed "
                        "nothing; those before it are complete. Run migrate again."
                    ) from None
                sleep(PAUSE_SECONDS)
                self._interrupt_autovacuum(connection)
            else:
                return

    def _interrupt_autovacuum(self, connection: Any) -> None:
        """Stop autovacuum, which may hold the lock for which a migration waits.

        PostgreSQL stops it when a lock has waited for a second (``deadlock_timeout``). A migration
        waits for less, but this lock of all tables, which blocks no read or write, waits long
        enough.
        """
        with suppress(OperationalError), atomic(connection.alias), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")
            tables = map(connection.ops.quote_name, connection.introspection.table_names(cursor))
            cursor.execute(f"LOCK {', '.join(tables)} IN SHARE UPDATE EXCLUSIVE MODE")

    def _build_indexes(self, connection: Any) -> None:
        """Build the missing indexes, once all migrations are applied."""
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return
        with connection.schema_editor(atomic=False) as editor:
            with connection.cursor() as cursor:
                built = {name for (name,) in cursor.execute(BUILT)}
            for model in apps.get_models():
                for index in model._meta.indexes:
                    if index.name not in built:
                        self.stdout.write(f"Building the index {index.name}")
                        editor.remove_index(model, index, concurrently=True)
                        editor.add_index(model, index, concurrently=True)

    def _say_who(self, connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(OLDEST, [TAKE_TURN])
            row = cursor.fetchone()
        who = "process {} of PostgreSQL, for {} s, {}: {}".format(*row) if row else "a transaction"
        self.stderr.write(f"\nWaiting for {who}")


def _without_indexes(editor: type[Any]) -> type[Any]:
    """Return a schema editor class that creates no indexes of tables with rows."""

    class Editor(editor):
        sql_rename_index = "ALTER INDEX IF EXISTS %(old_name)s RENAME TO %(new_name)s"

        def add_index(self, model: Any, index: Any, concurrently: bool = False) -> None:
            table = self.quote_name(model._meta.db_table)
            with self.connection.cursor() as cursor:
                cursor.execute(f"SELECT FROM {table} LIMIT 1")
                is_empty = cursor.fetchone() is None
            if is_empty or concurrently:
                super().add_index(model, index, concurrently=concurrently)

    return Editor


@contextmanager
def turn(connection: Any, say: Callable[[str], object]) -> Iterator[None]:
    """Wait until this process may migrate; make other processes wait until the block ends."""
    if connection.vendor == "postgresql":
        own = connection.copy()
        own.set_autocommit(False)
        try:
            with own.cursor() as cursor:
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                _wait(lambda: cursor.execute(TAKE_TURN).fetchone()[0], say)
                yield
        finally:
            own.close()
    elif connection.is_in_memory_db():
        yield
    else:
        folder = os.open(Path(connection.settings_dict["NAME"]).parent, os.O_RDONLY)
        try:
            _wait(lambda: _locks(folder), say)
            yield
        finally:
            os.close(folder)


def _locks(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(is_free: Callable[[], bool], say: Callable[[str], object]) -> None:
    if not is_free():
        say("Waiting for another process that migrates this database")
        while not is_free():
            sleep(TURN_SECONDS)
