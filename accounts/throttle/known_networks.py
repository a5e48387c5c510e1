"""Places from which an account was signed in to before: a sign-in from another one is mailed."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from accounts.common import clock
from accounts.throttle.models import FamiliarPlace

LIFE = timedelta(days=90)
RENEW = timedelta(days=60)


def find(account: object, subscriber: str) -> FamiliarPlace | None:
    """The note that ``account`` was signed in to from there within 90 days, or None."""
    key = _key(account, subscriber)
    return FamiliarPlace.objects.filter(key=key, until__gt=clock.now()).first()


def remember(account: object, subscriber: str, noted: FamiliarPlace | None) -> None:
    """Note a sign-in from there; a write only where the note is missing or a month old."""
    if noted is None or noted.until < clock.now() + RENEW:
        FamiliarPlace.objects.bulk_create(
            [FamiliarPlace(key=_key(account, subscriber), until=clock.now() + LIFE)],
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["until"],
        )


def untils(account: object, subscribers: Iterable[str]) -> dict[str, datetime]:
    """Return those of ``subscribers`` that are noted for ``account``, each with its expiry."""
    keys = {_key(account, subscriber): subscriber for subscriber in subscribers}
    rows = FamiliarPlace.objects.filter(key__in=keys, until__gt=clock.now())
    return {keys[row.key]: row.until for row in rows}


def forget(account: object, subscribers: Iterable[str]) -> bool:
    """Delete the notes of ``account`` for ``subscribers``; return whether there were any."""
    keys = [_key(account, subscriber) for subscriber in subscribers]
    return bool(FamiliarPlace.objects.filter(key__in=keys).delete()[0])


def _key(account: object, subscriber: str) -> str:
    return hashlib.sha256(f"{account}\0{subscriber}".encode()).hexdigest()
