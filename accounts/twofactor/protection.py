"""Notes which users have a second factor, and counts them, for the support desk.

The authentication policy reads the factors themselves.
"""

import uuid
from dataclasses import dataclass

from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, OuterRef, Q

from accounts.twofactor.models import Authenticator, Passkey
from accounts.users.models import User

_PASSKEYS = Exists(Passkey.objects.filter(user=OuterRef("pk"), confirmed=True))
_APPS = Exists(Authenticator.objects.filter(user=OuterRef("pk")))
_HAS_FACTOR = ExpressionWrapper(Q(_PASSKEYS) | Q(_APPS), output_field=BooleanField())


@dataclass(frozen=True)
class Protection:
    """How many active accounts there are, and how many of them have a factor.

    ``with_factor``: with an authenticator app or a passkey.
    """

    accounts: int = 0
    with_factor: int = 0
    with_passkey: int = 0


def note(user_id: uuid.UUID) -> None:
    """Store in ``has_factor`` whether the user has an authenticator app or a passkey."""
    User.objects.filter(pk=user_id).update(has_factor=_HAS_FACTOR)


def correct() -> int:
    """Correct ``has_factor`` where it is wrong; return of how many users.

    An earlier release of the site, which does not know the column, may have added or removed a
    factor while both releases ran.
    """
    return User.objects.exclude(has_factor=_HAS_FACTOR).update(has_factor=_HAS_FACTOR)


def of_accounts() -> dict[bool, Protection]:
    """Return the numbers of people who are not staff (False) and of staff (True)."""
    rows = User.objects.filter(is_active=True).order_by().values_list("is_staff")
    numbers = rows.annotate(
        Count("pk"),
        with_factor=Count("pk", filter=Q(_PASSKEYS) | Q(_APPS)),
        with_passkey=Count("pk", filter=Q(_PASSKEYS)),
    )
    found = {is_staff: Protection(*counts) for is_staff, *counts in numbers}
    return {is_staff: found.get(is_staff, Protection()) for is_staff in (False, True)}
