"""Keeps replaced, removed and suspended credentials to settle disputes; they sign nobody in.

Replaced and removed ones are deleted after 30 days, suspended ones when their owner puts them back
or deletes them.
"""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib.auth.hashers import is_password_usable
from django.core import serializers
from django.db import models, transaction
from django.db.models import Q, QuerySet

from accounts.common import clock
from accounts.users.disputes import DISPUTABLE, ESTABLISHED, baseline, counts
from accounts.users.models import LOCKED, Address, FormerCredential, User

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
    """Return the addresses that are suspended, or were removed since the disputed change.

    Also those that were removed in the week before it, if they count. Addresses that a thief added
    and removed meanwhile, perhaps hundreds, are none of them: each of these is mailed every change.
    """
    at = user.disputed_at or clock.now()
    old = _counting(user, at) & Q(removed_at__gt=baseline(user, at))
    held = Q(since__lt=at, removed_at__gte=at)
    rows = FormerCredential.objects.filter(user=user, kind=Kind.EMAIL)
    return rows.filter(Q(is_suspended=True) | old | held).order_by("pk")


def removed_emails(user: User) -> list[FormerCredential]:
    """Return the older addresses that were removed since the week before the disputed change."""
    return list(_removed(user, Kind.EMAIL, user.disputed_at)) if user.disputed_at else []


def had_email(user: User, disputed_at: datetime) -> bool:
    """Return whether ``user`` had an email address seven days before that moment."""
    held = user.addresses.filter(confirmed_at__lte=baseline(user, disputed_at))
    return held.exists() or _removed(user, Kind.EMAIL, disputed_at).exists()


def find_disputed_email(key: str) -> FormerCredential | None:
    """Return the former address with that key, if the account that had it is locked."""
    owners = User.objects.filter(
        former_credentials__kind=Kind.EMAIL,
        former_credentials__key=key,
        is_active=True,
        password__startswith=LOCKED,
        disputed_at__isnull=False,
    )
    # By account: one may have added and removed the address any number of times.
    for owner in owners.distinct():
        if row := disputed_emails(owner).select_related("user").filter(key=key).first():
            return row
    return None


def removed_email(user: User, key: str, disputed_at: datetime) -> FormerCredential | None:
    """Return the older address with that ``key`` that was removed, if there is one."""
    return _removed(user, Kind.EMAIL, disputed_at).filter(key=key).first()


def password_hash(user: User, disputed_at: datetime) -> str | None:
    """Return the password hash of seven days before ``disputed_at``; None if it is not kept."""
    if _has_older_password(user, disputed_at):
        return user.password
    row = _removed(user, Kind.PASSWORD, disputed_at).last()
    return row.data["hash"] if row else None


def password_since(user: User, disputed_at: datetime) -> datetime | None:
    """Return when the password of :func:`password_hash` was set; None if no date is known."""
    if _has_older_password(user, disputed_at):
        return user.password_at
    row = _removed(user, Kind.PASSWORD, disputed_at).last()
    return row.since if row else None


def removed_factors(user: User, disputed_at: datetime) -> list[Any]:
    """Return the second factors that count though they were removed."""
    kinds = (Kind.FACTOR, Kind.RECOVERY_CODES)
    return [_row_of(row) for kind in kinds for row in _removed(user, kind, disputed_at)]


def use_removed_factor(
    user: User, disputed_at: datetime, spend: Callable[[Any], bool]
) -> str | None:
    """Save the removed factor that ``spend`` accepts, and return its ``persistent_id``."""
    for kind in (Kind.FACTOR, Kind.RECOVERY_CODES):
        # Held until the code is noted, so that of many requests at once one spends it.
        with transaction.atomic():
            for row in _removed(user, kind, disputed_at).select_for_update():
                factor = _row_of(row)
                if spend(factor):
                    (row.data,) = serializers.serialize("python", [factor])
                    row.save(update_fields=["data"])
                    return str(factor.persistent_id)
    return None


def has_passkey(credential_id: str) -> bool:
    """Return whether a passkey with that id is suspended or removed, and may come back."""
    rows = FormerCredential.objects.filter(kind=Kind.FACTOR, key=passkey_key(credential_id))
    return rows.exists()


def passkey_key(credential_id: str) -> str:
    """Return ``key`` of the passkey with that id, which may be longer than the column."""
    return credential_id[: FormerCredential.KEY_LENGTH]


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
    """Delete what can't be disputed any more; return how many.

    Proofs are not deleted in the middle of a dispute, or a waiting period would be in vain.
    """
    old = FormerCredential.objects.filter(
        # A change of thirty days ago is disputed with what was held a week before it.
        removed_at__lte=clock.now() - DISPUTABLE - ESTABLISHED,
        is_suspended=False,
        user__disputed_at=None,
    )
    return old.delete()[0]


def _has_older_password(user: User, disputed_at: datetime) -> bool:
    return is_password_usable(user.password) and counts(user, user.password_at, disputed_at)


def _counting(user: User, disputed_at: datetime) -> Q:
    return Q(since=None) | Q(since__lte=baseline(user, disputed_at))


def _removed(user: User, kind: Kind, disputed_at: datetime) -> QuerySet[FormerCredential]:
    """Return what the account held seven days before that moment and does not hold any more."""
    return FormerCredential.objects.filter(
        _counting(user, disputed_at),
        user=user,
        kind=kind,
        is_suspended=False,
        removed_at__gt=baseline(user, disputed_at),
    ).order_by("pk")


def _row_of(former: FormerCredential) -> Any:
    return next(
        iter(serializers.deserialize("python", [former.data], ignorenonexistent=True))
    ).object
