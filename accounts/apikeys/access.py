"""Lets API keys of staff use the staff API.

Nobody can create a key with these scopes: a superuser gives them to one key of another account.
"""

from django.db import transaction

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.apikeys.models import APIKey
from accounts.tokens import scopes
from accounts.users.models import User

READ, ACT = "read", "act"
SCOPES = {READ: frozenset({"admin:read"}), ACT: scopes.ADMIN}


@transaction.atomic
def set_access(
    user: User, key_id: str, access: frozenset[str], actor: Actor, *, mail: bool = True
) -> bool:
    """Replace the scopes of the staff API that a key of ``user`` has, and record it.

    Return False if there is no such key, or if it has these scopes already.
    """
    rows = APIKey.objects.select_for_update().filter(user=user, pk=key_id)
    key = rows.first()
    if key is None or key.staff_access == access:
        return False
    rows.update(staff_scope=scopes.written(access))
    event = events.KEY_ALLOWED if access else events.KEY_DISALLOWED
    record(user, event, actor, detail=key.label, mail=mail)
    return True


def withdraw_all(user: User, actor: Actor) -> None:
    """Stop all keys of ``user`` from using the staff API, without an email about each key."""
    for key in APIKey.objects.filter(user=user).exclude(staff_scope=""):
        set_access(user, key.pk, frozenset(), actor, mail=False)
