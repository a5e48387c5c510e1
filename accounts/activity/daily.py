"""Counts the events of each day, for the overview in the admin. The counts name no person.

The daily job counts a day once, when no more events of that day can be written. Events are not
counted while they are recorded, because all sign-ins of a day would then wait for the same row.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, DateField, Max, Min, QuerySet, Subquery, Sum
from django.db.models.functions import Trunc, TruncDate

from accounts.activity.models import Activity, DailyCount
from accounts.common import clock

# Before this delay ends, a transaction that began before midnight may still record an event.
DELAY = timedelta(hours=1)
LIFE = timedelta(days=400)
# How many days without a daily job are counted when the overview is opened.
MOST_LIVE = timedelta(days=7)
# The numbers of accounts are stored under these names, which no event has.
ACCOUNTS = PEOPLE, STAFF = ("people", "staff")
_KIND = ("event", "method", "is_known")


@dataclass(frozen=True)
class Kind:
    """A group of events that are counted together.

    ``event``: the name of the event.
    ``method``: the ``amr`` value of the first proof, or an empty string.
    ``is_known``: whether the event happened to an account, and not to an unknown one.
    """

    event: str
    method: str
    is_known: bool


def counts(since: date, span: str = "day") -> Mapping[tuple[date, Kind], int]:
    """Return how many events of each kind happened in each period from ``since`` to today (UTC).

    Each key of the result contains the first day of the period. Days that the daily job has not
    counted yet, at most the last seven, are counted now and are not merged into periods.

    ``span``: the length of a period: ``day``, ``week`` or ``month``.
    """
    start = Trunc("day", span, output_field=DateField())
    events = DailyCount.objects.filter(day__gte=since).exclude(event__in=ACCOUNTS)
    groups = events.values_list(start, *_KIND)
    rows = list(groups.annotate(Sum("count"), Max("day")))
    found = Counter({(first, Kind(*kind)): number for first, *kind, number, _last in rows})
    counted = max((row[-1] for row in rows), default=since - timedelta(days=1))
    first = max(counted + timedelta(days=1), clock.now().date() - MOST_LIVE)
    return found + _count(Activity.objects.filter(at__gte=_start(first)))


def latest() -> tuple[date, dict[Kind, int]] | None:
    """Return the day and the numbers that :func:`store` stored last, or None if there are none."""
    rows = DailyCount.objects.filter(event__in=ACCOUNTS).order_by("-day")
    last = list(rows.filter(day=Subquery(rows.values("day")[:1])))
    if not last:
        return None
    return last[0].day, {Kind(row.event, row.method, row.is_known): row.count for row in last}


def store(numbers: Mapping[Kind, int]) -> None:
    """Store how many accounts of each kind in ``ACCOUNTS`` there are, as the numbers of yesterday.

    Call this after :func:`count_days`, which starts after the last day that has numbers.
    """
    DailyCount.objects.bulk_create(
        _rows(_ended() - timedelta(days=1), numbers),
        update_conflicts=True,
        unique_fields=["day", *_KIND],
        update_fields=["count"],
    )


def count_days() -> int:
    """Count the events of all past days that are not counted; return how many rows were stored."""
    until = _ended()
    last = DailyCount.objects.aggregate(last=Max("day"))["last"]
    day = last + timedelta(days=1) if last else _first_day(until)
    stored = 0
    while day < until:
        events = Activity.objects.filter(
            at__gte=_start(day), at__lt=_start(day + timedelta(days=1))
        )
        rows = _rows(day, {kind: number for (_at, kind), number in _count(events).items()})
        # Another daily job may have counted this day meanwhile, with the same result.
        DailyCount.objects.bulk_create(rows, ignore_conflicts=True)
        stored += len(rows)
        day += timedelta(days=1)
    return stored


def prune() -> int:
    """Delete counts that are older than 400 days; return how many were deleted."""
    return DailyCount.objects.filter(day__lt=clock.now().date() - LIFE).delete()[0]


def _ended() -> date:
    """Return the first day whose events may still be written."""
    return (clock.now() - DELAY).date()


def _rows(day: date, numbers: Mapping[Kind, int]) -> list[DailyCount]:
    return [DailyCount(day=day, count=n, **asdict(kind)) for kind, n in numbers.items()]


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
