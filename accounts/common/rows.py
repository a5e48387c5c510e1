"""Raw statements whose rows are read as Django reads its own: for the few that must be one."""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper


class Columns[M: models.Model]:
    """All columns of a model, in a statement that calls its table ``alias``, or has no other."""

    def __init__(self, model: type[M], alias: str = "") -> None:
        self._model = model
        self._fields = model._meta.concrete_fields
        self._names = [field.attname for field in self._fields]
        # A connection belongs to a thread.
        self._converters: WeakKeyDictionary[BaseDatabaseWrapper, list[tuple[int, Any, Any]]]
        self._converters = WeakKeyDictionary()
        prefix = f"{alias}." if alias else ""
        self.sql = ", ".join(f'{prefix}"{field.column}"' for field in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def instance(self, row: Sequence[Any]) -> M:
        """The object that ``row`` holds."""
        here = connections[DEFAULT_DB_ALIAS]
        values = list(row)
        for place, convert, column in self._converters_of(here):
            values[place] = convert(values[place], column, here)
        return self._model.from_db(here.alias, self._names, values)

    def _converters_of(self, here: BaseDatabaseWrapper) -> list[tuple[int, Any, Any]]:
        """What SQLite's texts and numbers need to become times, ids and truths."""
        if here not in self._converters:
            columns = [field.get_col(self._model._meta.db_table) for field in self._fields]
            self._converters[here] = [
                (place, convert, column)
                for place, column in enumerate(columns)
                for convert in (
                    *here.ops.get_db_converters(column),
                    *column.get_db_converters(here),
                )
            ]
        return self._converters[here]


def parameter(field: Any, value: Any) -> Any:
    """``value`` as the database takes it for ``field``."""
    return field.get_db_prep_value(value, connection)
