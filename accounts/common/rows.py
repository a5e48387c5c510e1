"""Builds model instances from raw SQL, for the few queries that the ORM cannot make in one step."""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.base import ModelState


class Columns[M: models.Model]:
    """The columns of a model in a raw SQL statement.

    ``sql`` is the list of columns for SELECT. If the statement gives the table an alias, pass it as
    ``alias``. :meth:`instance` builds a model instance from a row of the result.

    ``only``: the names of the fields to select, by default all. As after ``QuerySet.only()``, the
    instance reads any other field from the database when it is used.
    """

    def __init__(self, model: type[M], alias: str = "", only: Collection[str] = ()) -> None:
        self._model = model
        self._fields = [f for f in model._meta.concrete_fields if not only or f.attname in only]
        self._names = [field.attname for field in self._fields]
        # Cached by connection, because each thread has its own connection.
        self._converters: WeakKeyDictionary[BaseDatabaseWrapper, list[tuple[int, Any, Any]]]
        self._converters = WeakKeyDictionary()
        prefix = f"{alias}." if alias else ""
        self.sql = ", ".join(f'{prefix}"{field.column}"' for field in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    @cached_property
    def pk(self) -> int:
        """The position of the primary key."""
        return self._names.index(self._model._meta.pk.attname)

    def instance(self, row: Sequence[Any]) -> M:
        """Return the model instance with the values of ``row``, in the order of ``sql``."""
        db = connections[DEFAULT_DB_ALIAS]
        values = list(row)
        for index, convert, column in self._converters_of(db):
            values[index] = convert(values[index], column, db)
        # ``Model.__init__`` handles defaults, keywords and signals. A complete row needs none of
        # them, and they took a third of the time of an API call.
        instance = self._model.__new__(self._model)
        instance.__dict__.update(zip(self._names, values, strict=True), _state=ModelState())
        instance._state.db, instance._state.adding = db.alias, False
        return instance

    def _converters_of(self, db: BaseDatabaseWrapper) -> list[tuple[int, Any, Any]]:
        """Return the functions that convert database values to Python values.

        Each one comes with the index and the expression of its column. SQLite, for example, stores
        dates and UUIDs as text.
        """
        if db not in self._converters:
            columns = [field.get_col(self._model._meta.db_table) for field in self._fields]
            self._converters[db] = [
                (index, convert, column)
                for index, column in enumerate(columns)
                for convert in (
                    *db.ops.get_db_converters(column),
                    *column.get_db_converters(db),
                )
            ]
        return self._converters[db]


def parameter(value: Any) -> Any:
    """Convert a value to a parameter of a raw SQL statement.

    SQLite has no type for dates and UUIDs, and Django stores them there as text.
    """
    if isinstance(value, uuid.UUID):
        has_uuids = connections[DEFAULT_DB_ALIAS].features.has_native_uuid_field
        return value if has_uuids else value.hex
    if isinstance(value, datetime):
        return connections[DEFAULT_DB_ALIAS].ops.adapt_datetimefield_value(value)
    return value
