"""API views that issue, renew and verify tokens, and the public keys that verify them."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.codes.services import Purpose
from accounts.common.api import Open, operation, valid
from accounts.common.client_info import ClientInfo, client_of
from accounts.sessions.current import session_of
from accounts.signin import mailed_codes
from accounts.signin.policy import reauthentication_methods
from accounts.signin.services import reauthenticate
from accounts.signin.session import record_api_reauthentication
from accounts.tokens import keyring, services
from accounts.tokens.authentication import HasOwnSession, is_token, login_of
from accounts.tokens.keyring import MAX_AGE
from accounts.tokens.serializers import (
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
    # Read once, because the body and the ETag of two reads might not match.
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

    ``send``: gets the login in the body, a nonce for the code, and the client.
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
        """Return the claims of a valid access token that this site issued for any audience."""
        data = valid(TokenSerializer(data=request.data))
        return Response(services.claims(data["token"], data.get("audience", "")))


def with_refresh(tokens: Tokens) -> dict[str, Any]:
    """Return the fields of :class:`TokensSerializer` for ``tokens``."""
    refresh = {"refresh": tokens.refresh} if tokens.refresh else {}
    return token_fields(tokens) | refresh
