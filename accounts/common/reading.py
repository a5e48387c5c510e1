"""Lets a page that calls many services read each row once, and many tables in one round trip.

The services do not know of each other, and several of them read the same rows.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, cast

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

_results: ContextVar[dict[Any, Any] | None] = ContextVar("results", default=None)


@contextmanager
def reading() -> Iterator[None]:
    """Within the block, let functions with the decorator ``read_once`` keep their results.

    The block must not change the rows that these functions return.
    """
    token = _results.set({})
    try:
        yield
    finally:
        _results.reset(token)


def read_once[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Let :func:`reading` keep the results of a function. Its arguments must be hashable.

    If the result is a query set, its rows are read once.
    """

    @wraps(function)
    def read(*args: P.args, **kwargs: P.kwargs) -> R:
        results = _results.get()
        if results is None:
            return function(*args, **kwargs)
        key = (function, args, tuple(kwargs.items()))
        if key not in results:
            results[key] = function(*args, **kwargs)
        return cast(R, results[key])

    return read


def fetch_together(*query_sets: QuerySet[Any]) -> None:
    """Read the rows of the query sets. They must return model instances, without related ones.

    PostgreSQL gets all statements in one round trip. SQLite has no round trips.
    """
    if connection.vendor != "postgresql":
        for rows in query_sets:
            len(rows)
        return
    compiled = [found for rows in query_sets if (found := _compiled(rows))]
    with connection.cursor() as cursor:
        cursor.execute(
            "; ".join(text for _rows, _compiler, text, _values in compiled),
            [value for *_others, values in compiled for value in values],
        )
        for rows, compiler, _text, _values in compiled:
            rows._result_cache = _instances(rows, compiler, cursor.fetchall())
            cursor.nextset()


def _compiled(rows: QuerySet[Any]) -> tuple[QuerySet[Any], Any, str, Sequence[Any]] | None:
    """Return the statement; None, and no rows, if its condition can never be true."""
    compiler = rows.query.get_compiler(connection=connection)
    try:
        text, values = compiler.as_sql()
    except EmptyResultSet:
        rows._result_cache = []
        return None
    return rows, compiler, text, values


def _instances(rows: QuerySet[Any], compiler: Any, found: Any) -> list[Any]:
    """Return what Django's ``ModelIterable`` makes of the rows ``found``."""
    columns = [column for column, _sql, _alias in compiler.select]
    if converters := compiler.get_converters(columns):
        found = compiler.apply_converters(found, converters)
    names = [column.target.attname for column in columns]
    return [rows.model.from_db(connection.alias, names, row) for row in found]
