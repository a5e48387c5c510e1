"""Which calls a token's scope allows."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.signin import policy
from accounts.tokens import scopes
from accounts.tokens.authentication import Credentials
from accounts.tokens.errors import InsufficientScope, InsufficientUserAuthentication


def require_scope(credentials: Credentials, scope: str) -> None:
    """Raise ``InsufficientScope`` unless a call made by ``credentials`` has ``scope``."""
    if not scopes.is_covered(credentials.scope, scope):
        raise InsufficientScope(scope)


def require_recent_authentication(credentials: Credentials) -> None:
    """Raise ``InsufficientUserAuthentication`` unless the person has just authenticated."""
    session = credentials.session
    if not (policy.is_recent(session) if session else credentials.is_by_password):
        raise InsufficientUserAuthentication


class InScope(BasePermission):
    """Every call belongs to an area: to see needs ``read`` there, to change ``write``."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether anybody calls; ``InsufficientScope`` if it's somebody with too little."""
        if not isinstance(request.auth, Credentials):
            return False
        right = scopes.READ if request.method in SAFE_METHODS else scopes.WRITE
        require_scope(request.auth, f"{view.area}:{right}")
        return True


class IsFresh(InScope):
    """The same, and the person has proved who it is in the last minutes: no key ever has."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """As above; ``InsufficientUserAuthentication`` if that is too long ago."""
        if isinstance(request.auth, Credentials):
            require_recent_authentication(request.auth)
        return super().has_permission(request, view)
