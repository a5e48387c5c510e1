"""Places from which an account was signed in to before.

Guesses from anywhere else don't count against them: without this, whoever wants to keep an owner
out only has to keep guessing.
"""

import hashlib
from datetime import timedelta

from accounts.kernel import clock
from accounts.throttle.models import FamiliarPlace

LIFE = timedelta(days=90)
RENEW = timedelta(days=60)


def is_familiar(account: object, subscriber: str) -> bool:
    """Whether ``account`` was signed in to from there within 90 days."""
    return FamiliarPlace.objects.filter(
        key=_key(account, subscriber), until__gt=clock.now()
    ).exists()


def remember(account: object, subscriber: str) -> None:
    """Note a sign-in from there; a write only where the note is missing or a month old."""
    key, now = _key(account, subscriber), clock.now()
    if not FamiliarPlace.objects.filter(key=key, until__gt=now + RENEW).exists():
        FamiliarPlace.objects.bulk_create(
            [FamiliarPlace(key=key, until=now + LIFE)],
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["until"],
        )


def _key(account: object, subscriber: str) -> str:
    return hashlib.sha256(f"{account}\0{subscriber}".encode()).hexdigest()
