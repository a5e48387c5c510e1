"""Deletes or changes many rows in batches, so that no statement takes long."""

from collections.abc import Callable
from typing import Any

from django.db.models import Model, QuerySet

# How many rows one transaction deletes, and how many are looked up at once.
BATCH, AT_ONCE = 500, 100_000
# How many rows one statement of :func:`change_in_portions` changes.
PORTION = 50_000


def delete_in_batches(rows: QuerySet[Any]) -> int:
    """Delete the rows; return how many were deleted.

    No transaction takes long, so that nobody who changes one of the rows waits for many others.
    """
    count = 0
    while found := list(rows.order_by().values_list("pk", flat=True)[:AT_ONCE]):
        for first in range(0, len(found), BATCH):
            # Another request may have renewed a row since it was looked up.
            count += rows.filter(pk__in=found[first : first + BATCH]).delete()[0]
    return count


def change_in_portions[M: Model](rows: QuerySet[M], change: Callable[[QuerySet[M]], int]) -> int:
    """Call ``change`` with portions of the rows; return how many rows were changed.

    ``change`` returns how many rows it has changed. ``rows`` must be a filter that changed rows no
    longer match.

    PostgreSQL cancels a statement that takes longer than a request may.
    """
    some = rows.filter(pk__in=rows.values("pk")[:PORTION])
    count = changed = change(some)
    # Other requests may have changed a few rows of a whole portion meanwhile.
    while changed > PORTION // 2:
        count += (changed := change(some))
    return count
