"""API views of second factors, which work as their pages do."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.common.api import Open
from accounts.twofactor import passkeys


class OptionsSerializer(serializers.Serializer[Any]):
    """The options for showing a passkey (WebAuthn, ``PublicKeyCredentialRequestOptions``)."""

    challenge = serializers.CharField(help_text="Valid once, for five minutes. Base64url.")
    timeout = serializers.IntegerField(help_text="Milliseconds.")
    rpId = serializers.CharField(help_text="The domain to which passkeys of this site are bound.")  # noqa: N815 a name of WebAuthn
    allowCredentials = serializers.ListField(child=serializers.DictField())  # noqa: N815 as above
    userVerification = serializers.CharField()  # noqa: N815 as above


class SignInOptionsView(Open, APIView):
    """Return what a passkey needs to sign in."""

    @extend_schema(
        operation_id="passkey_sign_in_options", request=None, responses={200: OptionsSerializer}
    )
    def post(self, request: Request) -> Response:
        """Return the options with which any passkey of this site signs in.

        Send its response as `credential` to `token/` or `session/`.
        """
        return Response(passkeys.options_to_sign_in())
