"""Records requests for exports, makes the files in the background, and serves each file once.

A process leases the export that it makes. If it is killed, its lease ends, and another process
makes the file from the beginning: only pieces of the last lease count.
"""

import logging
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import count
from threading import Event
from typing import IO, cast

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.calls import services as calls
from accounts.common import clock, crypto
from accounts.common.background import Background
from accounts.common.errors import PublicError, RateLimited
from accounts.common.leases import LeasedQueue
from accounts.exports import archive
from accounts.exports.models import Export, ExportPart
from accounts.users import services as users
from accounts.users.models import User

log = logging.getLogger(__name__)

PURPOSE = "export"
LIFE = timedelta(days=1)
# The most exports of an account in a day.
MOST = 3
# The most bytes of a file that one row contains, and that a process holds in memory.
PART = 256 * 1024
# After this time, nobody is still downloading.
LONGEST_DOWNLOAD = timedelta(hours=1)
LOOK_EVERY_SECONDS = 10.0
RENEW_EVERY = timedelta(seconds=10)


class ExportGone(PublicError):
    """The export does not exist, belongs to another account, was fetched or is older than a day."""

    code = "not_found"
    status = 404
    message = _("This file was already downloaded, or it has expired. Ask for a new one.")


class _Queue(LeasedQueue[Export]):
    @property
    def _rows(self) -> QuerySet[Export]:
        return _recent().filter(made_at=None)


def _recent() -> QuerySet[Export]:
    return Export.objects.filter(created_at__gt=clock.now() - LIFE)


QUEUE = _Queue(
    Export,
    # :class:`_Writer` renews it.
    lease=timedelta(minutes=1),
    first_wait=timedelta(seconds=30),
    longest_wait=timedelta(hours=1),
    life=LIFE,
)


@transaction.atomic
def request(user: User, actor: Actor) -> Export:
    """Ask for the data of ``user``. The caller has checked that authentication is recent.

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
        ExportGone: there is none, or its file was fetched.
    """
    with suppress(ValueError):
        found = _recent().filter(pk=uuid.UUID(export_id), user=user, fetched_at=None)
        if export := found.select_related("user").first():
            return export
    raise ExportGone


def latest(user: User) -> Export | None:
    """Return the last export of ``user`` that was not fetched, or None."""
    return _recent().filter(user=user, fetched_at=None).order_by("-created_at").first()


@transaction.atomic
def fetch(export: Export, actor: Actor) -> Iterator[bytes]:
    """Use up the complete export, and return its file in pieces.

    Raises:
        ExportGone: the file was fetched meanwhile, or the export is not complete.
    """
    waiting = _recent().filter(pk=export.pk, fetched_at=None, made_at__isnull=False)
    if not waiting.update(fetched_at=clock.now()):
        raise ExportGone
    record(export.user, events.EXPORT_FETCHED, actor)
    return _pieces(export)


def _pieces(export: Export) -> Iterator[bytes]:
    """Return the pieces of the file, and delete them when the client has read them or is gone."""
    parts = ExportPart.objects.filter(export=export)
    own = parts.filter(lease=F("export__lease")).values_list("sealed", flat=True)
    try:
        # A query for each piece: the client may be slow, and a cursor would stay open meanwhile.
        for number in count():
            sealed = own.filter(number=number).first()
            if sealed is None:
                return
            yield crypto.unseal_bytes(sealed, PURPOSE)
    finally:
        parts.delete()


class _LeaseLost(Exception):
    """Another process makes the export, or it was deleted with the account."""


class _Writer:
    """Stores what is written to it as the pieces of the file of an export.

    ``done``: how many tables have been written.

    Raises:
        _LeaseLost: this process makes the export no longer.
    """

    def __init__(self, export: Export) -> None:
        self._export, self._held = export, bytearray()
        self.done, self.size, self._number = 0, 0, count()
        self._renewed_at = clock.now()

    def write(self, data: bytes) -> int:
        # The ZIP file is written with each row, even if the compressor holds the row back.
        if clock.now() - self._renewed_at >= RENEW_EVERY:
            self.note()
        self._held += data
        self.size += len(data)
        while len(self._held) >= PART:
            self._store(bytes(self._held[:PART]))
            del self._held[:PART]
        return len(data)

    def flush(self) -> None:
        """Do nothing: a piece is stored when it is full, and the last one by :meth:`finish`."""

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
        if not held.update(due_at=due_at, steps_done=self.done, steps=archive.steps(), **changes):
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
        """Note that another table has been written."""
        self.done += 1
        self.note()


def make_due() -> bool:
    """Make the file of one export that is due; return whether there was one."""
    due = QUEUE.due().order_by("due_at").values_list("pk", flat=True)[:1]
    claimed = list(QUEUE.claim(list(due)).select_related("user"))
    for export in claimed:
        _make(export)
    return bool(claimed)


def _make(export: Export) -> None:
    _drop_pieces_of_others(export)
    writer = _Writer(export)
    try:
        archive.write(export.user, cast(IO[bytes], writer), writer.step)
        writer.finish()
    except _LeaseLost:
        _drop_pieces_of_others(export)
    except Exception:  # one export must not stop the others
        log.exception("The export %s has failed", export.pk)
        QUEUE.put_off([export])


def _drop_pieces_of_others(export: Export) -> None:
    """Delete what was written under other leases than the present one."""
    ExportPart.objects.filter(export=export).exclude(lease=F("export__lease")).delete()


def prune() -> int:
    """Delete exports that are older than a day, and what a broken download has left."""
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


# Set by a request in this process. Those of other processes are found by looking.
_requested: Event = Event()
_thread = Background("exports", _work, sleep=_sleep, wake=_requested.set)
