"""Deletes many rows in short transactions."""

from typing import Any

from django.db.models import QuerySet

# How many rows one transaction deletes, and how many are looked up at once.
BATCH, AT_ONCE = 500, 100_000


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
