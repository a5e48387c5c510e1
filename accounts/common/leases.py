"""Queues of work in the database that several processes share. Each row is done at least once.

A process leases the rows that it works on. If it is killed, its leases expire, and another process
takes the rows. Rows for other servers are sent in threads of the server process: each receiver has
its own thread, so that a receiver that hangs delays only its own rows. One more thread uses the
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

    ``due_at``: when the row is next due. A lease moves this time ahead.
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

    ``lease``: the duration of a lease, which must be longer than the work on a row takes.
    ``first_wait``: the pause after the first failure. It doubles with each failure.
    ``longest_wait``: the longest pause.
    ``life``: the age at which a row is given up.
    """

    model: type[M]
    lease: timedelta
    first_wait: timedelta
    longest_wait: timedelta
    life: timedelta

    def due(self) -> QuerySet[M]:
        """Return the rows that are due, including those whose lease has expired."""
        now = clock.now()
        return self._rows.filter(Q(due_at__lte=now) | self._is_ahead(now))

    def first_due(self, most: int, rest: timedelta = timedelta(), **which: object) -> list[Any]:
        """Return the keys of the ``most`` rows that have been due for the longest time.

        This reads only ``most`` entries of an index of the fields in ``which`` and ``due_at``.

        ``rest``: leave out rows that have been due for less than this time.
        ``which``: conditions that the rows meet.
        """
        rows = self._rows.filter(**which, due_at__lte=clock.now() - rest)
        return list(rows.order_by("due_at").values_list("pk", flat=True)[:most])

    def ahead(self, most: int, **which: object) -> list[Any]:
        """Return the keys of ``most`` rows that wait only because the clock was set back."""
        rows = self._rows.filter(self._is_ahead(clock.now()), **which)
        return list(rows.values_list("pk", flat=True)[:most])

    def claim(self, pks: Collection[Any]) -> QuerySet[M]:
        """Lease the rows with these primary keys, and return the rows that were leased.

        Rows that another process has leased are left out.
        """
        lease, due_at = secrets.public_id(), clock.now() + self.lease
        changes = {"lease": lease, "due_at": due_at, "attempts": F("attempts") + 1}
        self.due().filter(pk__in=pks).update(**changes)
        return self._rows.filter(pk__in=pks, lease=lease)

    def remove(self, done: Collection[M]) -> None:
        """Delete rows whose work is done."""
        if done:
            self._rows.filter(pk__in=[row.pk for row in done]).delete()

    def put_off(self, failed: Collection[M]) -> None:
        """Make rows that this process has leased, and that failed, due again after a pause."""
        now = clock.now()
        due = [When(pk=m.pk, then=Value(now + self.pause(m), DateTimeField())) for m in failed]
        if due:
            self._held(failed).update(due_at=Case(*due))

    def release(self, rows: Collection[M]) -> None:
        """Make the leased rows due now, as if they had not been leased."""
        if rows:
            self._held(rows).update(due_at=clock.now(), attempts=F("attempts") - 1)

    def pause(self, row: M) -> timedelta:
        """Return the pause between a failed attempt at ``row`` and the next attempt."""
        doublings = min(row.attempts - 1, 10)
        return min(self.first_wait * (1 << doublings), self.longest_wait)

    def waiting(self, **which: object) -> tuple[int, float]:
        """Return the number of rows, and the age of the oldest row in seconds (0 if there is none).

        ``which``: conditions that the counted rows meet.
        """
        return self._rows.filter(**which).count(), self.delay(**which)

    def delay(self, **which: object) -> float:
        """Return the age of the oldest row in seconds; 0 if there is none.

        This reads one entry of an index of the fields in ``which`` and ``created_at``.
        """
        rows = self._rows.filter(**which).order_by("created_at")
        oldest = rows.values_list("created_at", flat=True).first()
        return max(0.0, (clock.now() - oldest).total_seconds()) if oldest else 0.0

    def _is_ahead(self, now: datetime) -> Q:
        """Return the condition that a row is due later than after the longest possible pause."""
        return Q(due_at__gt=now + self.longest_wait)

    def _held(self, rows: Iterable[M]) -> QuerySet[M]:
        """Return the ``rows`` whose lease still belongs to this process."""
        leases = {row.lease for row in rows}
        return self._rows.filter(pk__in=[row.pk for row in rows], lease__in=leases)

    @property
    def _rows(self) -> QuerySet[M]:
        return self.model._default_manager.all()


log = logging.getLogger(__name__)

# The maximum number of receivers at a time, and of rows in one batch for a receiver.
MOST_RECEIVERS, BATCH = 32, 20
# After this many seconds, no further row of a batch is sent.
BATCH_SECONDS = 20.0
# After a failure, a receiver gets no rows for this many seconds, which double with each failure.
# Otherwise many receivers that hang would use the turns of all others.
REST_SECONDS, LONGEST_REST_SECONDS = 5.0, 300.0


@dataclass
class Sender[M: Leased]:
    """Sends the due rows of ``queue``, to several receivers at once.

    Call all its methods in the same thread.

    ``to``: the name of the foreign key from a row to its receiver.
    ``contents``: returns what is sent for each of some rows of one receiver. If it raises an
        exception, the rows are repeated later.
    ``send``: sends one of these contents to a receiver, in a thread that must not use the database.
        Returns the name of the failure, or an empty string if the receiver has accepted it.
    ``outcomes``: counts the rows that were ``sent``, or ``failed`` and will be repeated.
    """

    queue: LeasedQueue[M]
    to: str
    contents: Callable[[list[M]], list[Any]]
    send: Callable[[Any, Any], str]
    is_stopping: Callable[[], bool] = bool
    outcomes: Counter[str] = field(default_factory=Counter)
    _under_way: dict["Future[list[str]]", list[M]] = field(default_factory=dict)
    # By receiver that has failed: the time of the monotonic clock until which it gets no rows, and
    # the length of this pause in seconds.
    _resting: dict[Any, tuple[float, float]] = field(default_factory=dict)

    def send_due(self) -> bool:
        """Start to send the due rows, and record the results of earlier ones.

        Return whether any row is still being sent.
        """
        self._settle_done()
        self._begin()
        return bool(self._under_way)

    def finish(self) -> None:
        """Start no more batches; wait for the running ones, and record their results."""
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
                # ended, which is the signal by which these threads stop.
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
        # Each statement is its own transaction, because SQLite lets one process write at a time,
        # and requests must not wait for the Python code between two statements.
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
# How often an idle thread looks for rows, and how often the waiting rows are counted.
LOOK_IDLE_SECONDS = 5.0
# How often results are recorded while rows are being sent.
SETTLE_SECONDS = 0.1


@dataclass(frozen=True)
class Work:
    """A queue that the thread sends.

    ``sender``: returns the sender. Its argument is a function that returns whether to stop.
    ``is_needed``: returns whether rows wait, or could soon.
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
    """Make the thread send the rows of ``work``."""
    WORK[work.name] = work


class Deliveries:
    """Sends the rows of all queues, in a thread of the server process.

    If the process is killed, another process sends its leased rows after the leases have expired.
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
                # Importing this takes up to 0.3 s. Import it now, so that the first row need not
                # wait.
                from accounts.common import http_client  # noqa: F401, PLC0415 only to load it

                log.info("This server sends %s", " and ".join(WORK))
            self._look_at = now + LOOK_IDLE_SECONDS
        are_busy = [sender.send_due() for sender in self.senders.values()]
        # Give up last, because an error in it must not stop the sending.
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
