"""Remembers the JWTs that work once: proofs for DPoP, and assertions of apps."""

from datetime import datetime

from django.db import connection

from accounts.common import clock
from accounts.common.deletion import delete_in_batches
from accounts.common.rows import parameter
from accounts.tokens.models import SpentProof

_SPEND = f"""
INSERT INTO {SpentProof._meta.db_table} (digest, expires_at) VALUES (%s, %s)
ON CONFLICT DO NOTHING
"""  # noqa: S608 nothing but the name of a table


def spend(digest: str, expires_at: datetime) -> bool:
    """Record that a JWT was used; return False if it was used before.

    The INSERT decides which of several requests at once may use it.

    ``digest``: identifies the JWT among all that are recorded here, in 64 hexadecimal digits.
    ``expires_at``: until when it would be accepted, on a node whose clock is behind, too.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SPEND, [digest, parameter(expires_at)])
        is_first = bool(cursor.rowcount)
    # The table would otherwise grow with all requests of a day.
    if digest.startswith("00"):
        prune()
    return is_first


def prune() -> int:
    """Delete the records of JWTs that have expired; return how many were deleted."""
    return delete_in_batches(SpentProof.objects.filter(expires_at__lte=clock.now()))
