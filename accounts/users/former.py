"""Keeps replaced, removed and suspended credentials to settle disputes; they sign nobody in.

Replaced and removed ones are deleted after 30 days, suspended ones when their owner puts them back
or deletes them.
"""

import uuid
from datetime import datetime
from typing import Any, cast

from django.contrib.auth.hashers import is_password_usable
from django.core import serializers
from django.db import models, transaction
from django.db.models import Q, QuerySet

from accounts.kernel import clock
from accounts.users import addresses
from accounts.users.disputes import DISPUTABLE, baseline
from accounts.users.models import Address, FormerCredential, User

Kind = FormerCredential.Kind


def keep_password(user: User, at: datetime) -> None:
    """Keep the password hash of ``user``, which the caller replaces at the moment ``at``."""
    if is_password_usable(user.password):
        FormerCredential.objects.create(
            user=user,
            kind=Kind.PASSWORD,
            since=user.password_at,
            removed_at=at,
            data={"hash": user.password},
        )


def keep_email(row: Address, at: datetime, *, is_suspended: bool = False) -> None:
    """Keep an address that the caller removes at the moment ``at``."""
    keep(
        row,
        row.user_id,
        Kind.EMAIL,
        row.confirmed_at,
        at,
        label=row.address,
        key=row.key,
        is_suspended=is_suspended,
    )


def keep(
    row: models.Model,
    user_id: uuid.UUID,
    kind: Kind,
    since: datetime | None,
    at: datetime,
    *,
    label: str,
    key: str = "",
    is_suspended: bool = False,
) -> None:
    """Keep a copy of ``row``, which the caller deletes.

    The account held it from ``since`` to ``at``. ``label`` is its name for people, ``key`` the key
    of an address.
    """
    (data,) = serializers.serialize("python", [row])
    FormerCredential.objects.create(
        user_id=user_id,
        kind=kind,
        key=key,
        label=label,
        since=since,
        removed_at=at,
        is_suspended=is_suspended,
        data=data,
    )


def suspended(user: User) -> QuerySet[FormerCredential]:
    """Return the rows that a lock of the account suspended, oldest first."""
    return FormerCredential.objects.filter(user=user, is_suspended=True).order_by("pk")


def disputed_emails(user: User) -> QuerySet[FormerCredential]:
    """Return the addresses that were suspended or removed since the disputed change."""
    rows = FormerCredential.objects.filter(user=user, kind=Kind.EMAIL)
    since = user.disputed_at or clock.now()
    return rows.filter(Q(is_suspended=True) | Q(removed_at__gte=since)).order_by("pk")


def removed_emails(user: User) -> list[FormerCredential]:
    """Return the addresses old enough to count that were removed since the disputed change."""
    if user.disputed_at is None:
        return []
    rows = FormerCredential.objects.filter(
        _counting(user, user.disputed_at),
        user=user,
        kind=Kind.EMAIL,
        is_suspended=False,
        removed_at__gte=user.disputed_at,
    )
    return list(rows.order_by("pk"))


def was_email(user: User, email: str, disputed_at: datetime) -> bool:
    """Return whether ``email`` counts as an older address though it was removed."""
    rows = _removed(user, Kind.EMAIL, disputed_at)
    return rows.filter(key=addresses.key(email)).exists()


def password_hash(user: User, disputed_at: datetime) -> str | None:
    """Return the password hash of seven days before ``disputed_at``; None if it is not kept."""
    at = baseline(user, disputed_at)
    if is_password_usable(user.password) and (user.password_at is None or user.password_at <= at):
        return user.password
    row = _removed(user, Kind.PASSWORD, disputed_at).last()
    return row.data["hash"] if row else None


def removed_factors(user: User, disputed_at: datetime) -> list[models.Model]:
    """Return the second factors that count though they were removed."""
    rows = _removed(user, Kind.FACTOR, disputed_at)
    return [cast(models.Model, _row_of(row)) for row in rows]


def restore(former: FormerCredential) -> models.Model:
    """Put the row back into its table and delete the copy; return the row.

    Raises:
        IntegrityError: another account has the address, or the account has such a factor again.
    """
    row = _row_of(former)
    with transaction.atomic():
        row.save(force_insert=True)
        former.delete()
    return row


def prune() -> int:
    """Delete rows whose removal can't be disputed any more; return how many."""
    old = FormerCredential.objects.filter(
        removed_at__lte=clock.now() - DISPUTABLE, is_suspended=False
    )
    return old.delete()[0]


def _counting(user: User, disputed_at: datetime) -> Q:
    return Q(since=None) | Q(since__lte=baseline(user, disputed_at))


def _removed(user: User, kind: Kind, disputed_at: datetime) -> QuerySet[FormerCredential]:
    # Rows that the account held seven days before ``disputed_at`` and has lost since.
    after = max(baseline(user, disputed_at), clock.now() - DISPUTABLE)
    return FormerCredential.objects.filter(
        _counting(user, disputed_at), user=user, kind=kind, is_suspended=False, removed_at__gt=after
    ).order_by("pk")


def _row_of(former: FormerCredential) -> Any:
    return next(iter(serializers.deserialize("python", [former.data]))).object
