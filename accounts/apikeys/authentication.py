"""Authenticates API requests with an API key: ``Authorization: Bearer authsite_…``.

Users cannot create a key with the scopes of the staff API. A superuser gives these scopes to a key
of another account.
"""

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.apikeys import services
from accounts.apikeys.models import PREFIX
from accounts.common.client_info import client_of, header_of
from accounts.sessions import current
from accounts.tokens.authentication import Credentials
from accounts.tokens.errors import InvalidToken
from accounts.users.models import User


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
        """Return ``Bearer``, never ``Basic``, which makes browsers open a password dialog."""
        return "Bearer"
