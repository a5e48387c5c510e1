"""Authenticates API requests, never by cookies, and checks what their credentials allow."""

import base64
from dataclasses import dataclass
from typing import Any, cast, override

from django.conf import settings
from django.http import HttpRequest
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication

from accounts.activity.services import Actor
from accounts.common.client_info import client_of, header_of
from accounts.common.proofs import Method
from accounts.sessions import current
from accounts.sessions.models import LoginSession
from accounts.signin import policy
from accounts.signin.services import InvalidCredentials
from accounts.tokens import dpop, scopes, services
from accounts.tokens.access import AccessToken
from accounts.tokens.errors import (
    InsufficientScope,
    InsufficientUserAuthentication,
    NotForApps,
    NotForPages,
)
from accounts.users import emails
from accounts.users.models import User

# The schemes of ``Authorization`` for access tokens.
TOKEN_SCHEMES = ("bearer", "dpop")


@dataclass(frozen=True)
class Credentials:
    """The value of ``request.auth``: the granted scopes and the session of the access token.

    ``session``: None if the request was made with an API key or a password.
    ``is_by_password``: whether the request was made with a password.
    """

    scope: frozenset[str]
    session: LoginSession | None = None
    is_by_password: bool = False

    @property
    def is_pages(self) -> bool:
        """Whether the access token was issued to a page in a browser.

        A malicious script in that page may have taken the token.
        """
        return self.session is not None and self.session.kind == LoginSession.Kind.APP


class Authentication(JWTAuthentication):
    """Authenticates requests with an access token, or with HTTP Basic if the settings allow it.

    ``Bearer`` and ``DPoP`` (RFC 9449) are followed by an access token. ``Basic`` contains either a
    login and a password, or an access token as the username and any password. Passwords are slow,
    because the password is hashed on every request. They are not accepted for accounts that require
    a second factor.
    """

    @override
    def authenticate(self, request: Request) -> tuple[User, Credentials] | None:  # type: ignore[override]  # not SimpleJWT's Token
        """Return the user and the :class:`Credentials`; None if the request has no credentials.

        Raises:
            PublicError: the credentials are not accepted.
        """
        scheme, value = header_of(request)
        if scheme in TOKEN_SCHEMES:
            return self._by_token(request, scheme, value)
        if scheme != "basic":
            return None
        name, password = basic(value)
        if is_token(name):
            return self._by_token(request, "bearer", name)
        if not settings.AUTHSITE.takes_basic:
            raise InvalidCredentials
        user = services.authenticate_by_password(name, password, client_of(request))
        current.set_api_auth(request._request, current.RequestAuth(by=Method.PASSWORD))
        return user, Credentials(scopes.DEFAULT, is_by_password=True)

    def _by_token(self, request: Request, scheme: str, text: str) -> tuple[User, Credentials]:
        token, session = read_token(request._request, scheme, text)
        current.set_api_auth(request._request, current.RequestAuth(session))
        return session.user, Credentials(token.scope, session)


def read_token(request: HttpRequest, scheme: str, text: str) -> tuple[AccessToken, LoginSession]:
    """Return the access token ``text`` of ``request`` and its session.

    ``scheme``: one of :data:`TOKEN_SCHEMES`. A bound token needs ``dpop`` and a proof, so that a
        thief cannot use it; any other token needs ``bearer`` (RFC 9449 section 7).

    Raises:
        InvalidDpopProof: there is no valid proof.
        InvalidToken: the token is not valid for the scheme and the key of the proof.
    """
    proof = dpop.proof_of(request, text) if scheme == "dpop" else dpop.DpopProof()
    if scheme == "dpop" and not proof.thumbprint:
        raise dpop.InvalidDpopProof("The request has no DPoP proof.")
    found = services.read(text, tells_expired=True, key=proof.thumbprint)
    proof.consume()
    return found


def basic(value: str) -> tuple[str, str]:
    """Return the username and the password in the value of a Basic header (RFC 7617, UTF-8).

    Raises:
        InvalidCredentials: ``value`` is malformed.
    """
    try:
        name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        raise InvalidCredentials from None
    if not colon or "\0" in name:
        raise InvalidCredentials
    return name, password


def login_of(request: Request, serializer: Any) -> tuple[str, str]:
    """Return the login and the password of a request to sign in.

    They are read from HTTP Basic if the request uses it. Otherwise they are read from
    ``serializer``, which has validated the body.

    Raises:
        InvalidCredentials: the Basic credential is malformed.
        ValidationError: the body lacks the login or the password.
    """
    scheme, value = header_of(request)
    credentials: tuple[str, str] = basic(value) if scheme == "basic" else serializer.credentials
    return credentials


def is_token(name: str) -> bool:
    """Return whether ``name``, the username of HTTP Basic, is probably an access token.

    Only the length is checked: every access token is longer than any username or email address.
    """
    return len(name) > emails.MAX_LENGTH


def actor_by_proofs(request: Request) -> Actor:
    """Return the actor of ``request``, with the proofs of its session."""
    actor, session = current.actor_of(request._request), cast(Credentials, request.auth).session
    return actor.by(*session.amr) if session else actor


def require_scope(credentials: Credentials, scope: str) -> None:
    """Require that ``credentials`` grant ``scope``.

    Raises:
        InsufficientScope: ``credentials`` do not grant ``scope``.
    """
    if not scopes.is_covered(credentials.scope, scope):
        raise InsufficientScope(scope)


def required_scope(area: str, method: str) -> str:
    """Return the scope that a call in ``area`` with this HTTP method requires."""
    return f"{area}:{scopes.READ if method in SAFE_METHODS else scopes.WRITE}"


def require_recent_authentication(credentials: Credentials) -> None:
    """Require that the user has authenticated recently.

    A request with a password is itself a recent authentication.

    Raises:
        InsufficientUserAuthentication: the last authentication is too old, or an API key was
            used.
    """
    refuse_api_key(credentials)
    if credentials.session and not policy.is_recent(credentials.session):
        raise InsufficientUserAuthentication


def require_right_to_end_sessions(credentials: Credentials) -> None:
    """Require that ``policy.may_end_sessions`` allows the session of the request to end others.

    Raises:
        InsufficientUserAuthentication: it does not.
    """
    if credentials.session and not policy.may_end_sessions(credentials.session):
        raise InsufficientUserAuthentication


def refuse_api_key(credentials: Credentials) -> None:
    """Require that the request was not made with an API key.

    Raises:
        InsufficientUserAuthentication: the request was made with an API key.
    """
    if credentials.session is None and not credentials.is_by_password:
        raise InsufficientUserAuthentication


def require_own_session(credentials: Credentials, page: str) -> LoginSession:
    """Return the session of the request, which must belong to a program of the person.

    ``page``: the name of the page on which the person can do the same.

    Raises:
        InsufficientUserAuthentication: the request was made with an API key or a password.
        NotForApps: the session belongs to a connected app.
    """
    if credentials.session is None:
        raise InsufficientUserAuthentication
    if credentials.session.is_app:
        raise NotForApps(page)
    return credentials.session


class HasOwnSession(BasePermission):
    """Requires a session by :func:`require_own_session`. ``page`` of the view names the page."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, Credentials) and bool(
            require_own_session(request.auth, view.page)
        )


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


class ForPerson(InScope):
    """Refuses API keys, and requires the same scope as :class:`InScope`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, Credentials):
            refuse_api_key(request.auth)
        return super().has_permission(request, view)


class IsFresh(ForPerson):
    """Requires recent authentication, in addition to the requirements of :class:`ForPerson`.

    A DELETE request requires no recent authentication, because a user who suspects a thief must be
    able to remove something quickly.
    """

    exempt = frozenset({"DELETE"})

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, Credentials) and request.method not in self.exempt:
            require_recent_authentication(request.auth)
        return super().has_permission(request, view)


class IsRecent(IsFresh):
    """Requires recent authentication for every method, including DELETE."""

    exempt = frozenset()


class ForOwnProgram(ForPerson):
    """Requires a session of a program of the person, in addition to :class:`ForPerson`.

    Changes require recent authentication, unless the view sets ``is_quick``. Pages in a browser can
    only read. ``page`` of the view names the page on which the person can do the same.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, Credentials):
            require_own_session(request.auth, view.page)
            if request.method not in SAFE_METHODS:
                if request.auth.is_pages:
                    raise NotForPages(view.page)
                if not getattr(view, "is_quick", False):
                    require_recent_authentication(request.auth)
        return super().has_permission(request, view)
