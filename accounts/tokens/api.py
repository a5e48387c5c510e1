"""API views that issue, renew and verify tokens, and the public keys that verify them.

For pages in a browser, the refresh token is in a cookie that scripts cannot read. A browser also
sends the cookie with requests that a malicious page causes. Therefore the views below ``session/``
require an ``Origin`` that the operator has listed, and a header that forms cannot send. The cookie
is ``SameSite=Strict`` (ASVS 3.5.1, 3.5.2; OWASP Cross-Site Request Forgery Prevention).
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.codes.services import Purpose
from accounts.common import clock
from accounts.common.api import Open, operation, valid
from accounts.common.client_info import ClientInfo, client_of
from accounts.common.errors import PublicError
from accounts.common.pages import set_cookie
from accounts.sessions.current import session_of
from accounts.sessions.models import LoginSession
from accounts.signin import mailed_codes
from accounts.signin.policy import reauthentication_methods
from accounts.signin.services import reauthenticate
from accounts.signin.session import record_api_reauthentication
from accounts.tokens import keyring, services
from accounts.tokens.authentication import HasOwnSession, is_token, login_of
from accounts.tokens.errors import InvalidToken
from accounts.tokens.keyring import MAX_AGE
from accounts.tokens.serializers import (
    AccessSerializer,
    AppSignInSerializer,
    ClaimsSerializer,
    CodeSignInSerializer,
    MailedChallengeSerializer,
    NamedLoginSerializer,
    ReauthenticatedSerializer,
    ReauthenticationMethodsSerializer,
    ReauthenticationSerializer,
    RefreshSerializer,
    SecondStepSerializer,
    SignInSerializer,
    TokenRequestSerializer,
    TokenSerializer,
    TokensSerializer,
    token_fields,
)
from accounts.tokens.services import Tokens
from accounts.twofactor import passkeys


@login_not_required
@require_safe
def jwks(request: HttpRequest) -> HttpResponseBase:
    """Return the JWK set (RFC 7517 section 5), or status 304 if the client's copy is current."""
    # Read only once, because the body and the ETag of two reads might not match.
    published = keyring.jwks()
    age = int(MAX_AGE.total_seconds())
    response = HttpResponse(
        published.body,
        content_type="application/json",
        headers={"Cache-Control": f"public, max-age={age}", "ETag": published.etag},
    )
    return get_conditional_response(request, etag=published.etag, response=response) or response


class TokenView(Open, APIView):
    """Sign in to the API with a password or a passkey."""

    @operation("sign_in", SignInSerializer, TokensSerializer)
    def post(self, request: Request) -> Response:
        """Sign in with a password, in the body or by HTTP Basic, or with a passkey (`credential`).

        The username of HTTP Basic may also be an access token. The password is then ignored. The
        response contains a new access token for the session and audience of the old one, and no
        refresh token. Such an exchange is possible until EXCHANGE_SECONDS after the first token in
        the chain of exchanges was issued.
        """
        client = client_of(request)
        serializer = SignInSerializer(data=request.data)
        data, asked = valid(serializer), serializer.token_request()
        if "credential" in data:
            return Response(
                with_refresh(services.sign_in_by_passkey(data["credential"], asked, client))
            )
        login, password = login_of(request, serializer)
        if is_token(login):
            tokens = services.exchange(*services.read(login), asked, client)
        else:
            tokens = services.sign_in(login, password, asked, client)
        return Response(with_refresh(tokens))


class ChallengeView(Open, APIView):
    """Complete a sign-in to the API with a second factor."""

    @operation("complete_sign_in", SecondStepSerializer, {200: TokensSerializer, 202: None})
    def post(self, request: Request) -> Response:
        """Complete a sign-in with a code or a passkey, or request a code by email (status 202)."""
        serializer, client = SecondStepSerializer(data=request.data), client_of(request)
        data = valid(serializer)
        if response := serializer.response:
            tokens = services.sign_in_again(
                data["challenge"], response, client, terms_version=data.get("terms", "")
            )
            return Response(with_refresh(tokens))
        services.mail_code(data["challenge"], client)
        return Response(status=202)


class LoginCodeView(Open, APIView):
    """Email a code to sign in with."""

    @operation("request_sign_in_code", NamedLoginSerializer, MailedChallengeSerializer, status=202)
    def post(self, request: Request) -> Response:
        """Email a sign-in code to an account, if there is one with this username or email address.

        The response is the same if there is none. The code is accepted only with `challenge`.
        """
        return mailed_challenge(request, mailed_codes.CODE, mailed_codes.send_code)


def mailed_challenge(
    request: Request, purpose: Purpose, send: Callable[[str, str, ClientInfo], object]
) -> Response:
    """Email a code with ``send``, and return the response with the challenge of the code.

    ``send``: sends the email, given the login in the body, a nonce for the code, and the client.
    """
    serializer = NamedLoginSerializer(data=request.data)
    valid(serializer)
    login, nonce = serializer.login, mailed_codes.new_nonce()
    send(login, nonce, client_of(request))
    challenge = mailed_codes.challenge_of(purpose, login, nonce)
    life = int(purpose.life.total_seconds())
    return Response({"challenge": challenge, "expires_in": life}, status=202)


class CodeSignInView(Open, APIView):
    """Sign in to the API with an emailed code."""

    @operation("sign_in_by_code", CodeSignInSerializer, TokensSerializer)
    def post(self, request: Request) -> Response:
        """Sign in with an emailed code, which allows five attempts.

        If the account has a second factor, a second step follows, as after a password.
        """
        serializer = CodeSignInSerializer(data=request.data)
        data = valid(serializer)
        tokens = services.sign_in_by_code(
            data["challenge"], data["code"], serializer.token_request(), client_of(request)
        )
        return Response(with_refresh(tokens))


class RefreshView(Open, APIView):
    """Exchange a refresh token for new tokens."""

    @operation("renew_token", RefreshSerializer, TokensSerializer)
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for a new access token and a new refresh token.

        Each refresh token works once. A client that did not receive the response may repeat the
        request within REFRESH_GRACE_SECONDS. It then receives the refresh token that the lost
        response contained. If a refresh token is used again later, or after its successor was used,
        the session is revoked.
        """
        serializer = RefreshSerializer(data=request.data)
        data = valid(serializer)
        asked = data["refresh"], serializer.token_request(), client_of(request)
        return Response(with_refresh(services.renew(*asked) or services.repeat(*asked)))


class ReauthenticateView(APIView):
    """Reauthenticate the person of a session (RFC 9470)."""

    permission_classes = (HasOwnSession,)
    page = "account_reauthenticate"

    @operation("get_reauthentication", response=ReauthenticationMethodsSerializer)
    def get(self, request: Request) -> Response:
        """Return how the person can reauthenticate, with new options for a passkey."""
        session = session_of(request._request)
        methods = [
            name for name, is_one in vars(reauthentication_methods(session)).items() if is_one
        ]
        options = passkeys.options_for_second_step(session.user) if "passkey" in methods else None
        return Response({"methods": methods} | ({"options": options} if options else {}))

    @operation("reauthenticate", ReauthenticationSerializer, ReauthenticatedSerializer)
    def post(self, request: Request) -> Response:
        """Renew the authentication time of the session, in place of a new sign-in.

        Calls that require recent authentication then accept the access token at hand. For other
        services, refresh it. Tokens and their session end when they would have ended anyway.
        """
        session, client = session_of(request._request), client_of(request)
        shown = valid(ReauthenticationSerializer(data=request.data))
        record_api_reauthentication(session, reauthenticate(session, client, **shown), client)
        return Response(ReauthenticatedSerializer(session).data)


class VerifyView(Open, APIView):
    """Verify an access token for a client that cannot check signatures itself."""

    @operation("verify_token", TokenSerializer, ClaimsSerializer)
    def post(self, request: Request) -> Response:
        """Return the claims of a valid access token that this site issued, but not to an app.

        ``audience``, if given, is the only audience that is accepted.
        """
        data = valid(TokenSerializer(data=request.data))
        return Response(services.claims(data["token"], data.get("audience", "")))


def with_refresh(tokens: Tokens) -> dict[str, Any]:
    """Return the fields of :class:`TokensSerializer` for ``tokens``."""
    refresh = {"refresh": tokens.refresh} if tokens.refresh else {}
    return token_fields(tokens) | refresh


APP = LoginSession.Kind.APP
HEADER, VALUE = "X-Requested-With", "authsite"
# ``Origin`` is left out, because browsers set it, and scripts cannot.
HEADERS = [OpenApiParameter(HEADER, location="header", required=True, enum=[VALUE])]


class WrongOrigin(PublicError):
    """The request comes from an origin that is not listed, or from a form."""

    code = "origin_not_allowed"
    status = 403
    message = _("Requests from this origin aren’t allowed here.")


class BrowserView(Open, APIView):
    """The base class of views that answer only pages of this site and of ``CORS_ORIGINS``."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse requests from other origins before anything is looked up.

        Raises:
            WrongOrigin: ``Origin`` is not listed, or ``X-Requested-With`` is missing.
        """
        super().initial(request, *args, **kwargs)
        config = settings.AUTHSITE
        is_named = request.headers.get("Origin") in {config.origin, *config.cors_origins}
        is_script = request.headers.get(HEADER) == VALUE
        # Requests with other methods get status 405, which reveals nothing.
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
        """Revoke the session of the cookie, and delete the cookie."""
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
        """Return the response for ``exc``; delete the cookie if its refresh token is not valid."""
        response = super().handle_exception(exc)
        return _set(response, "", timedelta()) if isinstance(exc, InvalidToken) else response


def _replaced(request: Request, tokens: Tokens) -> Response:
    """Revoke the former session of the browser, and return the response with the new ``tokens``.

    The response replaces the cookie, which is needed to find the former session.
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
