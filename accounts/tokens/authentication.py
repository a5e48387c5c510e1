"""By what a call of the API is made: an access token, or by setting a password. Never a cookie."""

import base64
from dataclasses import dataclass
from typing import Any, override

from django.conf import settings
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication

from accounts.common.client_info import client_of
from accounts.common.proofs import Method
from accounts.sessions import current
from accounts.sessions.models import LoginSession
from accounts.signin.services import InvalidCredentials
from accounts.tokens import scopes, services
from accounts.users import emails
from accounts.users.models import User


@dataclass(frozen=True)
class Credentials:
    """``request.auth``: the scope of a call, and the session of its token.

    A call without a session is made by an API key, or by a password (``is_by_password``).
    """

    scope: frozenset[str]
    session: LoginSession | None = None
    is_by_password: bool = False

    @property
    def is_pages(self) -> bool:
        """Whether it's a token of a page in a browser, which a script there may have taken."""
        return self.session is not None and self.session.kind == LoginSession.Kind.APP


class Authentication(JWTAuthentication):
    """``Bearer``: an access token. ``Basic``: an access token and anything, or name and password.

    The latter costs a hash a call; what it must never be is a way round the second factor.
    """

    @override
    def authenticate(self, request: Request) -> tuple[User, Credentials] | None:  # type: ignore[override]
        """Who calls, and by what; None without credentials; a ``PublicError`` for wrong ones."""
        scheme, value = header_of(request)
        if scheme == "bearer":
            return self._by_token(request, value)
        if scheme != "basic":
            return None
        name, password = basic(value)
        if is_token(name):
            return self._by_token(request, name)
        if not settings.AUTHSITE.takes_basic:
            raise InvalidCredentials
        user = services.prove_by_password(name, password, client_of(request))
        current.set_api_auth(request._request, None, by=Method.PASSWORD)
        return user, Credentials(scopes.DEFAULT, is_by_password=True)

    @override
    def authenticate_header(self, request: Request) -> str:
        """No ``Basic``: browsers would ask for a password in a window of their own."""
        return "Bearer"

    def _by_token(self, request: Request, text: str) -> tuple[User, Credentials]:
        token, session = services.read(text, tells_expired=True)
        current.set_api_auth(request._request, session)
        return session.user, Credentials(token.scope, session)


def header_of(request: Any) -> tuple[str, str]:
    """The scheme, in lower case, and the rest of ``Authorization``; empty without one."""
    scheme, _, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return scheme.lower(), value.strip()


def basic(value: str) -> tuple[str, str]:
    """Name and password (RFC 7617 section 2, UTF-8); :class:`InvalidCredentials`."""
    try:
        name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        raise InvalidCredentials from None
    if not colon or "\0" in name:
        raise InvalidCredentials
    return name, password


def login_of(request: Request, asked: Any) -> tuple[str, str]:
    """Name and password: of the header, if there is one, else of the body."""
    scheme, value = header_of(request)
    found: tuple[str, str] = basic(value) if scheme == "basic" else asked.credentials
    return found


def is_token(name: str) -> bool:
    """Whether a Basic user is a token: longer than any name or address, as every token is."""
    return len(name) > emails.MAX_LENGTH
