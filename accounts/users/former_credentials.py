"""Stores replaced, removed and suspended credentials as evidence for disputes.

Nobody can sign in with these credentials. Replaced and removed credentials are deleted when they
can no longer count in a dispute. Suspended credentials are deleted when the account owner restores
or deletes them.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib.auth.hashers import is_password_usable
from django.core import serializers
from django.db import models, transaction
from django.db.models import Q, QuerySet

from accounts.common import clock
from accounts.users.disputes import DISPUTABLE, ESTABLISHED, baseline, counts
from accounts.users.models import LOCKED, EmailAddress, FormerCredential, User

Kind = FormerCredential.Kind


def keep_email(row: EmailAddress, at: datetime, *, is_suspended: bool = False) -> None:
    """Keep a copy of the email address ``row``, before the caller removes it.

    ``at``: the time of the removal.
    """
    fields = {"key": row.key, "label": row.email, "since": row.confirmed_at}
    keep(row, kind=Kind.EMAIL, removed_at=at, is_suspended=is_suspended, **fields)


def keep(row: Any, **fields: Any) -> None:
    """Store a copy of the credential ``row``, which the caller deletes.

    ``fields``: the other fields of the :class:`FormerCredential`.
    """
    (data,) = serializers.serialize("python", [row])
    FormerCredential.objects.create(user_id=row.user_id, data=data, **fields)


def suspended(user: User) -> QuerySet[FormerCredential]:
    """Return the credentials that a lock of the account suspended, oldest first."""
    return FormerCredential.objects.filter(user=user, is_suspended=True).order_by("pk")


def disputed_emails(user: User) -> QuerySet[FormerCredential]:
    """Return the former email addresses that get notices about a dispute over the account ``user``.

    These are the suspended addresses, the addresses that the account held at the disputed change,
    and the addresses that were removed in the week before the change and are old enough to count.
    Addresses that were added after the change are left out, because a thief may have added and
    removed hundreds of them.
    """
    at = user.disputed_at or clock.now()
    old = _counting(user, at) & Q(removed_at__gt=baseline(user, at))
    held = Q(since__lt=at, removed_at__gte=at)
    rows = FormerCredential.objects.filter(user=user, kind=Kind.EMAIL)
    return rows.filter(Q(is_suspended=True) | old | held).order_by("pk")


def recent_emails(user: User) -> QuerySet[FormerCredential]:
    """Return the removed and suspended email addresses of ``user``, last removed first.

    They are stored for about five weeks: see :func:`prune`.
    """
    return FormerCredential.objects.filter(user=user, kind=Kind.EMAIL).order_by("-removed_at")


def removed_emails(user: User) -> list[FormerCredential]:
    """Return the removed email addresses of ``user`` that are old enough to count in a dispute."""
    return list(_removed(user, Kind.EMAIL, user.disputed_at)) if user.disputed_at else []


def had_email(user: User, disputed_at: datetime) -> bool:
    """Return whether the account ``user`` has or had an email address that counts in a dispute.

    ``disputed_at`` is the time of the disputed change.
    """
    held = user.emails.filter(confirmed_at__lte=baseline(user, disputed_at))
    return held.exists() or _removed(user, Kind.EMAIL, disputed_at).exists()


def find_disputed_email(key: str) -> FormerCredential | None:
    """Find the former email address ``key`` of an account that still gets notices there.

    An account gets notices at former addresses while it is locked because of a disputed change.

    Args:
        key: the canonical form of the email address.

    Returns:
        The former email address with its user, or None if there is no such account.
    """
    owners = User.objects.filter(
        former_credentials__kind=Kind.EMAIL,
        former_credentials__key=key,
        is_active=True,
        password__startswith=LOCKED,
        disputed_at__isnull=False,
    )
    # One query for each account, because an account can have removed the address many times.
    for owner in owners.distinct():
        if row := disputed_emails(owner).select_related("user").filter(key=key).first():
            return row
    return None


def removed_email(user: User, key: str, disputed_at: datetime) -> FormerCredential | None:
    """Return the removed email address ``key`` of ``user`` if it counts in a dispute, else None."""
    return _removed(user, Kind.EMAIL, disputed_at).filter(key=key).first()


def password_hash(user: User, disputed_at: datetime) -> str | None:
    """Return the hash of the password that counts in a dispute, or None if no password counts.

    The password that the account had seven days before ``disputed_at`` counts.
    """
    if _has_older_password(user, disputed_at):
        return user.password
    row = _removed(user, Kind.PASSWORD, disputed_at).last()
    return row.data["hash"] if row else None


def password_since(user: User, disputed_at: datetime) -> datetime | None:
    """Return the time at which the password that counts in a dispute was set.

    The result is None if the time is unknown or if no password counts.
    """
    if _has_older_password(user, disputed_at):
        return user.password_at
    row = _removed(user, Kind.PASSWORD, disputed_at).last()
    return row.since if row else None


def removed_factors(user: User, disputed_at: datetime) -> list[Any]:
    """Return the removed second factors of ``user`` that are old enough to count in a dispute."""
    kinds = (Kind.FACTOR, Kind.RECOVERY_CODES)
    return [_row_of(row) for kind in kinds for row in _removed(user, kind, disputed_at)]


def use_removed_factor(
    user: User, disputed_at: datetime, consumes: Callable[[Any], bool]
) -> str | None:
    """Check a code with the removed second factors that count in a dispute.

    Args:
        user: the account that held the factors.
        disputed_at: the time of the disputed change.
        consumes: a function that checks the code with one factor, and returns whether the factor
            has accepted it. It is called for one factor after another until it returns true.

    Returns:
        The ``persistent_id`` of the factor that has accepted the code, or None.
    """
    for kind in (Kind.FACTOR, Kind.RECOVERY_CODES):
        # The rows stay locked until the use of the code is stored, so that a code works once.
        with transaction.atomic():
            for row in _removed(user, kind, disputed_at).select_for_update():
                factor = _row_of(row)
                if consumes(factor):
                    (row.data,) = serializers.serialize("python", [factor])
                    row.save(update_fields=["data"])
                    return str(factor.persistent_id)
    return None


def has_passkey(credential_id: str) -> bool:
    """Return whether a suspended or removed passkey has the credential id ``credential_id``."""
    rows = FormerCredential.objects.filter(kind=Kind.FACTOR, key=passkey_key(credential_id))
    return rows.exists()


def passkey_key(credential_id: str) -> str:
    """Return the key of a former passkey: its credential id, cut to the length of the column."""
    return credential_id[: FormerCredential.KEY_LENGTH]


def restore(former: FormerCredential) -> models.Model:
    """Move a former credential back to the table of its model, and return the new row.

    Raises:
        IntegrityError: another account has the email address now, or the account has an equivalent
            second factor.
    """
    row = _row_of(former)
    with transaction.atomic():
        row.save(force_insert=True)
        former.delete()
    return row


def prune() -> int:
    """Delete the former credentials that can no longer count in a dispute; return their number.

    Credentials of an account in dispute are not deleted, because the owner may need them after the
    waiting period.
    """
    old = FormerCredential.objects.filter(
        # A change of 30 days ago can be disputed with a proof that was removed a week earlier.
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
    """Return the removed credentials that the account held seven days before ``disputed_at``."""
    return FormerCredential.objects.filter(
        _counting(user, disputed_at),
        user=user,
        kind=kind,
        is_suspended=False,
        removed_at__gt=baseline(user, disputed_at),
    ).order_by("pk")


def _row_of(former: FormerCredential) -> Any:
    (stored,) = serializers.deserialize("python", [former.data], ignorenonexistent=True)
    return stored.object
