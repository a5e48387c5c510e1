"""Queues of work in the database, which several processes do. Each row is done at least once.

A process leases the rows that it works on. If it is killed, the leases end, and another process
takes over. Rows that go to other servers are sent in threads of the server process: each receiver
has a thread of its own, so that one that hangs delays only its own rows. One more thread uses the
database for all of them.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from threading import Thread
from typing import Any

from django.db import DatabaseError, models
from django.db.models import Case, DateTimeField, Exists, F, OuterRef, Q, QuerySet, Value, When

from accounts.common import clock, secrets
from accounts.common.background import Background
from accounts.common.metrics import QueueMetrics


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


log = logging.getLogger(__name__)

# To how many receivers one process sends at once, and how many rows a receiver gets in a row.
MOST_RECEIVERS, BATCH = 32, 20
# The seconds after which no other row of a batch is sent.
BATCH_SECONDS = 20.0
# The seconds without rows to a receiver after it has failed; they double with each further failure.
# Otherwise many receivers that hang would take the turns of all others.
REST_SECONDS, LONGEST_REST_SECONDS = 5.0, 300.0


@dataclass
class Sender[M: Leased]:
    """Sends the rows of ``queue`` that are due, to several receivers at once.

    Call all its methods in the same thread.

    ``to``: the name of the foreign key from a row to its receiver.
    ``contents``: returns what is sent for each of some rows of one receiver. If it raises, they are
        repeated later.
    ``send``: sends one of these to a receiver, in a thread that must not use the database. Returns
        the name of the failure, or an empty string if the receiver has accepted it.
    ``outcomes``: how many rows were ``sent``, or ``failed`` and will be repeated.
    """

    queue: LeasedQueue[M]
    to: str
    contents: Callable[[list[M]], list[Any]]
    send: Callable[[Any, Any], str]
    is_stopping: Callable[[], bool] = bool
    outcomes: Counter[str] = field(default_factory=Counter)
    _under_way: dict["Future[list[str]]", list[M]] = field(default_factory=dict)
    # For each receiver that has failed: the time of the monotonic clock until which it gets no
    # rows, and the seconds from the failure until then.
    _resting: dict[Any, tuple[float, float]] = field(default_factory=dict)

    def send_due(self) -> bool:
        """Start to send the rows that are due, and record the results of earlier ones.

        Return whether any row is still being sent.
        """
        self._settle_done()
        self._begin()
        return bool(self._under_way)

    def finish(self) -> None:
        """Start no more batches, wait for those that are being sent, and record their results."""
        wait(self._under_way)
        self._settle_done()

    def _begin(self) -> None:
        now = time.monotonic()
        resting = {key for key, (until, _seconds) in self._resting.items() if until > now}
        busy = {self._key(rows[0]) for rows in self._under_way.values()}
        claimed = self._claim(busy | resting, MOST_RECEIVERS - len(busy))
        for receiver, group in groupby(claimed, lambda row: getattr(row, self.to)):
            rows = list(group)
            try:
                contents = self.contents(rows)
            except DatabaseError:
                raise
            except Exception:  # the site cannot sign: the other receivers and queues must go on
                log.exception("What to send to %s could not be made", receiver.pk)
                self._put_off(rows)
            else:
                # Python waits for the threads of an executor before it marks its main thread as
                # ended, by which these threads learn that they must stop.
                future: Future[list[str]] = Future()
                Thread(target=self._send_all, args=(receiver, contents, future)).start()
                self._under_way[future] = rows

    def _claim(self, busy: set[Any], most: int) -> Sequence[M]:
        """Lease and return due rows to at most ``most`` receivers, none of which is in ``busy``."""
        due = self.queue.due()
        receivers: Any = self.queue.model._meta.get_field(self.to).related_model
        waiting = receivers._default_manager.filter(Exists(due.filter(**{self.to: OuterRef("pk")})))
        keys = waiting.exclude(pk__in=busy).values_list("pk", flat=True)[:most]
        firsts = [due.filter(**{self.to: key}).order_by("due_at")[:BATCH] for key in keys]
        pks = [pk for rows in firsts for pk in rows.values_list("pk", flat=True)]
        claimed = self.queue.claim(pks) if pks else self.queue.model._default_manager.none()
        return list(claimed.select_related(self.to).order_by(self.to, "created_at"))

    def _send_all(self, receiver: Any, contents: list[Any], future: "Future[list[str]]") -> None:
        """Send ``contents`` until one fails; put the result of each attempt into ``future``."""
        failures: list[str] = []
        end = time.monotonic() + BATCH_SECONDS
        while len(failures) < len(contents) and not any(failures):
            if self.is_stopping() or time.monotonic() > end:
                break
            try:
                failures.append(self.send(receiver, contents[len(failures)]))
            except Exception as error:  # a failure, after which the receiver rests
                log.exception("Sending to %s has failed", receiver.pk)
                failures.append(type(error).__name__)
        what = self.queue.model._meta.verbose_name
        for failure in filter(None, failures):
            log.warning("A %s to %s failed and will be repeated: %s", what, receiver.pk, failure)
        future.set_result(failures)

    def _settle_done(self) -> None:
        sent: list[M] = []
        failed: list[M] = []
        rest: list[M] = []
        for future in [future for future in self._under_way if future.done()]:
            rows = self._under_way.pop(future)
            failures = future.result()
            accepted = [failure for failure in failures if not failure]
            sent += rows[: len(accepted)]
            failed += rows[len(accepted) : len(failures)]
            rest += rows[len(failures) :]
            self._note(self._key(rows[0]), has_failed=len(accepted) < len(failures))
        self.outcomes.update(sent=len(sent), failed=len(failed))
        # Each statement is a transaction of its own: SQLite lets one process write at a time, and
        # the requests must not wait for what Python does between two statements.
        self.queue.remove(sent)
        self.queue.put_off(failed)
        self.queue.release(rest)

    def _put_off(self, rows: list[M]) -> None:
        self.queue.put_off(rows)
        self.outcomes["failed"] += len(rows)
        self._note(self._key(rows[0]), has_failed=True)

    def _note(self, key: Any, *, has_failed: bool) -> None:
        _until, seconds = self._resting.pop(key, (0.0, REST_SECONDS / 2))
        if has_failed:
            seconds = min(2 * seconds, LONGEST_REST_SECONDS)
            self._resting[key] = time.monotonic() + seconds, seconds

    def _key(self, row: M) -> Any:
        return getattr(row, f"{self.to}_id")


LOOK_EVERY_SECONDS = 1.0
# How often the thread looks whether it has anything to do, and how many rows wait.
LOOK_IDLE_SECONDS = 5.0
# How often the results of what is being sent are recorded.
SETTLE_SECONDS = 0.1


@dataclass(frozen=True)
class Work:
    """A queue whose rows are sent.

    ``sender``: returns the sender. Its argument returns whether the sender must stop.
    ``is_needed``: returns whether rows wait, or could wait soon.
    ``give_up``: deletes the rows that are too old, and returns their number.
    """

    name: str
    sender: Callable[[Callable[[], bool]], Sender[Any]]
    is_needed: Callable[[], bool]
    give_up: Callable[[], int]
    queue: LeasedQueue[Any]
    metrics: QueueMetrics


# All queues, by name.
WORK: dict[str, Work] = {}


def register(work: Work) -> None:
    """Let the thread send the rows of ``work``."""
    WORK[work.name] = work


class Deliveries:
    """Sends the rows of all queues, in a thread of the server process.

    If the process is killed, another one sends what it has leased after the leases have expired.
    """

    def __init__(self) -> None:
        self._thread = Background("deliveries", self._work, end=self._finish)
        self.senders = {
            name: work.sender(self._thread.stopping.is_set) for name, work in WORK.items()
        }
        self._look_at = 0.0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _work(self) -> float:
        now = time.monotonic()
        is_time = now >= self._look_at
        if is_time:
            self.measure()
            if not any(work.is_needed() for work in WORK.values()):
                return LOOK_IDLE_SECONDS
            if not self._look_at:
                # The import takes up to 0.3 s, for which the first row must not wait.
                from accounts.common import http_client  # noqa: F401, PLC0415 only to load it

                log.info("This server sends %s", " and ".join(WORK))
            self._look_at = now + LOOK_IDLE_SECONDS
        are_busy = [sender.send_due() for sender in self.senders.values()]
        # Last, because an error here must not stop the sending.
        if is_time:
            for name, work in WORK.items():
                self.senders[name].outcomes["given_up"] += work.give_up()
        return SETTLE_SECONDS if any(are_busy) else LOOK_EVERY_SECONDS

    def _finish(self) -> None:
        for sender in self.senders.values():
            sender.finish()

    def measure(self) -> None:
        """Set the metrics of each queue."""
        for name, sender in self.senders.items():
            metrics = WORK[name].metrics
            count, age = WORK[name].queue.waiting()
            metrics.waiting.set(count)
            metrics.oldest.set(age)
            for outcome, number in sender.outcomes.items():
                metrics.outcomes.labels(outcome).inc(number)
            sender.outcomes.clear()
