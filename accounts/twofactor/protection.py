"""Counts the accounts that have a second factor, for the overview of staff."""

from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q

from accounts.twofactor.models import Authenticator, Passkey
from accounts.users.models import User


@dataclass(frozen=True)
class Protection:
    """How many active accounts there are, and how many of them have a factor.

    ``with_factor``: with an authenticator app or a passkey.
    """

    accounts: int = 0
    with_factor: int = 0
    with_passkey: int = 0


def of_accounts() -> dict[bool, Protection]:
    """Return the numbers of people who are not staff (False) and of staff (True)."""
    passkeys = Exists(Passkey.objects.filter(user=OuterRef("pk"), confirmed=True))
    apps = Exists(Authenticator.objects.filter(user=OuterRef("pk")))
    rows = User.objects.filter(is_active=True).order_by().values_list("is_staff")
    numbers = rows.annotate(
        Count("pk"),
        with_factor=Count("pk", filter=Q(passkeys) | Q(apps)),
        with_passkey=Count("pk", filter=Q(passkeys)),
    )
    found = {is_staff: Protection(*counts) for is_staff, *counts in numbers}
    return {is_staff: found.get(is_staff, Protection()) for is_staff in (False, True)}
