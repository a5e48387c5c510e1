"""Counts events by day, for the overview of staff. The counts name no person.

The daily job counts each day once, when no more events of the day can be written. Nothing is
counted while events are recorded, because all sign-ins of a day would wait for the same row.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, Max, Min, QuerySet
from django.db.models.functions import TruncDate

from accounts.activity.models import Activity, DailyCount
from accounts.common import clock

# A transaction that recorded an event before midnight has ended by then.
DELAY = timedelta(hours=1)
LIFE = timedelta(days=400)
# How many days without a daily job are counted when the overview is opened.
MOST_LIVE = timedelta(days=7)


@dataclass(frozen=True)
class Kind:
    """What is counted.

    ``event``: the name of the event.
    ``method``: the ``amr`` value of the first proof, or an empty string.
    ``is_known``: whether the event happened to an account, and not to an unknown one.
    """

    event: str
    method: str
    is_known: bool


def counts(since: date) -> Mapping[tuple[date, Kind], int]:
    """Return how many events of each kind happened on each day from ``since`` to today, in UTC.

    Days that the daily job has not counted yet are counted now, but no more than the last seven.
    """
    rows = DailyCount.objects.filter(day__gte=since)
    found = Counter(
        {(row.day, Kind(row.event, row.method, row.is_known)): row.count for row in rows}
    )
    counted = max((day for day, _kind in found), default=since - timedelta(days=1))
    first = max(counted + timedelta(days=1), clock.now().date() - MOST_LIVE)
    return found + _count(Activity.objects.filter(at__gte=_start(first)))


def count_days() -> int:
    """Count the days that have ended and are not counted yet; return the number of stored rows."""
    until = (clock.now() - DELAY).date()
    last = DailyCount.objects.aggregate(last=Max("day"))["last"]
    day = last + timedelta(days=1) if last else _first_day(until)
    stored = 0
    while day < until:
        events = Activity.objects.filter(
            at__gte=_start(day), at__lt=_start(day + timedelta(days=1))
        )
        rows = [
            DailyCount(
                day=at, event=kind.event, method=kind.method, is_known=kind.is_known, count=n
            )
            for (at, kind), n in _count(events).items()
        ]
        # Another daily job may have counted this day meanwhile, with the same result.
        DailyCount.objects.bulk_create(rows, ignore_conflicts=True)
        stored += len(rows)
        day += timedelta(days=1)
    return stored


def prune() -> int:
    """Delete counts that are older than 400 days; return how many were deleted."""
    return DailyCount.objects.filter(day__lt=clock.now().date() - LIFE).delete()[0]


def _first_day(until: date) -> date:
    first = Activity.objects.aggregate(first=Min("at"))["first"]
    return max(first.date(), until - LIFE) if first else until


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _count(events: QuerySet[Activity]) -> Counter[tuple[date, Kind]]:
    found: Counter[tuple[date, Kind]] = Counter()
    groups = events.order_by().values_list(TruncDate("at", tzinfo=UTC), "kind", "proof")
    for day, event, proof, number, known in groups.annotate(Count("pk"), Count("user")):
        method = proof.partition(" ")[0]
        for is_known, count in ((True, known), (False, number - known)):
            if count:
                found[day, Kind(event, method, is_known)] += count
    return found
