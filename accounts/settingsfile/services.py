"""Changes the database so that it matches a settings file, and writes a file for a database.

The file decides about the rows that it names, whoever has created them. It removes only rows that a
settings file has created, and only with ``prune``.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.common.errors import PublicError
from accounts.common.signals import registered
from accounts.common.text import refuse_invisible
from accounts.settingsfile.kinds import Groups, Kind, Values, in_order
from accounts.settingsfile.models import MadeByFile

# The words for a value in an error message, by the type of the default.
_TYPES = {
    "str": "a text",
    "list": "a list of texts",
    "bool": "true or false",
    "int": "a whole number",
    "dict": "a table",
    "datetime": "a date and time with its offset, such as 2030-12-31T12:00:00Z",
}
HEAD = """\
# Settings of {origin}, for `manage.py apply`. Keys with default values are missing.
# Instead of a secret, the file has its digest (sha256:…), from which nobody can compute it.
"""


class WrongFile(ValueError):
    """The file is invalid. The message names the line or the key, and what is allowed."""


@dataclass(frozen=True)
class Change:
    """A change that applying the file makes.

    ``what``: ``new``, ``changed`` or ``removed``.
    ``item``: the row, such as ``apps.wiki``.
    ``values``: the old and the new value of each changed key.
    """

    what: str
    item: str
    values: dict[str, tuple[str, str]] = field(default_factory=dict)


def apply(text: str, *, prune: bool = False, only_check: bool = False) -> list[Change]:
    """Change the database so that it matches the settings file ``text``; return the changes.

    ``prune``: whether to remove rows that a settings file has created and this one does not name.
    ``only_check``: whether to undo all changes at the end, so that they are only returned.

    Only one process may call this at a time.

    Raises:
        WrongFile: the file is invalid. Nothing has changed.
    """
    tables = _parsed(text)
    kinds = _kinds()
    with _naming(""):
        in_order(tables, [kind.name for kind in kinds])
    with transaction.atomic():
        runs = [_Run(kind, tables.get(kind.name, {})) for kind in kinds]
        changes = [change for run in runs for change in run.save()]
        if prune:
            # Rows are removed in reverse order, because apps may need groups.
            changes += [change for run in reversed(runs) for change in run.remove()]
        transaction.set_rollback(only_check)
    return changes


def dump(origin: str) -> str:
    """Return a file that describes the current state, with the digests of secrets."""
    parts = [HEAD.format(origin=origin)]
    for kind in _kinds():
        for identity, row in kind.rows().items():
            found = kind.values(row).items()
            values = {name: value for name, value in found if value != kind.defaults[name]}
            parts.append(table(kind.name, identity, values))
    return "\n".join(parts)


def table(name: str, key: str, values: Mapping[str, Any]) -> str:
    """Return the TOML text of the table ``[name.key]`` with ``values``."""
    lines = (f"{name} = {as_toml(value)}\n" for name, value in values.items())
    return f"[{name}.{as_toml(key)}]\n{''.join(lines)}"


def as_toml(value: Any) -> str:
    """Return TOML for a text, number, boolean or aware time, or for a list or dict of these."""
    match value:
        case dict():
            pairs = (f"{as_toml(key)} = {as_toml(item)}" for key, item in value.items())
            return f"{{{', '.join(pairs)}}}"
        case list():
            return f"[{', '.join(map(as_toml, value))}]"
        case datetime():
            return value.isoformat()
        case _:
            # Basic strings have the syntax of JSON, but TOML requires DEL to be escaped and forbids
            # surrogates.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _kinds() -> list[Kind[Any]]:
    # The kinds of optional apps are applied after the others.
    return [Groups(), *(kind() for kind in registered("settings_file"))]


class _Run:
    """Applies the part of a file for one kind. ``tables``: the rows that the file names."""

    def __init__(self, kind: Kind[Any], tables: Any) -> None:
        self._kind, self._tables = kind, tables
        self._rows, self._marks = kind.rows(), set[str]()

    def save(self) -> Iterator[Change]:
        """Create and change the rows that the file names."""
        with _naming(self._kind.name):
            _check_type(self._tables, {})
        for key, given in self._tables.items():
            with _naming(item := f"{self._kind.name}.{key}"):
                refuse_invisible(key)
                change = self._save(item, key, _checked(given, self._kind))
            if change:
                yield change

    def _save(self, item: str, key: str, given: Values) -> Change | None:
        kind, identity = self._kind, self._kind.identity(key, given)
        row = self._rows.get(identity)
        current = kind.values(row) if row else None
        kept = {name: current[name] for name in kind.kept} if current else {}
        wanted = {**kind.defaults, **kept, **given}
        if current is None and kind.is_over(identity, wanted):
            return None
        changed = set(wanted) if current is None else kind.differing(row, current, wanted)
        if changed:
            row = kind.save(identity, row, wanted, changed)
        mark = kind.mark(row)
        self._marks.add(mark)
        if current is None:
            MadeByFile.objects.get_or_create(kind=kind.name, mark=mark)
            return Change("new", item)
        shown = sorted(changed - kind.withheld)
        values = {name: (as_toml(current[name]), as_toml(wanted[name])) for name in shown}
        values |= dict.fromkeys(sorted(changed & kind.withheld), ("…", "…"))
        return Change("changed", item, values) if changed else None

    def remove(self) -> Iterator[Change]:
        """Remove the rows that a settings file has created and this one does not name."""
        for identity, row in self._rows.items():
            mark = self._kind.mark(row)
            if mark in self._kind.made - self._marks:
                with _naming(item := f"{self._kind.name}.{identity}"):
                    is_removed = self._kind.remove(row)
                if is_removed:
                    yield Change("removed", item)


def _parsed(text: str) -> Values:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongFile(str(error)) from None
    except RecursionError:
        raise WrongFile("lists or tables are nested too deeply") from None


def _checked(given: Any, kind: Kind[Any]) -> Values:
    """Return the values of a table of the file, in the form of :meth:`Kind.values`.

    Raises:
        ValidationError: a key is unknown, or a value has another type or is not allowed.
    """
    _check_type(given, {})
    in_order(given, kind.defaults)
    found = {}
    for name, value in given.items():
        try:
            _check_type(value, kind.defaults[name])
            found[name] = kind.normal(name, value)
        except ValidationError as error:
            raise ValidationError({name: error}) from None
        except (OSError, ValueError) as error:
            raise ValidationError({name: str(error)}) from None
    return found


def _check_type(value: Any, default: Any) -> None:
    texts = value if isinstance(value, list) else [value] if isinstance(value, str) else []
    is_text = all(isinstance(text, str) for text in texts)
    is_aware = getattr(value, "tzinfo", True)
    if type(value) is not type(default) or not is_text or not is_aware:
        raise ValidationError(f"must be {_TYPES[type(default).__name__]}")
    for text in texts:
        refuse_invisible(text)


@contextmanager
def _naming(item: str) -> Iterator[None]:
    """Return a context manager that adds ``item`` to the beginning of error messages.

    Raises:
        WrongFile: instead of any error that the file has caused.
    """
    try:
        yield
    except ValidationError as error:
        fields = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        name, messages = next(iter(fields.items()))
        path = ".".join(part for part in (item, name) if part and part != "__all__")
        raise WrongFile(f"{path}: {' '.join(messages)}" if path else " ".join(messages)) from None
    except (PublicError, IntegrityError) as error:
        raise WrongFile(f"{item}: {error}") from None
