"""The calls for tokens."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.common.api import Open, valid
from accounts.common.client_info import client_of
from accounts.tokens import services
from accounts.tokens.authentication import is_token, login_of
from accounts.tokens.serializers import (
    ClaimsSerializer,
    RefreshSerializer,
    SecondStepSerializer,
    SignInSerializer,
    TokenSerializer,
    TokensSerializer,
    answer_of,
)
from accounts.tokens.services import Tokens


class TokenView(Open, APIView):
    """Sign in."""

    @extend_schema(
        operation_id="sign_in", request=SignInSerializer, responses={200: TokensSerializer}
    )
    def post(self, request: Request) -> Response:
        """Tokens for a password, in the body or by HTTP Basic.

        HTTP Basic with an access token as user, and anything as password, gives a fresh access
        token of the same sign-in and for the same service, and no refresh token; only within
        EXCHANGE_SECONDS of the first token.
        """
        client = client_of(request)
        asked = SignInSerializer(data=request.data)
        valid(asked)
        name, password = login_of(request, asked)
        if is_token(name):
            held, session = services.read(name)
            return _answer(services.exchange(held, session, asked.token_request(), client))
        return _answer(services.sign_in(name, password, asked.token_request(), client))


class ChallengeView(Open, APIView):
    """The second step."""

    @extend_schema(
        operation_id="complete_sign_in",
        request=SecondStepSerializer,
        responses={200: TokensSerializer, 202: None},
    )
    def post(self, request: Request) -> Response:
        """Tokens for a code, after the first step; or a mail with one (202)."""
        data = valid(SecondStepSerializer(data=request.data))
        client = client_of(request)
        if "code" in data:
            return _answer(services.sign_in_again(data["challenge"], data["code"], client))
        services.mail_code(data["challenge"], client)
        return Response(status=202)


class RefreshView(Open, APIView):
    """Renew."""

    @extend_schema(
        operation_id="renew_token",
        request=RefreshSerializer,
        responses={200: TokensSerializer},
    )
    def post(self, request: Request) -> Response:
        """A new pair for a refresh token, which is used up.

        The same token again within REFRESH_GRACE_SECONDS, before its successor is used, gives the
        same successor: an answer may have been lost. Any other second use ends the sign-in.
        """
        asked = RefreshSerializer(data=request.data)
        data = valid(asked)
        return _answer(services.renew(data["refresh"], asked.token_request(), client_of(request)))


class VerifyView(Open, APIView):
    """Look at an access token."""

    @extend_schema(
        operation_id="verify_token", request=TokenSerializer, responses={200: ClaimsSerializer}
    )
    def post(self, request: Request) -> Response:
        """The claims of a live access token of this site, for whichever of its services."""
        return Response(services.claims(valid(TokenSerializer(data=request.data))["token"]))


def _answer(tokens: Tokens) -> Response:
    refresh = {"refresh": tokens.refresh} if tokens.refresh else {}
    return Response(answer_of(tokens) | refresh)
