"""Queues of work in the database, which several processes do. Each row is done at least once.

A process leases the rows that it works on. If it is killed, the leases end, and another process
takes over.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Case, DateTimeField, F, Q, QuerySet, Value, When

from accounts.common import clock, secrets


class Leased(models.Model):
    """A row of a queue.

    ``due_at``: when the row is worked on next. A lease moves this time ahead.
    ``attempts``: how often the row was leased.
    ``lease``: the id of the last lease, or None.
    """

    created_at = models.DateTimeField(default=clock.now)
    due_at = models.DateTimeField(default=clock.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease = models.UUIDField(null=True)

    class Meta:
        abstract = True


@dataclass(frozen=True)
class LeasedQueue[M: Leased]:
    """The rows of ``model`` as a queue.

    ``lease``: longer than the work on a row takes.
    ``first_wait``: the pause after the first failure. It doubles with each failure.
    ``longest_wait``: the longest pause.
    ``life``: the age at which the work is given up.
    """

    model: type[M]
    lease: timedelta
    first_wait: timedelta
    longest_wait: timedelta
    life: timedelta

    def due(self) -> QuerySet[M]:
        """Return the rows that are due, also those whose lease has ended."""
        now = clock.now()
        return self._rows.filter(Q(due_at__lte=now) | self._is_ahead(now))

    def first_due(self, most: int, rest: timedelta = timedelta(), **which: object) -> list[Any]:
        """Return the keys of ``most`` rows that have been due longest, for ``rest`` at least.

        This reads only ``most`` entries of an index of the fields in ``which`` and ``due_at``.

        ``which``: conditions that the rows meet.
        """
        rows = self._rows.filter(**which, due_at__lte=clock.now() - rest)
        return list(rows.order_by("due_at").values_list("pk", flat=True)[:most])

    def ahead(self, most: int, **which: object) -> list[Any]:
        """Return the keys of ``most`` rows that seem to wait because the clock was set back."""
        rows = self._rows.filter(self._is_ahead(clock.now()), **which)
        return list(rows.values_list("pk", flat=True)[:most])

    def claim(self, pks: Collection[Any]) -> QuerySet[M]:
        """Lease the rows with these primary keys, except those that another process has leased.

        Return the rows that were leased.
        """
        lease, due_at = secrets.public_id(), clock.now() + self.lease
        changes = {"lease": lease, "due_at": due_at, "attempts": F("attempts") + 1}
        self.due().filter(pk__in=pks).update(**changes)
        return self._rows.filter(pk__in=pks, lease=lease)

    def remove(self, done: Collection[M]) -> None:
        """Delete the rows ``done``, whose work is done."""
        if done:
            self._rows.filter(pk__in=[row.pk for row in done]).delete()

    def put_off(self, failed: Collection[M]) -> None:
        """Make the rows ``failed``, which this process has leased, due again after their pauses."""
        now = clock.now()
        due = [When(pk=m.pk, then=Value(now + self.pause(m), DateTimeField())) for m in failed]
        if due:
            self._held(failed).update(due_at=Case(*due))

    def release(self, rows: Collection[M]) -> None:
        """Make the leased rows due at once, as if they had not been leased."""
        if rows:
            self._held(rows).update(due_at=clock.now(), attempts=F("attempts") - 1)

    def pause(self, row: M) -> timedelta:
        """Return the time from a failed attempt at ``row`` to the next attempt."""
        doublings = min(row.attempts - 1, 10)
        return min(self.first_wait * (1 << doublings), self.longest_wait)

    def waiting(self, **which: object) -> tuple[int, float]:
        """Return the number of rows, and the age of the oldest in seconds, or 0 without a row.

        ``which``: conditions that the counted rows meet.
        """
        return self._rows.filter(**which).count(), self.delay(**which)

    def delay(self, **which: object) -> float:
        """Return the age of the oldest row in seconds, or 0 without a row.

        This reads one entry of an index of the fields in ``which`` and ``created_at``.
        """
        rows = self._rows.filter(**which).order_by("created_at")
        oldest = rows.values_list("created_at", flat=True).first()
        return max(0.0, (clock.now() - oldest).total_seconds()) if oldest else 0.0

    def _is_ahead(self, now: datetime) -> Q:
        """Return the condition that a row is due later than any pause would end."""
        return Q(due_at__gt=now + self.longest_wait)

    def _held(self, rows: Iterable[M]) -> QuerySet[M]:
        """Return those of ``rows`` that no other process has leased since."""
        leases = {row.lease for row in rows}
        return self._rows.filter(pk__in=[row.pk for row in rows], lease__in=leases)

    @property
    def _rows(self) -> QuerySet[M]:
        return self.model._default_manager.all()
