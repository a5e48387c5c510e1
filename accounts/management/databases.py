"""Connects commands to databases other than the site's, and copies all rows between databases.

Both databases can be SQLite or PostgreSQL. Rows are copied in blocks, so that memory use does not
grow with the database. They are written to PostgreSQL by COPY, and to SQLite by a prepared INSERT.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from time import monotonic
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import ConnectionHandler

from accounts.common.setting_parsers import parse_database_url

SOURCE, TARGET = "copy_source", "copy_target"
BLOCK = 2000
# The migrations write these tables in the target, so they are not copied.
OWN = {MigrationRecorder.Migration._meta.db_table}

type Row = tuple[Any, ...]
type Told = Callable[[str, int], None]


class CopyRefused(Exception):
    """The databases cannot be used for a copy, or a row cannot be copied. The message says why."""


@dataclass(frozen=True)
class Table:
    """A copied table: the number of its rows, their digest, and the duration in seconds."""

    name: str
    rows: int
    digest: str
    seconds: float


class Digest:
    """A digest of rows in any order: the sum of their SHA-256 digests, and their number."""

    def __init__(self) -> None:
        self.rows, self._sum = 0, 0

    def add(self, row: Row) -> None:
        """Add a row with the values that Django reads from either database."""
        text = json.dumps(row, default=str, sort_keys=True).encode()
        self._sum += int.from_bytes(hashlib.sha256(text).digest())
        self.rows += 1

    @property
    def hex(self) -> str:
        """The digest in hexadecimal."""
        return f"{self._sum % 2**256:064x}"


def check_source() -> None:
    """Require that the source has exactly the tables of this release.

    Raises:
        CopyRefused: migrations are missing, or a table does not belong to the site.
    """
    applied = MigrationRecorder(connections[SOURCE]).applied_migrations().keys()
    if missing := MigrationLoader(None).disk_migrations.keys() - applied:
        raise CopyRefused(f"The source lacks {len(missing)} migrations: run migrate on it first.")
    known = OWN | {model._meta.db_table for model in _models()}
    if foreign := _tables(SOURCE) - known:
        hint = " (OPENID_PROVIDER is off)" * any(name.startswith("oauth_") for name in foreign)
        raise CopyRefused(
            f"The source has tables that are not the site's{hint}: {_listed(foreign)}"
        )


def check_target() -> None:
    """Require that the target has no tables.

    Raises:
        CopyRefused: the target has a table.
    """
    if tables := _tables(TARGET):
        raise CopyRefused(f"The target is not empty: it has the tables {_listed(tables)}")


def copy(told: Told) -> list[Table]:
    """Copy all rows into the target, which already has the tables; return the copied tables.

    ``told`` is called after each block, with the table and the number of its copied rows so far.

    Raises:
        CopyRefused: a row cannot be copied, or the target differs from the source afterwards.
    """
    ordered = _ordered(_models())
    # SQLite checks foreign keys at the end.
    with connections[TARGET].constraint_checks_disabled():
        _empty(ordered)
        with transaction.atomic(SOURCE):
            done = [_copy(model, told) for model in ordered]
    _continue_sequences(ordered)
    connections[TARGET].check_constraints()
    for model, table in zip(ordered, done, strict=True):
        _compare(model, table)
    with connections[TARGET].cursor() as cursor:
        cursor.execute("ANALYZE")
    return done


def _models() -> list[type[models.Model]]:
    found = apps.get_models(include_auto_created=True)
    return [model for model in found if model._meta.managed and not model._meta.proxy]


def _tables(alias: str) -> set[str]:
    names = connections[alias].introspection.table_names(include_views=True)
    # Without SQLite's own tables, such as the statistics of ANALYZE.
    return {name for name in names if not name.startswith("sqlite_")}


def _listed(tables: set[str]) -> str:
    return ", ".join(sorted(tables)[:5])


def _ordered(found: list[type[models.Model]]) -> list[type[models.Model]]:
    """Return the models in an order in which referenced rows come before referring rows.

    Raises:
        CopyRefused: there is no such order.
    """
    graph = {
        model: {f.related_model for f in _fields(model) if f.related_model} - {model}
        for model in found
    }
    try:
        return [model for model in TopologicalSorter(graph).static_order() if model in graph]
    except CycleError as error:
        raise CopyRefused(f"These tables refer to each other: {error.args[1]}") from None


def _fields(model: type[models.Model]) -> list[Any]:
    return [field for field in model._meta.local_concrete_fields if not field.generated]


def _empty(ordered: Sequence[type[models.Model]]) -> None:
    """Delete the rows that the migrations have created in the target, such as groups."""
    with transaction.atomic(TARGET), connections[TARGET].cursor() as cursor:
        for model in reversed(ordered):
            cursor.execute(f"DELETE FROM {_quoted(model._meta.db_table)}")  # noqa: S608 no input


def _copy(model: type[models.Model], told: Told) -> Table:
    began, digest, name = monotonic(), Digest(), model._meta.db_table

    def counted() -> Iterator[Row]:
        for row in _rows(model, SOURCE):
            digest.add(row)
            yield row
            if digest.rows % BLOCK == 0:
                told(name, digest.rows)

    write = _write_sqlite if connections[TARGET].vendor == "sqlite" else _write_postgresql
    try:
        with transaction.atomic(TARGET):
            write(model, counted())
    except Exception as error:
        # The message names only the table, because values are personal data.
        raise CopyRefused(
            f"{name}: a row near {digest.rows:,} can't be copied ({type(error).__name__})"
        ) from error
    told(name, digest.rows)
    return Table(name, digest.rows, digest.hex, monotonic() - began)


def _rows(model: type[models.Model], alias: str) -> Iterator[Row]:
    names = [field.attname for field in _fields(model)]
    rows: Any = models.QuerySet(model, using=alias).order_by()
    return rows.values_list(*names).iterator(chunk_size=BLOCK)


def _prepared(model: type[models.Model], rows: Iterator[Row]) -> Iterator[Row]:
    """Return the rows, with their values converted for the target's database driver."""
    connection = connections[TARGET]
    prepare = [field.get_db_prep_save for field in _fields(model)]
    for row in rows:
        yield tuple(
            None if value is None else make(value, connection)
            for make, value in zip(prepare, row, strict=True)
        )


def _write_sqlite(model: type[models.Model], rows: Iterator[Row]) -> None:
    places = ", ".join("?" * len(_fields(model)))
    into = f"INSERT INTO {_quoted(model._meta.db_table)} ({_columns(model)})"
    insert = f"{into} VALUES ({places})"
    connections[TARGET].connection.executemany(insert, _prepared(model, rows))


def _write_postgresql(model: type[models.Model], rows: Iterator[Row]) -> None:
    into = f"COPY {_quoted(model._meta.db_table)} ({_columns(model)}) FROM STDIN"
    with connections[TARGET].cursor() as cursor, cursor.copy(into) as copying:
        for row in _prepared(model, rows):
            copying.write_row(row)


def _compare(model: type[models.Model], table: Table) -> None:
    """Read the table from the target, and require that its rows are equal to the source's.

    Raises:
        CopyRefused: a row differs, is missing or was added.
    """
    digest = Digest()
    with transaction.atomic(TARGET):
        for row in _rows(model, TARGET):
            digest.add(row)
    if (digest.rows, digest.hex) != (table.rows, table.digest):
        raise CopyRefused(
            f"{table.name} differs: {table.rows:,} rows in the source, "
            f"{digest.rows:,} in the target"
        )


def _continue_sequences(ordered: Sequence[type[models.Model]]) -> None:
    """Set the sequences of the target so that new numbers follow the last one of the source."""
    for model in ordered:
        key: Any = model._meta.pk
        place = (model._meta.db_table, key.column)
        if isinstance(key, models.AutoField) and (last := _last(connections[SOURCE], *place)):
            _set_last(connections[TARGET], *place, last)


def _last(connection: BaseDatabaseWrapper, table: str, column: str) -> int:
    """Return the last number of the sequence of ``column``; 0 if it has not been used."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        else:
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [_quoted(table), column])
            (sequence,) = cursor.fetchone()
            cursor.execute(f"SELECT last_value FROM {sequence} WHERE is_called")  # noqa: S608 no input
        return next(iter(cursor.fetchone() or ()), 0)


def _set_last(connection: BaseDatabaseWrapper, table: str, column: str, last: int) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # No row has been inserted, and so there is no entry, if the table is empty.
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
            cursor.execute("INSERT INTO sqlite_sequence VALUES (%s, %s)", [table, last])
        else:
            sequence = "pg_get_serial_sequence(%s, %s)"
            cursor.execute(f"SELECT setval({sequence}, %s)", [_quoted(table), column, last])


def _columns(model: type[models.Model]) -> str:
    return ", ".join(_quoted(field.column) for field in _fields(model))


def _quoted(name: str) -> str:
    return f'"{name}"'


REPLICA = "replica"


def url_of(text: str) -> str:
    """Return the URL in the environment variable ``text``, or ``text`` if it is a URL itself.

    A variable is safer, because ``ps`` shows arguments.

    Raises:
        CommandError: there is no URL of SQLite or PostgreSQL.
    """
    if text == "DATABASE_URL":
        return str(settings.AUTHSITE.database_url)
    url = text if "://" in text else os.environ.get(text, "")
    try:
        parse_database_url(url)
    except ValueError as error:
        raise CommandError(
            f"Give the URL of a database, or the name of a variable that has one: it {error}."
        ) from None
    return url


@contextmanager
def connected(urls: dict[str, str]) -> Iterator[None]:
    """Add databases to Django's connections by their aliases, and close them afterwards."""
    given = {alias: _settings(url) for alias, url in urls.items()}
    # The handler adds the defaults, and requires a default database.
    complete = ConnectionHandler({"default": {}, **given}).databases
    connections.databases.update({alias: complete[alias] for alias in given})
    try:
        yield
    finally:
        for alias in given:
            connections[alias].close()
            del connections[alias], connections.databases[alias]


@contextmanager
def reading_from(url: str) -> Iterator[None]:
    """Make the ORM use the database at ``url`` instead of the site's."""
    with connected({REPLICA: url}):
        own, connections[DEFAULT_DB_ALIAS] = connections[DEFAULT_DB_ALIAS], connections[REPLICA]
        try:
            yield
        finally:
            connections[DEFAULT_DB_ALIAS] = own


def _settings(url: str) -> dict[str, Any]:
    found = parse_database_url(url)
    if found["ENGINE"] == "django.db.backends.postgresql":
        from psycopg import IsolationLevel  # noqa: PLC0415 only some sites need the library

        # All tables are read in the same state.
        level = IsolationLevel.REPEATABLE_READ
        found["OPTIONS"]["isolation_level"] = level
    return found
