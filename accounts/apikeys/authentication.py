"""Authenticates API requests with an API key: ``Authorization: Bearer authsite_…``.

Nobody can create a key with the scopes of the staff API: a superuser gives them to one key of
another account.
"""

from django.db import transaction
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.apikeys import services
from accounts.apikeys.models import PREFIX, APIKey
from accounts.common.client_info import client_of
from accounts.sessions import current
from accounts.tokens import scopes
from accounts.tokens.authentication import Credentials, header_of
from accounts.tokens.errors import InvalidToken
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


def withdraw_staff_scopes(user: User, actor: Actor) -> None:
    """Stop all keys of ``user`` from using the staff API, without an email about each key."""
    for key in APIKey.objects.filter(user=user).exclude(staff_scope=""):
        set_access(user, key.pk, frozenset(), actor, mail=False)


class KeyAuthentication(BaseAuthentication):
    """Authenticates API requests with an API key.

    The settings list this class before token authentication, so that an API key is never parsed as
    an access token.
    """

    def authenticate(self, request: Request) -> tuple[User, Credentials] | None:
        """Return the owner and the scope of the API key, or None if the request has no API key.

        Raises:
            InvalidToken: the API key is unknown, expired or revoked.
        """
        scheme, value = header_of(request)
        if scheme != "bearer" or not value.startswith(PREFIX):
            return None
        key = services.find_key(value)
        if key is None:
            raise InvalidToken
        services.note_use(key, client_of(request))
        by_key = current.RequestAuth(by="api_key", key=key.label)
        current.set_api_auth(request._request, by_key)
        return key.user, Credentials(key.scopes)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
