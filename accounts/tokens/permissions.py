"""Which calls a token's scope allows."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.signin import policy
from accounts.tokens import scopes
from accounts.tokens.authentication import Credentials
from accounts.tokens.errors import InsufficientScope, InsufficientUserAuthentication


class InScope(BasePermission):
    """Every call belongs to an area: to see needs ``read`` there, to change ``write``."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether anybody calls; ``InsufficientScope`` if it's somebody with too little."""
        if not isinstance(request.auth, Credentials):
            return False
        right = scopes.READ if request.method in SAFE_METHODS else scopes.WRITE
        if not scopes.is_covered(request.auth.scope, f"{view.area}:{right}"):
            raise InsufficientScope
        return True


class IsFresh(InScope):
    """The same, and the person has proved who it is in the last minutes: no key ever has."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """As above; ``InsufficientUserAuthentication`` if that is too long ago."""
        if isinstance(request.auth, Credentials):
            login = request.auth.login
            if not (policy.is_recent(login) if login else request.auth.is_by_password):
                raise InsufficientUserAuthentication
        return super().has_permission(request, view)
