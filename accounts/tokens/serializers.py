"""Serializers of the API views for tokens."""

import json
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework import serializers

from accounts.calls.serializers import require
from accounts.common.api import CanonicalField, ChoiceField, TextField
from accounts.common.proofs import Assurance, Method
from accounts.common.text import canonical_code
from accounts.sessions.models import LoginSession
from accounts.terms.forms import TermsSerializer
from accounts.tokens import scopes
from accounts.tokens.services import TokenRequest, Tokens
from accounts.tokens.token_challenges import FactorResponse
from accounts.users import emails


class TokenRequestSerializer(serializers.Serializer[Any]):
    """The audience and the scope of the tokens that a client requests."""

    audience = TextField(
        required=False,
        max_length=255,
        help_text="The service that the access token is for: this site, or one of TOKEN_AUDIENCES.",
    )
    scope = TextField(
        required=False,
        max_length=255,
        help_text="Scopes, separated by spaces. Without this field, all that the client may have.",
    )

    def validate_audience(self, audience: str) -> str:
        """Accept only this site and ``TOKEN_AUDIENCES`` (RFC 8707 section 2)."""
        if audience not in (settings.AUTHSITE.origin, *settings.AUTHSITE.token_audiences):
            raise serializers.ValidationError(
                _("That service doesn’t exist."), code="invalid_target"
            )
        return audience

    def validate_scope(self, scope: str) -> frozenset[str]:
        try:
            # ``validate_audience`` refuses an unknown audience, for which no scopes are defined.
            return scopes.parse(scope, str(self.initial_data.get("audience", "")))
        except scopes.UnknownScope as error:
            raise serializers.ValidationError(str(error), code=error.code) from None

    def token_request(self, kind: LoginSession.Kind = LoginSession.Kind.API) -> TokenRequest:
        """Return the validated data as a :class:`TokenRequest` of a client of ``kind``."""
        data = self.validated_data
        audience = data.get("audience", settings.AUTHSITE.origin)
        return TokenRequest(audience, data.get("scope"), kind, data.get("terms", ""))


class CredentialField(serializers.DictField):
    """The response of a passkey, as ``PublicKeyCredential.toJSON()`` returns it; read as JSON."""

    def __init__(self, *, required: bool = False) -> None:
        super().__init__(
            required=required,
            allow_empty=False,
            help_text="The response of a passkey (WebAuthn), in JSON as browsers and apps make it.",
        )

    def to_internal_value(self, data: Any) -> str:  # type: ignore[override]  # text, as pages send
        return json.dumps(super().to_internal_value(data))


class LoginSerializer(serializers.Serializer[Any]):
    """A login: a username or an email address."""

    username = TextField(required=False, max_length=emails.MAX_LENGTH)
    email = TextField(required=False, max_length=emails.MAX_LENGTH)

    @property
    def login(self) -> str:
        """The username or the email address, or an empty text."""
        data = self.validated_data
        return str(data.get("username") or data.get("email") or "")


class SignInSerializer(TermsSerializer, TokenRequestSerializer, LoginSerializer):
    """A login, which is a username or an email address, and a password; or a passkey alone.

    Clients that use HTTP Basic leave these fields out.
    """

    password = TextField(required=False, trim_whitespace=False, style={"input_type": "password"})
    credential = CredentialField()

    @property
    def credentials(self) -> tuple[str, str]:
        """The login and the password.

        Raises:
            ValidationError: the login or the password is missing.
        """
        data = self.validated_data
        faults = {
            field: [_("This field is required.")]
            for field, is_there in (("username", self.login), ("password", "password" in data))
            if not is_there
        }
        if faults:
            raise serializers.ValidationError(faults, "required")
        return self.login, data["password"]


class NamedLoginSerializer(LoginSerializer):
    """The login of the account for which an email is requested."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require a login; return ``attrs``."""
        require(attrs, ("username",), ("email",))
        return attrs


# The length of the challenge for the longest possible login.
LONGEST_CHALLENGE = 2000


class MailedChallengeSerializer(serializers.Serializer[Any]):
    """The challenge to send together with the emailed code."""

    challenge = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds for which the code is valid.")


class MailedCodeSerializer(serializers.Serializer[Any]):
    """An emailed code, and the challenge that the request for it has returned."""

    challenge = TextField(max_length=LONGEST_CHALLENGE)
    code = CanonicalField(canonical_code, max_length=64)


class CodeSignInSerializer(TermsSerializer, TokenRequestSerializer, MailedCodeSerializer):
    """An emailed code, and the tokens that a client requests."""


def _response(data: dict[str, Any], name_of_code: str) -> FactorResponse | None:
    code, credential = data.get(name_of_code, ""), data.get("credential", "")
    return FactorResponse(code, credential) if code or credential else None


class SecondStepSerializer(TermsSerializer):
    """A challenge, and a code, the response of a passkey, or a request to have a code emailed."""

    challenge = TextField(max_length=100)
    code = TextField(required=False, max_length=64)
    credential = CredentialField()
    method = ChoiceField(
        ["email"], required=False, help_text="Send this instead of a code to have one emailed."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require a code, a passkey or a request for an emailed code; return ``attrs``."""
        require(attrs, ("code",), ("credential",), ("method",))
        return attrs

    @property
    def response(self) -> FactorResponse | None:
        """The code or the response of a passkey; None if a code must be emailed."""
        return _response(self.validated_data, "code")


class FactorSerializer(serializers.Serializer[Any]):
    """The proof of a second factor: a code or the response of a passkey."""

    factor_code = TextField(
        required=False, max_length=64, help_text="A code of an authenticator app or recovery code."
    )
    credential = CredentialField()

    @property
    def response(self) -> FactorResponse | None:
        """The code or the response of a passkey, or None."""
        return _response(self.validated_data, "factor_code")


class ReauthenticationSerializer(serializers.Serializer[Any]):
    """The proof of the person: a password, a code of a second factor or a passkey's response."""

    password = TextField(required=False, trim_whitespace=False, style={"input_type": "password"})
    code = TextField(required=False, max_length=64)
    credential = CredentialField()


class ReauthenticationMethodsSerializer(serializers.Serializer[Any]):
    """How the person can reauthenticate. If there is no method, only a new sign-in helps."""

    methods = serializers.ListField(
        child=serializers.ChoiceField(["passkey", "code", "password"]),
        help_text="`code` is a code of an authenticator app or a recovery code.",
    )
    options = serializers.DictField(
        required=False, help_text="For `passkey`: `PublicKeyCredentialRequestOptions` (WebAuthn)."
    )


class ReauthenticatedSerializer(serializers.Serializer[Any]):
    """When and how the person of the session has authenticated, as in the next access token."""

    auth_time = serializers.DateTimeField()
    amr = serializers.ListField(child=serializers.CharField())
    acr = serializers.CharField(source="claimed_acr")


class AppSignInSerializer(SecondStepSerializer, SignInSerializer):
    """The first or the second step of a sign-in from a page in a browser."""

    challenge = TextField(required=False, max_length=100)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require more than the challenge; return ``attrs``.

        Raises:
            ValidationError: there is only the challenge.
        """
        return super().validate(attrs) if "challenge" in attrs else attrs


class TokenField(TextField):
    """A string that is sent as a token. The services check whether the token is valid."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_blank=True, trim_whitespace=False, **options)

    def run_validators(self, value: Any) -> None:
        """Skip the validators of text.

        Therefore a text with a NUL character is reported as an invalid token, not as an invalid
        field.
        """


class LinkTokenField(TextField):
    """The secret of an emailed link."""

    def __init__(self, **options: Any) -> None:
        text = "The last part of the path of the emailed link."
        super().__init__(max_length=100, help_text=text, **options)


class RefreshSerializer(TokenRequestSerializer):
    """A refresh token, and the audience and scope of the new access token."""

    refresh = TokenField()


class TokenSerializer(serializers.Serializer[Any]):
    """An access token, and the service that verifies it."""

    token = TokenField()
    audience = TextField(
        required=False,
        max_length=255,
        help_text="Refuse tokens for any other service. Without it, the client must check `aud`.",
    )


class RevokeSerializer(serializers.Serializer[Any]):
    """A token to revoke."""

    token = TokenField()
    token_type_hint = TokenField(required=False, help_text="Not needed (RFC 7009 section 2.1).")


class AccessSerializer(serializers.Serializer[Any]):
    """An access token, its lifetime and its scope (RFC 6749 section 5.1)."""

    access = serializers.CharField(help_text="A JWT (RFC 9068).")
    token_type = serializers.CharField(default="Bearer")
    expires_in = serializers.IntegerField(help_text="Seconds.")
    scope = serializers.CharField()


class TokensSerializer(AccessSerializer):
    """An access token, its lifetime and its scope, and a refresh token."""

    refresh = serializers.CharField(
        required=False, help_text="Opaque. Missing if an access token was exchanged for this one."
    )


def token_fields(tokens: Tokens) -> dict[str, Any]:
    """Return the fields of :class:`AccessSerializer` for ``tokens``, without the refresh token."""
    return {
        "access": str(tokens.access),
        "token_type": "Bearer",
        "expires_in": tokens.access.expires_in,
        "scope": tokens.access["scope"],
    }


class ClaimsSerializer(serializers.Serializer[Any]):
    """The claims of an access token."""

    iss = serializers.CharField()
    sub = serializers.UUIDField()
    aud = serializers.CharField()
    exp = serializers.IntegerField()
    iat = serializers.IntegerField()
    nbf = serializers.IntegerField()
    jti = serializers.CharField()
    sid = serializers.UUIDField()
    scope = serializers.CharField()
    auth_time = serializers.IntegerField()
    amr = serializers.ListField(child=serializers.ChoiceField([*Method]))
    acr = serializers.ChoiceField([*Assurance])
    client_id = serializers.CharField()
    token_type = serializers.CharField()
    groups = serializers.ListField(child=serializers.CharField(), required=False)
    groups_omitted = serializers.BooleanField(
        required=False, help_text="True in place of `groups` that would make the token too long."
    )
    orig_iat = serializers.IntegerField(
        required=False, help_text="When the first token was issued, if this one was exchanged."
    )
