"""Delivers the rows of queues to other servers, in a process of its own.

Each receiver has a thread of its own, so that one that hangs delays only its own rows.

A server process starts the process when something must be sent for the first time. TLS and
signatures occupy the Python interpreter; in the server process, they would delay requests. The
process ends when its standard input ends. This happens when the server process ends, even if that
is killed. The process writes the numbers for the metrics of the server process to its standard
output, as lines of JSON.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections
from django.db.models import Exists, OuterRef

from accounts.common import logs
from accounts.common.background import AFTER_TROUBLE_SECONDS, Background
from accounts.common.leases import Leased, LeasedQueue
from accounts.common.metrics import QueueMetrics

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
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(MOST_RECEIVERS, "deliveries")
    )
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
        self._threads.shutdown(cancel_futures=True)
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
                future = self._threads.submit(self._send_all, receiver, contents)
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

    def _send_all(self, receiver: Any, contents: list[Any]) -> list[str]:
        """Send ``contents`` until one fails; return the result of each attempt, as ``send``."""
        failures: list[str] = []
        end = time.monotonic() + BATCH_SECONDS
        while len(failures) < len(contents) and not any(failures):
            if self.is_stopping() or time.monotonic() > end:
                break
            failures.append(self.send(receiver, contents[len(failures)]))
        what = self.queue.model._meta.verbose_name
        for failure in filter(None, failures):
            log.warning("A %s to %s failed and will be repeated: %s", what, receiver.pk, failure)
        return failures

    def _settle_done(self) -> None:
        sent: list[M] = []
        failed: list[M] = []
        rest: list[M] = []
        for future in [future for future in self._under_way if future.done()]:
            rows = self._under_way.pop(future)
            failures = [] if future.cancelled() else future.result()
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
# How often the server process looks whether it must start the process.
LOOK_IDLE_SECONDS = 5.0
# How often the results of what is being sent are recorded.
SETTLE_SECONDS = 0.1
REPORT_SECONDS = 5.0


@dataclass(frozen=True)
class Work:
    """A queue whose rows the process sends.

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
    """Let the process send the rows of ``work``."""
    WORK[work.name] = work


def is_needed() -> bool:
    """Return whether the process has anything to do."""
    return any(work.is_needed() for work in WORK.values())


class Starter:
    """Starts the process, in a thread of the server process.

    ``module``: the module that the process runs. It must run :class:`Program`.
    """

    def __init__(self, module: str) -> None:
        self._command = [sys.executable, "-m", module]
        self._process: subprocess.Popen[str] | None = None
        self._thread = Background("deliveries", self._work, wake=self._end)

    def start(self) -> None:
        """Start the thread, unless it is running.

        If the process is killed, another one sends what it has leased after the leases have
        expired.
        """
        self._thread.start()

    def _work(self) -> float:
        if not is_needed():
            return LOOK_IDLE_SECONDS
        connections.close_all()
        pipe = subprocess.PIPE
        with subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True) as process:
            self._process = process
            if self._thread.stopping.is_set():
                self._end()
            for line in process.stdout or ():
                measure(*json.loads(line))
        if process.returncode:
            log.error("The process that sends to other servers has ended: %d", process.returncode)
            return AFTER_TROUBLE_SECONDS
        return 0.0

    def _end(self) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()


def measure(name: str, count: int, age: float, outcomes: Mapping[str, int]) -> None:
    """Set the metrics of the queue ``name``.

    ``count``: how many rows wait. ``age``: the age of the oldest in seconds.
    ``outcomes``: how many rows were sent, and how many failed, since the last call.
    """
    metrics = WORK[name].metrics
    metrics.waiting.set(count)
    metrics.oldest.set(age)
    for outcome, number in outcomes.items():
        metrics.outcomes.labels(outcome).inc(number)


class Program:
    """The program of the process. It ends when nothing needs it, or standard input ends."""

    def __init__(self) -> None:
        self._loop = Background("deliveries", self._work, end=self._finish)
        self.senders = {
            name: work.sender(self._loop.stopping.is_set) for name, work in WORK.items()
        }
        self._report_at = time.monotonic()

    def run(self) -> None:
        """Run until the program ends."""
        # The import takes up to 0.3 s of the processor, for which the first row must not wait.
        from accounts.common import http_client  # noqa: F401, PLC0415 only to load it

        logs.configure(settings.LOGGING)
        # The server process gets these signals, too. This process ends after the server process.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=self._end_with_input, daemon=True).start()
        log.info("This process sends %s", " and ".join(WORK))
        self._loop.run()

    def _end_with_input(self) -> None:
        # ``sys.stdin`` would hold a lock that the end of the interpreter waits for.
        os.read(0, 1)
        self._loop.stopping.set()

    def _work(self) -> float:
        are_busy = [sender.send_due() for sender in self.senders.values()]
        now = time.monotonic()
        if now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            for name, work in WORK.items():
                self.senders[name].outcomes["given_up"] += work.give_up()
            self.report()
            if not is_needed():
                self._loop.stopping.set()
        return SETTLE_SECONDS if any(are_busy) else LOOK_EVERY_SECONDS

    def _finish(self) -> None:
        for sender in self.senders.values():
            sender.finish()
        self.report()

    def report(self) -> None:
        """Write the numbers of each queue to standard output."""
        for name, sender in self.senders.items():
            count, age = WORK[name].queue.waiting()
            line = json.dumps([name, count, age, sender.outcomes])
            sender.outcomes.clear()
            with suppress(OSError):  # the server process was killed
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
