"""Counts the actions that limits have refused, by day, for the overview of staff.

A flood of refused requests must not become a flood of writes. Each process therefore collects its
refusals in memory, and writes them at most every five seconds, when it next refuses an action and
says so, or shows the counts. A refusal that the client must not notice writes nothing, because the
time would reveal it. If a process is killed, the refusals that it has not written are lost.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from threading import Lock

from django.db import DatabaseError, connection
from django.db.models import DateField, Sum
from django.db.models.functions import Trunc

from accounts.common import clock
from accounts.throttle.models import Refusals

log = logging.getLogger(__name__)

WRITE_EVERY = timedelta(seconds=5)
LIFE = timedelta(days=400)
# One statement, so that simultaneous processes lose no refusal.
ADD = """
INSERT INTO accounts_refusals AS r (day, "limit", count) VALUES {rows}
ON CONFLICT (day, "limit") DO UPDATE SET count = r.count + excluded.count
"""

_lock = Lock()
_unwritten: Counter[tuple[date, str]] = Counter()
_written_at = clock.now() - WRITE_EVERY


def note(names: Iterable[str]) -> None:
    """Note that each of the limits ``names`` has refused an action now."""
    day = clock.now().date()
    with _lock:
        _unwritten.update((day, name) for name in names)


def write_if_due() -> None:
    """Write the refusals if the last ones were written at least five seconds ago.

    Call this outside of transactions.
    """
    if _unwritten and abs(clock.now() - _written_at) >= WRITE_EVERY:
        write()


def write() -> None:
    """Write the refusals that this process has noted since it last wrote them."""
    global _written_at
    with _lock:
        noted, _written_at = dict(_unwritten), clock.now()
        _unwritten.clear()
    if not noted:
        return
    # Sorted, so that two processes cannot deadlock.
    rows = [value for key in sorted(noted) for value in (*key, noted[key])]
    try:
        with connection.cursor() as cursor:
            cursor.execute(ADD.format(rows=", ".join(["(%s, %s, %s)"] * len(noted))), rows)
    except DatabaseError:
        # Counting must not make a request fail.
        log.warning("Refusals could not be written", exc_info=True)
        with _lock:
            _unwritten.update(noted)


def counts(since: date, span: str) -> Iterable[tuple[date, str, int]]:
    """Return how many actions each limit has refused since ``since``.

    The counts are those of each ``span``, a day, week or month, by its first day.
    """
    write()
    start = Trunc("day", span, output_field=DateField())
    rows = Refusals.objects.filter(day__gte=since).values_list(start, "limit")
    return rows.annotate(Sum("count"))


def prune() -> int:
    """Delete counts that are older than 400 days; return how many were deleted."""
    return Refusals.objects.filter(day__lt=clock.now().date() - LIFE).delete()[0]
