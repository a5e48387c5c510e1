"""Lets what works once be used once: DPoP proofs, assertions of apps and passkey challenges."""

from datetime import datetime

from django.db import connection, transaction

from accounts.codes.models import UsedOnce
from accounts.common import clock
from accounts.common.database import delete_in_batches, parameter

_INSERT = (
    f"INSERT INTO {UsedOnce._meta.db_table} (key, until) VALUES (%s, %s) ON CONFLICT DO NOTHING"  # noqa: S608 nothing but the name of a table
)


def use_once(purpose: str, digest: str, until: datetime) -> bool:
    """Record that something was used; return False if it was used before.

    The INSERT decides which of several requests at once may use it (CVE-2022-42731).

    ``digest``: identifies it among all with the same ``purpose``, in hexadecimal digits.
    ``until``: until when it would be accepted, on a node whose clock is behind, too.
    """
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [_key(purpose, digest), parameter(until)])
        is_first = bool(cursor.rowcount)
    # The table would otherwise grow with all requests of a day.
    if digest.startswith("00"):
        transaction.on_commit(prune)
    return is_first


def is_used(purpose: str, digest: str) -> bool:
    """Return whether it was used. Only :func:`use_once` decides between simultaneous requests."""
    return UsedOnce.objects.filter(key=_key(purpose, digest)).exists()


def prune() -> int:
    """Delete the records of what has expired; return how many were deleted."""
    return delete_in_batches(UsedOnce.objects.filter(until__lte=clock.now()))


def _key(purpose: str, digest: str) -> str:
    return f"{purpose} {digest}"
