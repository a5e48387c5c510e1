"""Permissions of API views: scopes, and recent authentication."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.signin import policy
from accounts.tokens import scopes
from accounts.tokens.authentication import Credentials
from accounts.tokens.errors import InsufficientScope, InsufficientUserAuthentication


def require_scope(credentials: Credentials, scope: str) -> None:
    """Check that ``credentials`` grant ``scope``.

    Raises:
        InsufficientScope: ``credentials`` do not grant ``scope``.
    """
    if not scopes.is_covered(credentials.scope, scope):
        raise InsufficientScope(scope)


def required_scope(area: str, method: str) -> str:
    """Return the scope that a call in ``area`` with this HTTP method requires."""
    return f"{area}:{scopes.READ if method in SAFE_METHODS else scopes.WRITE}"


def require_recent_authentication(credentials: Credentials) -> None:
    """Check that the user has authenticated recently.

    A request with a password is itself a recent authentication.

    Raises:
        InsufficientUserAuthentication: the last authentication is too old, or an API key was used.
    """
    session = credentials.session
    if not (policy.is_recent(session) if session else credentials.is_by_password):
        raise InsufficientUserAuthentication


class InScope(BasePermission):
    """Requires the scope to read or to write in one area of the API.

    The view names the area in its attribute ``area``. Safe methods such as GET require
    ``area:read``, and all others require ``area:write``.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the request has credentials.

        Raises:
            InsufficientScope: the credentials do not grant the required scope.
        """
        if not isinstance(request.auth, Credentials):
            return False
        require_scope(request.auth, required_scope(view.area, str(request.method)))
        return True


class IsFresh(InScope):
    """Requires recent authentication, and the scope that :class:`InScope` requires.

    Requests with an API key are always refused.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, Credentials):
            require_recent_authentication(request.auth)
        return super().has_permission(request, view)
