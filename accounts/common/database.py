"""Deletes in batches, prepares statements, and recognizes outages of the database.

Requests that fail during an outage are answered with 503, because they may succeed later.

The database runs the statements of a sign-in in half a millisecond, but the ORM takes three
milliseconds to build them. A prepared statement is a query set with :class:`P` in the place of each
value, and its SQL is built only once. Without prepared statements, a call with an API key takes
four times as long, an exchange of a code 2.5 times, and a login 10 % longer.
"""

import logging
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from enum import Enum
from functools import cached_property, lru_cache
from time import monotonic
from typing import Any, cast, override

from django.db import (
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
    models,
)
from django.db.models import FETCH_ONE, Model, QuerySet, sql
from django.db.models.query import get_related_populators

log = logging.getLogger(__name__)

# Django raises ``InternalError`` for these codes: PostgreSQL has ended an idle transaction, because
# this process was paused during it, or has become a standby server, which is read-only.
PASSING = {"25P03", "25006"}
# The error codes of a full disk, of PostgreSQL and of SQLite.
FULL = {"53100", "SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"}
# The error codes when a lock was not released in time.
LOCKED = {"55P03", "SQLITE_BUSY"}
# The error codes when a row refers to a row that was deleted meanwhile.
GONE = {"23503", "SQLITE_CONSTRAINT_FOREIGNKEY"}
# The seconds for which a full disk is reported after the last error.
REMEMBERED_SECONDS = 4.0

_full = {"until": 0.0}


def is_outage(error: BaseException | None) -> bool:
    """Return whether ``error`` means that the database cannot be used at the moment."""
    if isinstance(error, InternalError):
        return code_of(error) in PASSING
    return isinstance(error, OperationalError | InterfaceError)


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether ``error`` means that the disk of the database is full."""
    return code_of(error) in FULL


def is_locked(error: BaseException | None) -> bool:
    """Return whether ``error`` means that another transaction held a lock for too long."""
    return code_of(error) in LOCKED


def is_reference_gone(error: BaseException | None) -> bool:
    """Return whether ``error`` means that a row refers to a deleted row, such as an account."""
    return isinstance(error, IntegrityError) and code_of(error) in GONE


def report(error: BaseException) -> None:
    """Log the cause of an outage in one line, without the statement and its values."""
    cause = next(iter(str(error).splitlines()), "") or type(error).__name__
    if is_disk_full(error):
        _full["until"] = monotonic() + REMEMBERED_SECONDS
        log.error("The disk of the database is full: %s", cause)
    else:
        log.warning("The database cannot be used: %s", cause)


def was_disk_full() -> bool:
    """Return whether this process has reported a full disk within ``REMEMBERED_SECONDS``."""
    return monotonic() < _full["until"]


def code_of(error: BaseException | None) -> str:
    """Return the code that the database gave to ``error``, or an empty string."""
    cause = error.__cause__ if error else None
    return str(getattr(cause, "sqlstate", "") or getattr(cause, "sqlite_errorname", ""))


# The number of rows that one transaction deletes, and that one query looks up.
BATCH, AT_ONCE = 500, 100_000
# The number of rows that one statement of :func:`change_in_portions` changes.
PORTION = 50_000


def delete_in_batches(rows: QuerySet[Any]) -> int:
    """Delete ``rows`` in short transactions; return how many were deleted.

    A request that changes one of the rows therefore waits only for the rows of one batch.
    """
    count = 0
    while found := list(rows.order_by().values_list("pk", flat=True)[:AT_ONCE]):
        for first in range(0, len(found), BATCH):
            # The conditions are checked again, because a request may have renewed a row meanwhile.
            count += rows.filter(pk__in=found[first : first + BATCH]).delete()[0]
    return count


def read_in_batches(rows: QuerySet[Any, Any], size: int) -> Iterator[list[Any]]:
    """Return lists of at most ``size`` rows, in the order of the primary key.

    Each list is the result of its own query, so that no cursor stays open: PgBouncer may give the
    connection to another client, and SQLite's log grows during a long read.

    ``rows``: a query set of ``values_list``, with the primary key as the first value.
    """
    rows = rows.order_by("pk")
    batch = list(rows[:size])
    while batch:
        yield batch
        batch = list(rows.filter(pk__gt=batch[-1][0])[:size]) if len(batch) == size else []


def change_in_portions[M: Model](rows: QuerySet[M], change: Callable[[QuerySet[M]], int]) -> int:
    """Call ``change`` for some of ``rows`` at a time until all are changed; return how many were.

    One statement for all rows could take so long that PostgreSQL cancels it.

    ``rows``: a query set that a row no longer matches once it is changed.
    ``change``: changes the rows of the given query set, and returns their number.
    """
    some = rows.filter(pk__in=rows.values("pk")[:PORTION])
    count = changed = change(some)
    # A portion may be smaller than requested, because other requests change rows meanwhile.
    while changed > PORTION // 2:
        count += (changed := change(some))
    return count


# An SQL statement, and a :class:`P` or a constant for each of its placeholders.
type Sql = tuple[str, Sequence[Any]]
type Row = tuple[Any, ...]

# Every field except a JSONField stores values of these types as ``parameter`` returns them.
_SIMPLE = {str, int, bool, type(None), datetime, uuid.UUID}


class P(models.Expression):
    """The placeholder for the value ``name`` in a prepared statement."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    @override
    def as_sql(self, *_args: Any, **_options: Any) -> tuple[str, Any]:
        return "%s", [self]


class _Statement:
    """An SQL statement whose parameters are named after its :class:`P`."""

    def __init__(self, text: str, places: Sequence[Any]) -> None:
        self._names = tuple({place.name for place in places if isinstance(place, P)})
        self._constants: dict[str, Any] = {}
        self._text, *parts = text.split("%s")
        for place, part in zip(places, parts, strict=True):
            self._text += self._written(place) + part

    def run(self, values: dict[str, Any]) -> Any:
        """Run the statement, and return its cursor."""
        given = self._constants.copy()
        for name in self._names:
            value = values[name]
            given[name] = value if type(value) is str else parameter(value)
        cursor = getattr(connection, "prepared_cursor", connection.cursor)()
        cursor.execute(self._text, given)
        return cursor

    def _written(self, place: Any) -> str:
        if isinstance(place, P):
            return f"%({place.name})s"
        # SQLite cannot reuse a plan if a partial index depends on a parameter, so booleans are
        # constants.
        if isinstance(place, bool):
            return str(place).upper()
        name = f"constant{len(self._constants)}"
        # The plain value spares SQLite a search for an adapter at each run.
        self._constants[name] = place.value if isinstance(place, Enum) else place
        return f"%({name})s"


class _Columns:
    """The columns that a query set selects."""

    def __init__(self, rows: models.QuerySet[Any, Any]) -> None:
        self._compiler = rows.query.get_compiler(connection=connection)
        self._compiler.as_sql()
        columns = [column for column, *_ in self._compiler.select]
        self._converters = self._compiler.get_converters(columns)
        self._model = rows.model
        self.fields = [column.target for column in columns]
        info = self._compiler.klass_info or {"select_fields": columns}
        self._names = [field.attname for field in self.fields[: len(info["select_fields"])]]
        self._related = get_related_populators(
            info, self._compiler.select, connection.alias, FETCH_ONE
        )
        self.annotations: dict[str, int] = self._compiler.annotation_col_map or {}

    def instances(self, rows: Iterable[Row]) -> list[Any]:
        """Return ``rows`` as model instances, with those that ``select_related`` has added.

        The values are converted as the ORM does: SQLite stores dates and UUIDs as text.
        """
        alias, names, found = connection.alias, self._names, []
        for row in self._compiler.apply_converters(rows, self._converters):
            found.append(self._model.from_db(alias, names, row[: len(names)]))
            for related in self._related:
                related.populate(row, found[-1])
        return found

    def instance(self, row: Row) -> Any:
        return self.instances([row])[0]


class PreparedQuery[M: models.Model]:
    """A prepared SELECT.

    ``build``: returns the query set, with a :class:`P` in the place of each value. The methods take
        these values as keyword arguments.
    """

    def __init__(self, build: Callable[[], models.QuerySet[M, Any]]) -> None:
        self._build = build

    def first(self, **values: Any) -> M | None:
        """Return the first row as a model instance, or None if there is none."""
        row = self._first.run(values).fetchone()
        return self._columns.instance(row) if row else None

    def all(self, **values: Any) -> list[M]:
        """Return all rows as model instances."""
        return self._columns.instances(self.rows(**values))

    def imitate(self) -> None:
        """Take as much time as :meth:`first` needs to create the instance of a row (CWE-208)."""
        self._columns.instance(self._example)

    def rows(self, **values: Any) -> tuple[Row, ...]:
        """Run the query with the parameters ``values``, and return all rows.

        The values of the rows are not converted to Python types: see :meth:`instance`.
        """
        return tuple(self._all.run(values).fetchall())

    def instance(self, row: Row) -> M:
        """Return a row that :meth:`rows` has returned as a model instance."""
        return cast(M, self._columns.instance(row))

    def annotation(self, name: str, rows: Iterable[Row]) -> list[Any]:
        """Return the value of an annotation in each of ``rows``, unconverted."""
        place = self._columns.annotations[name]
        return [row[place] for row in rows]

    def count(self, most: int, **values: Any) -> int:
        """Return the number of rows, or ``most`` if there are more."""
        return int(self._count.run(values | {"most": most}).fetchone()[0])

    @cached_property
    def _columns(self) -> _Columns:
        return _Columns(self._build())

    @cached_property
    def _example(self) -> Row:
        example = self._build().model()
        return tuple(
            field.get_db_prep_save(getattr(example, field.attname), connection)
            for field in self._columns.fields
        )

    @cached_property
    def _first(self) -> _Statement:
        return _Statement(*self._sql_of_first)

    @cached_property
    def _all(self) -> _Statement:
        return _Statement(*_compiled(self._build().query))

    @cached_property
    def _count(self) -> _Statement:
        text, places = _compiled(self._build().query)
        return _Statement(f"SELECT COUNT(*) FROM ({text} LIMIT %s) AS found", [*places, P("most")])  # noqa: S608 built by the ORM

    @property
    def _sql_of_first(self) -> Sql:
        return _compiled(self._build()[:1].query)


class PreparedList[M: models.Model]:
    """A prepared SELECT with a list of values; the database gets a statement for each length.

    ``build``: returns the query set for a list with a :class:`P` for each value.
    """

    def __init__(self, build: Callable[[Any], models.QuerySet[M, Any]]) -> None:
        self._build = build
        self._of_length = lru_cache(maxsize=64)(self._prepare)

    def all(self, values: Collection[Any], **more: Any) -> list[M]:
        """Return the rows as model instances; none for an empty list.

        ``more``: the other values of the query set.
        """
        more |= {f"value{place}": value for place, value in enumerate(values)}
        return self._of_length(len(values)).all(**more) if values else []

    def _prepare(self, length: int) -> PreparedQuery[M]:
        places = [P(f"value{place}") for place in range(length)]
        return PreparedQuery(lambda: self._build(places))


class PreparedQueries:
    """Several prepared queries that run as one statement."""

    def __init__(self, *queries: PreparedQuery[Any]) -> None:
        self._queries = queries

    def firsts(self, **values: Any) -> list[Any]:
        """Return the first row of each query as a model instance, or None if it has none."""
        row = self._statement.run(values).fetchone()
        found = []
        for query in self._queries:
            columns = query._columns
            part, row = row[: len(columns.fields)], row[len(columns.fields) :]
            is_there = part[columns.fields.index(columns.fields[0].model._meta.pk)] is not None
            found.append(columns.instance(part) if is_there else None)
        return found

    @cached_property
    def _statement(self) -> _Statement:
        statements = [query._sql_of_first for query in self._queries]
        joins = [f" LEFT JOIN ({text}) AS q{n} ON TRUE" for n, (text, _) in enumerate(statements)]
        places = [place for _, of_query in statements for place in of_query]
        names = ", ".join(f"q{n}.*" for n in range(len(self._queries)))
        text = f"SELECT {names} FROM (SELECT 1) AS one{''.join(joins)}"  # noqa: S608 built by the ORM
        return _Statement(text, places)


class PreparedUpdate[M: models.Model]:
    """A prepared UPDATE of the rows of the query set ``build()``, with the given ``changes``.

    ``returning``: the fields that :meth:`first` reads. The instance reads other fields from the
        database when they are used, as after ``QuerySet.only()``.
    """

    def __init__(
        self,
        build: Callable[[], models.QuerySet[M]],
        *,
        returning: Sequence[str] = (),
        **changes: Any,
    ) -> None:
        self._build, self._returning, self._changes = build, returning, changes

    def run(self, **values: Any) -> int:
        """Update the rows; return how many were updated."""
        return int(self._statement.run(values).rowcount)

    def first(self, **values: Any) -> M | None:
        """Update the rows; return the first one with its new values, or None if there is none."""
        row = self._statement.run(values).fetchone()
        return self._columns.instance(row) if row else None

    @cached_property
    def _columns(self) -> _Columns:
        return _Columns(self._build().only(*self._returning))

    @cached_property
    def _statement(self) -> _Statement:
        query: Any = self._build().query.chain(sql.UpdateQuery)
        query.add_update_values(self._changes)
        text, places = _compiled(query)
        if self._returning:
            names = ", ".join(f'"{field.column}"' for field in self._columns.fields)
            text = f"{text} RETURNING {names}"
        return _Statement(text, places)


class PreparedInsert[M: models.Model]:
    """A prepared INSERT of one row into the table of ``model``."""

    def __init__(self, model: type[M]) -> None:
        self._model = model

    def run(self, instance: M) -> None:
        """Insert ``instance``, and set its primary key if the database generates it."""
        fields, text = self._statement
        values = [_stored(field, field.pre_save(instance, True)) for field in fields]
        with connection.cursor() as cursor:
            cursor.execute(text, values)
            instance.pk = cursor.fetchone()[0] if instance.pk is None else instance.pk
        instance._state.adding, instance._state.db = False, connection.alias

    @cached_property
    def _statement(self) -> tuple[Sequence[Any], str]:
        """Return the fields and the SQL."""
        meta = self._model._meta
        fields = [f for f in meta.concrete_fields if not isinstance(f, models.AutoField)]
        columns = ", ".join(f'"{field.column}"' for field in fields)
        places = ", ".join(["%s"] * len(fields))
        text = f'INSERT INTO "{meta.db_table}" ({columns}) VALUES ({places})'  # noqa: S608 names of columns
        return fields, f'{text} RETURNING "{meta.pk.column}"'


def parameter(value: Any) -> Any:
    """Convert a value to a parameter of an SQL statement: SQLite stores dates and UUIDs as text."""
    if isinstance(value, uuid.UUID):
        return value if connection.features.has_native_uuid_field else value.hex
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value


def _compiled(query: Any) -> Sql:
    text, places = query.get_compiler(connection=connection).as_sql()
    return text, places


def _stored(field: Any, value: Any) -> Any:
    """Convert ``value`` as the ORM does when it saves an instance.

    Most values need no conversion, and asking the field takes longer than the statement.
    """
    is_simple = type(value) in _SIMPLE and not isinstance(field, models.JSONField)
    return parameter(value) if is_simple else field.get_db_prep_save(value, connection)
