"""Stores requests for exports, makes the files in the background, and serves each file once.

A process leases the export that it makes. If it is killed, its lease expires, and another process
makes the file from the beginning: only pieces of the last lease are used.

The file is a ZIP file: the data as JSON with its schema, and as a page to read. The inventory of
personal data says which rows and columns belong to a person. Rows are read and written in batches,
so that a long history takes no more memory than a short one.
"""

import json
import logging
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from itertools import batched, count
from pathlib import Path
from threading import Event
from typing import IO, Any, cast
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.db.models import Case, F, QuerySet, Value, When
from django.template.loader import render_to_string
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.history import Entry
from accounts.activity.models import ABOUT_OTHERS, Activity
from accounts.activity.services import Actor, are_shown, record
from accounts.calls import services as calls
from accounts.common import clock, crypto
from accounts.common.background import Background
from accounts.common.brand.files import brand_of
from accounts.common.database import read_in_batches
from accounts.common.errors import PublicError, RateLimited
from accounts.common.leases import LeasedQueue
from accounts.common.localization import in_full, writing_to
from accounts.common.personal_data import TABLES, Person, Table
from accounts.exports.models import Export, ExportPart
from accounts.exports.words import LABELS, TITLES, formatters
from accounts.users import services as users
from accounts.users.models import User

log = logging.getLogger(__name__)

PURPOSE = "export"
LIFE = timedelta(days=1)
# The maximum number of exports of an account in a day.
MOST = 3
# The maximum size of a piece, which is the content of one row and is held in memory.
PART = 256 * 1024
# After this time, no download is still running.
LONGEST_DOWNLOAD = timedelta(hours=1)
LOOK_EVERY_SECONDS = 10.0
RENEW_EVERY = timedelta(seconds=10)


class ExportGone(PublicError):
    """The export does not exist, belongs to another account, was fetched or is older than a day."""

    code = "not_found"
    status = 404
    message = _("This file was already downloaded, or it has expired. Ask for a new file.")


class _Queue(LeasedQueue[Export]):
    @property
    def _rows(self) -> QuerySet[Export]:
        return _recent().filter(made_at=None)


def _recent() -> QuerySet[Export]:
    return Export.objects.filter(created_at__gt=clock.now() - LIFE)


QUEUE = _Queue(
    Export,
    # :class:`_Writer` renews the lease.
    lease=timedelta(minutes=1),
    first_wait=timedelta(seconds=30),
    longest_wait=timedelta(hours=1),
    life=LIFE,
)


@transaction.atomic
def request(user: User, actor: Actor) -> Export:
    """Request an export of the data of ``user``. The caller has checked recent authentication.

    Raises:
        AccountChanged: the account was changed after ``user`` was read.
        RateLimited: the account has asked for ``MOST`` exports in the last day.
    """
    owner = users.lock_row(user)
    earlier = list(_recent().filter(user=owner).order_by("created_at"))
    if len(earlier) >= MOST:
        raise RateLimited((earlier[0].created_at + LIFE - clock.now()).total_seconds())
    export = Export.objects.create(user=owner)
    calls.created(export.pk, owner=owner.pk)
    record(owner, events.EXPORT_REQUESTED, actor)
    transaction.on_commit(_requested.set)
    return export


def find(user: User, export_id: str) -> Export:
    """Return the export of ``user`` with this id.

    Raises:
        ExportGone: there is none, or its file was already downloaded.
    """
    with suppress(ValueError):
        found = _recent().filter(pk=uuid.UUID(export_id), user=user, fetched_at=None)
        if export := found.select_related("user").first():
            return export
    raise ExportGone


def latest(user: User) -> Export | None:
    """Return the latest export of ``user`` that was not downloaded, or None."""
    return _recent().filter(user=user, fetched_at=None).order_by("-created_at").first()


@transaction.atomic
def fetch(export: Export, actor: Actor) -> Iterator[bytes]:
    """Mark the complete export as downloaded, and return its file in pieces.

    Raises:
        ExportGone: the file was downloaded meanwhile, or the export is not complete.
    """
    waiting = _recent().filter(pk=export.pk, fetched_at=None, made_at__isnull=False)
    if not waiting.update(fetched_at=clock.now()):
        raise ExportGone
    record(export.user, events.EXPORT_FETCHED, actor)
    return _pieces(export)


def _pieces(export: Export) -> Iterator[bytes]:
    """Yield the pieces of the file, and delete them when the download ends or is aborted."""
    parts = ExportPart.objects.filter(export=export)
    own = parts.filter(lease=F("export__lease")).values_list("sealed", flat=True)
    try:
        # One query for each piece, because a cursor would stay open as long as the client is slow.
        for number in count():
            sealed = own.filter(number=number).first()
            if sealed is None:
                return
            yield crypto.unseal_bytes(sealed, PURPOSE)
    finally:
        parts.delete()


class _LeaseLost(Exception):
    """Another process makes the export now, or the account was deleted."""


class _Writer:
    """A file object that stores the written bytes as the pieces of an export.

    ``done``: how many tables have been written.

    Raises:
        _LeaseLost: this process has lost the lease on the export.
    """

    def __init__(self, export: Export) -> None:
        self._export, self._held = export, bytearray()
        self.done, self.size, self._number = 0, 0, count()
        self._renewed_at = clock.now()

    def write(self, data: bytes) -> int:
        # Each row causes a write to the ZIP file, even if the compressor buffers the row.
        if clock.now() - self._renewed_at >= RENEW_EVERY:
            self.note()
        self._held += data
        self.size += len(data)
        while len(self._held) >= PART:
            self._store(bytes(self._held[:PART]))
            del self._held[:PART]
        return len(data)

    def flush(self) -> None:
        """Do nothing: full pieces are stored at once, and the last one by :meth:`finish`."""

    @transaction.atomic
    def finish(self) -> None:
        """Store the last piece, and make the export available."""
        self._store(bytes(self._held))
        self.note(made_at=clock.now(), size=self.size)

    def note(self, **changes: object) -> None:
        """Renew the lease, and store the progress."""
        held = Export.objects.filter(pk=self._export.pk, lease=self._export.lease, made_at=None)
        self._renewed_at = clock.now()
        due_at = self._renewed_at + QUEUE.lease
        if not held.update(due_at=due_at, steps_done=self.done, steps=steps(), **changes):
            raise _LeaseLost

    @transaction.atomic
    def _store(self, raw: bytes) -> None:
        self.note()
        ExportPart.objects.create(
            export=self._export,
            lease=cast(uuid.UUID, self._export.lease),
            number=next(self._number),
            sealed=crypto.seal_bytes(raw, PURPOSE),
        )

    def step(self) -> None:
        """Record that another table has been written."""
        self.done += 1
        self.note()


def make_due() -> bool:
    """Make the file of one due export; return whether there was one."""
    due = QUEUE.due().order_by("due_at").values_list("pk", flat=True)[:1]
    claimed = list(QUEUE.claim(list(due)).select_related("user"))
    for export in claimed:
        _make(export)
    return bool(claimed)


def _make(export: Export) -> None:
    _drop_pieces_of_others(export)
    writer = _Writer(export)
    try:
        write(export.user, cast(IO[bytes], writer), writer.step)
        writer.finish()
    except _LeaseLost:
        _drop_pieces_of_others(export)
    except Exception:  # an error in one export must not stop the others
        log.exception("The export %s has failed", export.pk)
        QUEUE.put_off([export])


def _drop_pieces_of_others(export: Export) -> None:
    """Delete the pieces that were written under earlier leases."""
    ExportPart.objects.filter(export=export).exclude(lease=F("export__lease")).delete()


def prune() -> int:
    """Delete exports that are older than a day, and the rest of aborted downloads."""
    ended = clock.now() - LONGEST_DOWNLOAD
    ExportPart.objects.filter(export__fetched_at__lte=ended).delete()
    old = Export.objects.filter(created_at__lte=clock.now() - LIFE)
    return old.delete()[1].get(Export._meta.label, 0)


def start() -> None:
    """Start the thread of this process that makes exports, unless it is running."""
    _thread.start()


def _work() -> float:
    return 0.0 if make_due() else LOOK_EVERY_SECONDS


def _sleep(seconds: float) -> None:
    _requested.wait(seconds)
    _requested.clear()


# Set by a request in this process. The thread regularly looks for requests in other processes.
_requested: Event = Event()
_thread = Background("exports", _work, sleep=_sleep, wake=_requested.set)


FORMAT, VERSION = "authsite-account", 1
BATCH = 500
# Columns that refer to rows of other tables, and the column there that names the row.
NAMED = {"group": "group__name", "permission": "permission__codename", "client": "client__name"}
# In the histories of staff, these columns of some events contain the name of another person, or the
# reason for an act on that person.
IS_ABOUT_OTHERS = When(kind__in=ABOUT_OTHERS, then=Value(""))
OWN = {
    ("accounts.Activity", name): Case(IS_ABOUT_OTHERS, default=name)
    for name in ("detail", "reason")
}
# Marks the place of the tables in the page. This character cannot occur in HTML.
TABLES_HERE = "\0"


def _rows(table: Table, person: Person) -> Iterator[dict[str, Any]]:
    """Return the rows of ``person`` in ``table``, with the exported columns."""
    found = apps.get_model(table.label)._default_manager.filter(table.of(person))
    if table.label == "accounts.Activity":
        found = found.filter(are_shown())
    paths = [OWN.get((table.label, name), NAMED.get(name, name)) for name in table.exported]
    for batch in read_in_batches(found.values_list("pk", *paths), BATCH):
        for _pk, *values in batch:
            yield dict(zip(table.exported, map(_as_json, values), strict=True))


def _as_json(value: Any) -> Any:
    """Return ``value`` as it is, or in Base64 if it is the content of a file."""
    return b64encode(value).decode() if isinstance(value, bytes | memoryview) else value


def steps() -> int:
    """Return how many times :func:`write` will call ``step``."""
    return 2 * len(_tables())


def _tables() -> list[Table]:
    return [table for table in TABLES.values() if table.exported]


def write(user: User, sink: IO[bytes], step: Callable[[], object]) -> None:
    """Write the ZIP file with the data of ``user`` to ``sink``, in the language of the user.

    ``sink``: a file object with the methods ``write`` and ``flush``.
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
    """Return the labels and values of a row in words, without empty columns."""
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
        return gettext("Yes") if value else gettext("No")
    if isinstance(value, datetime):
        return in_full(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    if isinstance(value, str | int | UUID | date):
        return str(value)
    return json.dumps(value, cls=DjangoJSONEncoder)


def _style() -> bytes:
    """Return the style sheets of the site's pages, with the colours of the brand."""
    sheets = [Path(str(finders.find(name))) for name in ("app.css", "parts.css")]
    brand = brand_of(settings.AUTHSITE)
    coloured = brand.files.get(brand.style.rpartition("/")[2])
    texts = [sheet.read_bytes() for sheet in sheets]
    return b"\n".join([*texts, *([coloured.content] if coloured else [])])
