"""Notes which users have a second factor, and counts them, for the support desk.

The authentication policy reads the factors themselves.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import date
from typing import Any

from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, OuterRef, Q
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from accounts.activity import daily
from accounts.activity.daily import Kind
from accounts.common import clock
from accounts.twofactor.models import Authenticator, Passkey
from accounts.users.models import User

_PASSKEYS = Exists(Passkey.objects.filter(user=OuterRef("pk"), confirmed=True))
_APPS = Exists(Authenticator.objects.filter(user=OuterRef("pk")))
_HAS_FACTOR = ExpressionWrapper(Q(_PASSKEYS) | Q(_APPS), output_field=BooleanField())

# What is counted every day for people who are not staff (False) and for staff (True), by the names
# under which the counts are stored.
NAMES = {False: daily.PEOPLE, True: daily.STAFF}
WHAT = ("", "factor", "passkey")


@dataclass(frozen=True)
class Protection:
    """How many active accounts there are, and how many of them have a factor.

    ``with_factor``: with an authenticator app or a passkey.
    """

    accounts: int = 0
    with_factor: int = 0
    with_passkey: int = 0


@receiver((post_save, post_delete), sender=Authenticator)
@receiver((post_save, post_delete), sender=Passkey)
def note(
    *,
    instance: Authenticator | Passkey,
    update_fields: Iterable[str] | None = None,
    **_signal: Any,
) -> None:
    """Store in ``has_factor`` whether the user of a factor, saved or deleted just now, has one.

    A sign-in saves only fields that say nothing about this.
    """
    if update_fields is None or "confirmed" in update_fields:
        User.objects.filter(pk=instance.user_id).update(has_factor=_HAS_FACTOR)


def of_accounts() -> tuple[date, dict[bool, Protection]]:
    """Return the numbers of people who are not staff (False) and of staff (True), and their day.

    They are those of the last daily job: counting a million accounts takes longer than a page may.
    """
    found = daily.latest()
    if found is None:
        return clock.now().date(), _counted()
    day, numbers = found
    return day, {
        is_staff: Protection(*(numbers.get(Kind(name, what, True), 0) for what in WHAT))
        for is_staff, name in NAMES.items()
    }


def store() -> None:
    """Count the accounts for :func:`of_accounts`."""
    daily.store(
        {
            Kind(NAMES[is_staff], what, True): number
            for is_staff, held in _counted().items()
            for what, number in zip(WHAT, astuple(held), strict=True)
        }
    )


def _counted() -> dict[bool, Protection]:
    accounts = User.objects.filter(is_active=True).order_by().values_list("is_staff")
    rows = accounts.annotate(Count("pk"), with_factor=Count("pk", filter=Q(has_factor=True)))
    passkeys = Passkey.objects.filter(confirmed=True, user__is_active=True).order_by()
    owners = dict(passkeys.values_list("user__is_staff").annotate(Count("user", distinct=True)))
    found = {
        is_staff: Protection(number, with_factor, owners.get(is_staff, 0))
        for is_staff, number, with_factor in rows
    }
    return {is_staff: found.get(is_staff, Protection()) for is_staff in NAMES}
