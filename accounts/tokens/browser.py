"""The calls of pages in a browser: as those for tokens, but the refresh token is in a cookie that
no script can read.

A cookie is sent by the browser, whoever makes it: so these calls ask for a header that a form
can't send and for an Origin that the operator has named, and the cookie is ``SameSite=Strict``
(ASVS 3.5.1, 3.5.2; OWASP Cross-Site Request Forgery Prevention).
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.common import clock
from accounts.common.api import Open, valid
from accounts.common.client_info import client_of
from accounts.common.errors import PublicError
from accounts.sessions.models import LoginSession
from accounts.tokens import services
from accounts.tokens.authentication import login_of
from accounts.tokens.errors import InvalidToken
from accounts.tokens.serializers import (
    AccessSerializer,
    AppSignInSerializer,
    TokenRequestSerializer,
    answer_of,
)
from accounts.tokens.services import Tokens

APP = LoginSession.Kind.APP
HEADER, VALUE = "X-Requested-With", "authsite"
HEADERS = [
    OpenApiParameter(HEADER, location="header", required=True, enum=[VALUE]),
    OpenApiParameter("Origin", location="header", required=True),
]


class WrongOrigin(PublicError):
    """A page that the operator hasn't named, or a form of any page."""

    code = "origin_not_allowed"
    status = 403
    message = _("This page may not do that.")


class BrowserView(Open, APIView):
    """Answers pages of this site and of ``CORS_ORIGINS``, and nobody else."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """:class:`WrongOrigin`. Without the cookie of the call: nothing has been looked up yet."""
        super().initial(request, *args, **kwargs)
        config = settings.AUTHSITE
        is_named = request.headers.get("Origin") in {config.origin, *config.cors_origins}
        is_script = request.headers.get(HEADER) == VALUE
        # By another method than these there is nothing to protect, and 405 says so.
        if request.method in self.allowed_methods and not (is_named and is_script):
            raise WrongOrigin


class SessionView(BrowserView):
    """Sign in, and out."""

    @extend_schema(
        operation_id="sign_in_browser",
        request=AppSignInSerializer,
        responses={200: AccessSerializer, 202: None},
        parameters=HEADERS,
    )
    def post(self, request: Request) -> Response:
        """An access token for a password, or for a challenge and a code; the rest is a cookie."""
        asked, client = AppSignInSerializer(data=request.data), client_of(request)
        data = valid(asked)
        if "challenge" in data and "code" not in data:
            services.mail_code(data["challenge"], client, APP)
            return Response(status=202)
        if "challenge" in data:
            tokens = services.sign_in_again(data["challenge"], data["code"], client, APP)
        else:
            tokens = services.sign_in(*login_of(request, asked), asked.token_request(APP), client)
        # Whoever was signed in here before isn't any more: nobody could end that sign-in here.
        services.revoke(_token_of(request), client)
        return _answer(tokens)

    @extend_schema(operation_id="end_browser_session", responses={204: None}, parameters=HEADERS)
    def delete(self, request: Request) -> Response:
        """End the sign-in of the cookie, if it's one."""
        services.revoke(_token_of(request), client_of(request))
        return _forget(Response(status=204))


class SessionRefreshView(BrowserView):
    """Renew."""

    @extend_schema(
        operation_id="renew_browser_session",
        request=TokenRequestSerializer,
        responses={200: AccessSerializer},
        parameters=HEADERS,
    )
    def post(self, request: Request) -> Response:
        """A new access token for the cookie, which is renewed as well."""
        asked = TokenRequestSerializer(data=request.data)
        valid(asked)
        return _answer(
            services.renew(_token_of(request), asked.token_request(APP), client_of(request))
        )

    def handle_exception(self, exc: Exception) -> Response:
        """What isn't good any more is forgotten."""
        response = super().handle_exception(exc)
        return _forget(response) if isinstance(exc, InvalidToken) else response


def _token_of(request: Request) -> str:
    return str(request.COOKIES.get(settings.REFRESH_COOKIE_NAME, ""))


def _answer(tokens: Tokens) -> Response:
    life = tokens.session.ends_at - clock.now()
    return _set(Response(answer_of(tokens)), tokens.refresh, life)


def _forget(response: Response) -> Response:
    return _set(response, "", timedelta(0))


def _set(response: Response, refresh: str, life: timedelta) -> Response:
    response.set_cookie(
        settings.REFRESH_COOKIE_NAME,
        refresh,
        max_age=life,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
    return response
