"""Writes the ZIP file of an export: the data as JSON with its schema, and as a page to read.

The inventory of personal data says which rows and columns belong to a person. Rows are read and
written in batches, so that a long history takes no more memory than a short one.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import date, datetime
from itertools import batched
from pathlib import Path
from typing import IO, Any
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Case, Value, When
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from accounts.activity.history import Entry
from accounts.activity.models import ABOUT_OTHERS, Activity
from accounts.activity.services import are_shown
from accounts.common import clock
from accounts.common.brand.files import brand_of
from accounts.common.database import read_in_batches
from accounts.common.localization import in_full, writing_to
from accounts.common.personal_data import TABLES, Person, Table
from accounts.exports.words import LABELS, TITLES, formatters
from accounts.users import services as users
from accounts.users.models import User

FORMAT, VERSION = "authsite-account", 1
BATCH = 500
# Columns that refer to rows of other tables, and the columns there that name the row.
NAMED = {"group": "group__name", "permission": "permission__codename", "client": "client__name"}
# In the histories of staff, these columns of some events name another person, or say why staff
# acted on that person.
IS_ABOUT_OTHERS = When(kind__in=ABOUT_OTHERS, then=Value(""))
OWN = {
    ("accounts.Activity", name): Case(IS_ABOUT_OTHERS, default=name)
    for name in ("detail", "reason")
}
# The place in the page for the tables. The character cannot occur in HTML.
TABLES_HERE = "\0"


def _rows(table: Table, person: Person) -> Iterator[dict[str, Any]]:
    """Return the rows of ``person`` in ``table``, with the columns that an export contains."""
    found = apps.get_model(table.label)._default_manager.filter(table.of(person))
    if table.label == "accounts.Activity":
        found = found.filter(are_shown())
    paths = [OWN.get((table.label, name), NAMED.get(name, name)) for name in table.exported]
    for batch in read_in_batches(found.values_list("pk", *paths), BATCH):
        for _pk, *values in batch:
            yield dict(zip(table.exported, map(_as_json, values), strict=True))


def _as_json(value: Any) -> Any:
    """Return ``value``, or its Base64 if it is the content of a file."""
    return b64encode(value).decode() if isinstance(value, bytes | memoryview) else value


def steps() -> int:
    """Return how often :func:`write` calls ``step``."""
    return 2 * len(_tables())


def _tables() -> list[Table]:
    return [table for table in TABLES.values() if table.exported]


def write(user: User, sink: IO[bytes], step: Callable[[], object]) -> None:
    """Write the ZIP file with the data of ``user`` to ``sink``, in the language of the user.

    ``sink``: needs ``write`` and ``flush`` only.
    ``step``: called after each table of ``data.json`` and after each table of the page.
    """
    person = users.person_of(user)
    with writing_to(user.language, user.time_zone), ZipFile(sink, "w") as archive:
        with _member(archive, "style.css") as file:
            file.write(_style())
        with _member(archive, "schema.json") as file:
            file.write(json.dumps(schema(), indent=1).encode())
        with _member(archive, "data.json") as file:
            for text in _json(user, person, step):
                file.write(text.encode())
        with _member(archive, "index.html") as file:
            for text in _html(user, person, step):
                file.write(text.encode())


def _member(archive: ZipFile, name: str) -> IO[bytes]:
    info = ZipInfo(name, clock.now().timetuple()[:6])
    info.compress_type = ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return archive.open(info, "w")


def _json(user: User, person: Person, step: Callable[[], object]) -> Iterator[str]:
    head = {
        "format": FORMAT,
        "version": VERSION,
        "site": settings.AUTHSITE.origin,
        "account": user.pk,
        "made_at": clock.now(),
    }
    yield f'{json.dumps(head, cls=DjangoJSONEncoder)[:-1]}, "tables": {{'
    for place, table in enumerate(_tables()):
        yield f"{', ' * bool(place)}\n{json.dumps(table.label)}: ["
        for number, row in enumerate(_rows(table, person)):
            yield f"{',' * bool(number)}\n{json.dumps(row, cls=DjangoJSONEncoder)}"
        yield "]"
        step()
    yield "}}\n"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of ``data.json``, with the purpose of each table and column."""
    tables = {table.label: _schema_of(table) for table in _tables()}
    text = {"type": "string"}
    head = {
        "format": {"const": FORMAT},
        "version": {"const": VERSION},
        "site": text | {"format": "uri"},
        "account": text | {"format": "uuid"},
        "made_at": text | {"format": "date-time"},
        "tables": _object(tables),
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_object(head)}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _schema_of(table: Table) -> dict[str, Any]:
    model = apps.get_model(table.label)
    columns = {
        name: _type_of(model._meta.get_field(name)) | {"description": table.columns[name].purpose}
        for name in table.exported
    }
    kept = f"{table.purpose} Kept {table.kept}."
    return {"type": "array", "description": kept, "items": _object(columns)}


def _type_of(field: Any) -> dict[str, Any]:
    if isinstance(field, models.JSONField):
        return {}
    kinds: dict[Any, tuple[str, str]] = {
        models.DateTimeField: ("string", "date-time"),
        models.UUIDField: ("string", "uuid"),
        models.BooleanField: ("boolean", ""),
        models.IntegerField: ("integer", ""),
    }
    found = (of for kind, of in kinds.items() if isinstance(field, kind))
    kind, form = next(found, ("string", ""))
    return {"type": [kind, "null"] if field.null else kind} | ({"format": form} if form else {})


def _html(user: User, person: Person, step: Callable[[], object]) -> Iterator[str]:
    context = {
        "owner": user,
        "config": settings.AUTHSITE,
        "tables": TABLES_HERE,
        "at": in_full(clock.now()),
    }
    head, tail = render_to_string("accounts/exports/archive.html", context).split(TABLES_HERE)
    yield head
    for table in _tables():
        title = TITLES.get(table.label, table.purpose)
        for rows in batched(_rows(table, person), BATCH):
            shown = {"title": title, "rows": [list(_in_words(table, row)) for row in rows]}
            yield render_to_string("accounts/exports/archive_rows.html", shown)
            title = ""
        step()
    yield tail


def _in_words(table: Table, row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return the labels and values of a row for people, without empty columns."""
    for name, value in row.items():
        if value or value is False:
            label = LABELS.get(f"{table.label}.{name}") or LABELS.get(name, name)
            yield str(label), _value_in_words(table, row, name)


def _value_in_words(table: Table, row: dict[str, Any], name: str) -> str:
    value = row[name]
    if (table.label, name) == ("accounts.Activity", "detail"):
        return Entry([Activity(kind=row["kind"], detail=value)]).detail or value
    if words := formatters().get(f"{table.label}.{name}") or formatters().get(name):
        return words(value)
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, datetime):
        return in_full(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    if isinstance(value, str | int | UUID | date):
        return str(value)
    return json.dumps(value, cls=DjangoJSONEncoder)


def _style() -> bytes:
    """Return the style sheets of the site's own pages, with the colours of the brand."""
    sheets = [Path(str(finders.find(name))) for name in ("app.css", "parts.css")]
    brand = brand_of(settings.AUTHSITE)
    coloured = brand.files.get(brand.style.rpartition("/")[2])
    texts = [sheet.read_bytes() for sheet in sheets]
    return b"\n".join([*texts, *([coloured.content] if coloured else [])])
