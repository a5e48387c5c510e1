"""API views for pages in a browser: the refresh token is in a cookie that scripts cannot read.

A browser also sends the cookie with requests that a malicious page causes. Therefore these views
require an ``Origin`` that the operator has listed, and a header that forms cannot send. The cookie
is ``SameSite=Strict`` (ASVS 3.5.1, 3.5.2; OWASP Cross-Site Request Forgery Prevention).
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.common import clock
from accounts.common.api import Open, operation, valid
from accounts.common.client_info import client_of
from accounts.common.errors import PublicError
from accounts.common.pages import set_cookie
from accounts.sessions.models import LoginSession
from accounts.tokens import services
from accounts.tokens.authentication import login_of
from accounts.tokens.errors import InvalidToken
from accounts.tokens.serializers import (
    AccessSerializer,
    AppSignInSerializer,
    CodeSignInSerializer,
    TokenRequestSerializer,
    token_fields,
)
from accounts.tokens.services import Tokens

APP = LoginSession.Kind.APP
HEADER, VALUE = "X-Requested-With", "authsite"
# ``Origin`` is left out: browsers set it, and scripts cannot.
HEADERS = [OpenApiParameter(HEADER, location="header", required=True, enum=[VALUE])]


class WrongOrigin(PublicError):
    """The request comes from an origin that is not listed, or from a form."""

    code = "origin_not_allowed"
    status = 403
    message = _("Requests from this origin aren’t allowed here.")


class BrowserView(Open, APIView):
    """Base class of the views that answer only pages of this site and of ``CORS_ORIGINS``."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse requests from other origins before anything is looked up.

        Raises:
            WrongOrigin: ``Origin`` is not listed, or ``X-Requested-With`` is missing.
        """
        super().initial(request, *args, **kwargs)
        config = settings.AUTHSITE
        is_named = request.headers.get("Origin") in {config.origin, *config.cors_origins}
        is_script = request.headers.get(HEADER) == VALUE
        # Other methods are answered with 405, which reveals nothing.
        if request.method in self.allowed_methods and not (is_named and is_script):
            raise WrongOrigin


class SessionView(BrowserView):
    """Create and revoke the session of a page in a browser."""

    @operation(
        "sign_in_browser",
        AppSignInSerializer,
        {200: AccessSerializer, 202: None},
        parameters=HEADERS,
    )
    def post(self, request: Request) -> Response:
        """Sign in with a password or a passkey, or with a challenge and a code or a passkey.

        The response contains an access token. The refresh token is set as a cookie.
        """
        serializer, client = AppSignInSerializer(data=request.data), client_of(request)
        data, asked = valid(serializer), serializer.token_request(APP)
        challenge, response = data.get("challenge"), serializer.response
        if challenge and not response:
            services.mail_code(challenge, client, APP)
            return Response(status=202)
        if challenge and response:
            tokens = services.sign_in_again(
                challenge, response, client, APP, terms_version=asked.terms_version
            )
        elif "credential" in data:
            tokens = services.sign_in_by_passkey(data["credential"], asked, client)
        else:
            tokens = services.sign_in(*login_of(request, serializer), asked, client)
        return _replaced(request, tokens)

    @operation("end_browser_session", response=None, parameters=HEADERS)
    def delete(self, request: Request) -> Response:
        """Revoke the session that the cookie belongs to, and delete the cookie."""
        services.revoke(_token_of(request), client_of(request))
        return _set(Response(status=204), "", timedelta())


class SessionCodeView(BrowserView):
    """Sign in from a page in a browser with an emailed code."""

    @operation(
        "sign_in_browser_by_code", CodeSignInSerializer, AccessSerializer, parameters=HEADERS
    )
    def post(self, request: Request) -> Response:
        """Sign in with the code that `login/code/` has emailed.

        The response contains an access token. The refresh token is set as a cookie.
        """
        serializer = CodeSignInSerializer(data=request.data)
        data, asked = valid(serializer), serializer.token_request(APP)
        tokens = services.sign_in_by_code(
            data["challenge"], data["code"], asked, client_of(request)
        )
        return _replaced(request, tokens)


class SessionRefreshView(BrowserView):
    """Renew the tokens of a page in a browser."""

    @operation(
        "renew_browser_session", TokenRequestSerializer, AccessSerializer, parameters=HEADERS
    )
    def post(self, request: Request) -> Response:
        """Return a new access token, and replace the refresh token in the cookie."""
        serializer = TokenRequestSerializer(data=request.data)
        valid(serializer)
        asked = _token_of(request), serializer.token_request(APP), client_of(request)
        return _token_response(services.renew(*asked) or services.repeat(*asked))

    def handle_exception(self, exc: Exception) -> Response:
        """Return the response to ``exc``; delete the cookie if its refresh token is not valid."""
        response = super().handle_exception(exc)
        return _set(response, "", timedelta()) if isinstance(exc, InvalidToken) else response


def _replaced(request: Request, tokens: Tokens) -> Response:
    """Revoke the former session of the browser, and return the response with the new ``tokens``.

    The response replaces the cookie, which the browser needs to revoke the former session.
    """
    services.revoke(_token_of(request), client_of(request))
    return _token_response(tokens)


def _token_of(request: Request) -> str:
    return str(request.COOKIES.get(settings.REFRESH_COOKIE_NAME, ""))


def _token_response(tokens: Tokens) -> Response:
    life = tokens.session.ends_at - clock.now()
    return _set(Response(token_fields(tokens)), tokens.refresh, life)


def _set(response: Response, refresh: str, life: timedelta) -> Response:
    set_cookie(response, settings.REFRESH_COOKIE_NAME, refresh, life, samesite="Strict")
    return response
