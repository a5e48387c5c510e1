"""Stores replaced, removed and suspended credentials, which may prove ownership of the account.

Nobody can sign in with these credentials. Replaced and removed credentials are deleted when they
can no longer count by ``accounts.recovery.rule``. Suspended credentials are deleted when the
account owner restores or deletes them.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.core import serializers
from django.db import IntegrityError, models, transaction
from django.db.models import Min, Q, QuerySet

from accounts.common import clock
from accounts.common.database import P, PreparedQuery
from accounts.recovery.rule import BEFORE, MONTH, Lock
from accounts.users.models import LOCKED, EmailAddress, FormerCredential, User

Kind = FormerCredential.Kind
FACTORS = (Kind.FACTOR, Kind.RECOVERY_CODES)


def keep_email(row: EmailAddress, at: datetime, *, is_suspended: bool = False) -> None:
    """Store a copy of the email address ``row``, before the caller removes it.

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


def suspended(user: User | P) -> QuerySet[FormerCredential]:
    """Return the credentials that a lock of the account suspended, oldest first."""
    return FormerCredential.objects.filter(user=user, is_suspended=True).order_by("pk")


def replaced(user: User) -> QuerySet[FormerCredential]:
    """Return the replaced and removed credentials of ``user`` that are still stored."""
    return FormerCredential.objects.filter(user=user, is_suspended=False).order_by("pk")


def removed(user: User, *kinds: Kind) -> QuerySet[FormerCredential]:
    """Return the replaced and removed credentials of ``user`` that still prove ownership.

    There are none if the account is neither locked nor under review after a lock.

    ``kinds``: the kinds of credentials to return, by default all.
    """
    if user.horizon is None:
        return FormerCredential.objects.none()
    return _at(user, user.horizon).filter(kind__in=kinds or Kind.values)


def notified_emails(user: User) -> QuerySet[FormerCredential]:
    """Return the former email addresses that get notices until the review has ended.

    These are the suspended addresses, and the removed ones that still prove ownership. Other
    removed addresses get none, because a thief may have added and removed hundreds.
    """
    rows = removed(user, Kind.EMAIL) | suspended(user).filter(kind=Kind.EMAIL)
    return rows.order_by("pk")


def recent_emails(user: User | P) -> QuerySet[FormerCredential]:
    """Return the removed and suspended email addresses of ``user``, last removed first.

    They are stored for about five weeks.
    """
    return FormerCredential.objects.filter(user=user, kind=Kind.EMAIL).order_by("-removed_at")


_RECENT_EMAILS = PreparedQuery(lambda: recent_emails(P("user")))


def all_recent_emails(user: User) -> list[FormerCredential]:
    """Return the addresses that :func:`recent_emails` returns, with a prepared query."""
    return _RECENT_EMAILS.all(user=user.pk)


def trusted_emails(user: User) -> list[str]:
    """Return the removed email addresses of ``user`` that probably do not belong to a thief.

    The account had each for a week, or before all of its current addresses, and no other account
    has it.
    """
    first = user.emails.aggregate(at=Min("confirmed_at"))["at"]
    others = EmailAddress.objects.exclude(user=user).values("key")
    rows = recent_emails(user).filter(is_suspended=False).exclude(key__in=others)
    return [
        row.label
        for row in rows
        if row.since and (row.since + BEFORE <= row.removed_at or (first and row.since < first))
    ]


def find_notified_email(key: str) -> FormerCredential | None:
    """Return a former email address of a locked account that still gets notices, with its user.

    Return None if there is no such account.

    ``key``: the canonical form of the email address.
    """
    owners = User.objects.filter(
        former_credentials__kind=Kind.EMAIL,
        former_credentials__key=key,
        is_active=True,
        password__startswith=LOCKED,
        horizon__isnull=False,
    )
    # One query for each account, because one account can have removed the address many times.
    for owner in owners.distinct():
        if row := notified_emails(owner).select_related("user").filter(key=key).first():
            return row
    return None


def password_hash(user: User, lock: Lock) -> str | None:
    """Return the hash of the password that ``user`` had at the time ``lock.horizon``, or None.

    Call this before the lock replaces the password.
    """
    if user.has_usable_password() and (user.password_at or lock.horizon) <= lock.horizon:
        return user.password
    row = _at(user, lock.horizon).filter(kind=Kind.PASSWORD).last()
    return row.data["hash"] if row else None


def use_removed_factor(user: User, consumes: Callable[[Any], bool]) -> str | None:
    """Check a code with the removed second factors of ``user`` that still prove ownership.

    Args:
        user: the account that had the factors.
        consumes: checks the code with one factor, and returns whether the factor has accepted
            it. It is called for one factor after another until it returns True.

    Returns:
        The ``persistent_id`` of the factor that has accepted the code, or None.
    """
    # The rows are locked until the use of the code is stored, so that a code works once.
    with transaction.atomic():
        for row in removed(user, *FACTORS).select_for_update():
            factor = row_of(row)
            if consumes(factor):
                (data,) = serializers.serialize("python", [factor])
                # A newer release may have stored more fields.
                row.data["fields"] |= data["fields"]
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
        IntegrityError: another account has the email address now, the account has an equivalent
            second factor, or this release does not know its model.
    """
    row: models.Model | None = row_of(former)
    if row is None:
        raise IntegrityError
    with transaction.atomic():
        row.save(force_insert=True)
        former.delete()
    return row


def row_of(former: FormerCredential) -> Any:
    """Return the row of a former email address or second factor, as it was before its removal.

    Return None if a newer release has stored a row of a model that this release does not know.
    """
    stored = serializers.deserialize("python", [former.data], ignorenonexistent=True)
    return next((each.object for each in stored), None)


def _at(user: User, horizon: datetime) -> QuerySet[FormerCredential]:
    is_old = Q(since=None) | Q(since__lte=horizon)
    return replaced(user).filter(is_old, removed_at__gte=horizon)


def prune() -> int:
    """Delete the former credentials that can no longer count; return how many were deleted.

    Credentials of an account that is locked or under review are not deleted, because the owner may
    need them after the waiting period.
    """
    old = FormerCredential.objects.filter(
        # A lock can name a change of up to 30 days ago, and its horizon is a week earlier.
        removed_at__lte=clock.now() - MONTH - BEFORE,
        is_suspended=False,
        user__horizon=None,
    )
    return old.delete()[0]
