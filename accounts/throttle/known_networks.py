"""Records the networks and clients from which people sign in, so that new ones are recognized."""

import hashlib
from datetime import timedelta

from accounts.common import clock
from accounts.common.database import P, PreparedQuery
from accounts.throttle.models import FamiliarPlace

LIFE = timedelta(days=90)
RENEW = timedelta(days=60)

_NOTED = PreparedQuery(lambda: FamiliarPlace.objects.filter(key=P("key"), until__gt=P("now")))


def find_record(account: object, source: str) -> FamiliarPlace | None:
    """Return the record of sign-ins to ``account`` from ``source``, or None if there is none.

    ``source`` is any text that identifies a network or client. A record expires 60 to 90 days after
    the last sign-in.
    """
    return _NOTED.first(key=_key(account, source), now=clock.now())


def remember(account: object, source: str, noted: FamiliarPlace | None) -> None:
    """Record a sign-in to ``account`` from ``source``.

    ``noted`` is the result of :func:`find`. A record is renewed only if it is older than a month,
    so that most sign-ins need no write.
    """
    if noted is None or noted.until < clock.now() + RENEW:
        FamiliarPlace.objects.bulk_create(
            [FamiliarPlace(key=_key(account, source), until=clock.now() + LIFE)],
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["until"],
        )


def _key(account: object, source: str) -> str:
    return hashlib.sha256(f"{account}\0{source}".encode()).hexdigest()
