"""API views to sign up and to confirm the email address."""

from typing import Any, cast

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.calls.idempotency import idempotent
from accounts.calls.serializers import require
from accounts.codes.services import LinkEnded
from accounts.common.api import CanonicalField, Open, TextField, operation, valid
from accounts.common.client_info import client_of
from accounts.common.errors import InvitationRequired, SignupClosed
from accounts.common.pages import absolute
from accounts.common.text import canonical_code
from accounts.invitations import services as invitations
from accounts.invitations.models import Invitation
from accounts.passwords.api import NewPasswordField, refuse_guessable
from accounts.signup import services
from accounts.terms import services as terms
from accounts.terms.forms import TermsSerializer
from accounts.tokens.serializers import LinkTokenField
from accounts.users import emails, usernames
from accounts.users.models import User
from accounts.users.services import UsernameTaken


class NewUserSerializer(TermsSerializer):
    """The username, email address and password of a new account."""

    username = CanonicalField(usernames.clean, max_length=usernames.MAX_LENGTH)
    email = CanonicalField(emails.clean, max_length=emails.MAX_LENGTH)
    password = NewPasswordField(required=False)
    passkey = serializers.BooleanField(
        required=False,
        help_text="Sign up without a password (it is then ignored), and add a passkey later.",
    )

    def to_internal_value(self, data: Any) -> Any:
        # This reports a missing password together with the errors of other fields.
        self.fields["password"].required = not (
            isinstance(data, dict) and data.get("passkey") is True
        )
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a password that is common or resembles the username or email address."""
        if attrs.get("passkey"):
            return attrs | {"password": None}
        person = User(username=attrs["username"], email=attrs["email"])
        refuse_guessable(attrs["password"], person)
        return attrs


class SignupSerializer(serializers.Serializer[Any]):
    """A pending sign-up, or the user that it has become."""

    id = serializers.UUIDField()
    username = serializers.CharField()


class ResendSerializer(serializers.Serializer[Any]):
    """The email address and the username of a pending sign-up."""

    email = CanonicalField(emails.clean, max_length=emails.MAX_LENGTH)
    username = TextField(
        required=False,
        # The maximum length in the OpenAPI description also counts spaces. No username begins or
        # ends with a space.
        trim_whitespace=False,
        max_length=usernames.MAX_LENGTH,
        help_text="The username of the sign-up. Send it: several can be pending for one address.",
    )


class VerifySerializer(ResendSerializer):
    """The email address and the username of a pending sign-up, and the emailed code."""

    code = CanonicalField(canonical_code, max_length=64)


def again(_view: APIView, request: Request, signup_id: str) -> Response:
    """Return the response to a repeated sign-up.

    Nothing is looked up, because the response must not tell strangers whether the sign-up still
    exists.
    """
    return _signed_up(signup_id, usernames.clean(cast(Any, request.data)["username"]))


class UsersView(Open, APIView):
    """Create a pending sign-up."""

    @operation("sign_up", NewUserSerializer, SignupSerializer, status=201)
    @idempotent(again)
    def post(self, request: Request) -> Response:
        """Create a pending sign-up, and email a code. Confirming the code creates the user.

        With `passkey`, the first sign-in is with an emailed code (`login/code/`), and then adds a
        passkey (`passkeys/registration/`).

        If the email address already belongs to an account, the response is the same, and the owner
        is notified by email.
        """
        if settings.AUTHSITE.signup != "open":
            raise InvitationRequired if settings.AUTHSITE.signup == "invite" else SignupClosed
        data = valid(NewUserSerializer(data=request.data))
        terms.check(data.get("terms", ""))
        try:
            signup = services.sign_up(
                data["username"],
                data["email"],
                data["password"],
                client=client_of(request),
                wide_network=client_of(request).wide_network,
                terms_version=data.get("terms", ""),
            )
        except UsernameTaken as error:
            raise serializers.ValidationError({"username": [str(error)]}, error.code) from None
        return _signed_up(signup.pk, signup.username)


def _signed_up(signup_id: object, username: str) -> Response:
    headers = {"Location": absolute("api-user", signup_id)}
    return Response({"id": str(signup_id), "username": username}, status=201, headers=headers)


class InvitationTokenSerializer(serializers.Serializer[Any]):
    """The token of an invitation."""

    token = LinkTokenField()

    def invitation(self) -> Invitation:
        """Return the invitation.

        Raises:
            ValidationError: the invitation was accepted or revoked, or has expired.
        """
        found = invitations.find_by_link(valid(self)["token"])
        if found is None:
            raise _ended()
        return found


def _ended() -> serializers.ValidationError:
    return serializers.ValidationError({"token": [str(LinkEnded.message)]}, LinkEnded.code)


class InvitedSerializer(serializers.Serializer[Any]):
    """The email address that an invitation was sent to."""

    email = serializers.CharField()


class AcceptSerializer(InvitationTokenSerializer, TermsSerializer):
    """The token of an invitation, and the username and password of the new account."""

    username = CanonicalField(usernames.clean, max_length=usernames.MAX_LENGTH)
    password = NewPasswordField()


class InvitationView(Open, APIView):
    """Show the address of an invitation before it is accepted."""

    @operation("check_invitation", InvitationTokenSerializer, InvitedSerializer)
    def post(self, request: Request) -> Response:
        """Return the email address that an invitation was sent to."""
        return Response({"email": InvitationTokenSerializer(data=request.data).invitation().email})


class AcceptView(Open, APIView):
    """Sign up by invitation."""

    @operation("accept_invitation", AcceptSerializer, SignupSerializer, status=201)
    @idempotent(again)
    def post(self, request: Request) -> Response:
        """Create the account of an invited person, whose email address needs no other proof."""
        serializer = AcceptSerializer(data=request.data)
        invitation, data = serializer.invitation(), serializer.validated_data
        refuse_guessable(data["password"], User(username=data["username"], email=invitation.email))
        version = data.get("terms", "")
        terms.check(version)
        try:
            user = services.accept_invitation(
                data["token"],
                data["username"],
                data["password"],
                client_of(request),
                terms_version=version,
            )
        except UsernameTaken as error:
            raise serializers.ValidationError({"username": [str(error)]}, error.code) from None
        except LinkEnded:
            raise _ended() from None
        return _signed_up(user.pk, user.username)


class CorrectionSerializer(serializers.Serializer[Any]):
    """The username and password, or the id, of a pending sign-up, and its right email address."""

    username = TextField(required=False, max_length=usernames.MAX_LENGTH)
    password = TextField(required=False, trim_whitespace=False, style={"input_type": "password"})
    id = serializers.UUIDField(
        required=False, help_text="In place of the other two, for a sign-up with a passkey."
    )
    email = CanonicalField(emails.clean, max_length=emails.MAX_LENGTH)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require a password or an id that identifies the sign-up; return ``attrs``."""
        require(attrs, ("username", "password"), ("id",))
        return attrs


class CorrectView(Open, APIView):
    """Correct the email address of a pending sign-up."""

    @operation("correct_email", CorrectionSerializer, {200: None})
    def post(self, request: Request) -> Response:
        """Replace the email address of a pending sign-up, and email a code to the new one.

        The response is the same if an account has the new address. Earlier codes stop working.
        """
        data, client = valid(CorrectionSerializer(data=request.data)), client_of(request)
        if "id" in data:
            services.correct_email_by_id(data["id"], data["email"], client=client)
        else:
            services.correct_email_by_password(
                data["username"], data["password"], data["email"], client=client
            )
        return Response()


class VerifyView(Open, APIView):
    """Confirm the email address of a sign-up."""

    @operation("verify_email", VerifySerializer, SignupSerializer)
    def post(self, request: Request) -> Response:
        """Confirm the email address of a sign-up with the emailed code. This creates the user."""
        data = valid(VerifySerializer(data=request.data))
        user = services.confirm_by_email(
            data["email"], data["code"], client_of(request), username=data.get("username", "")
        )
        return Response(SignupSerializer(user).data)


class ResendView(Open, APIView):
    """Email another code."""

    @operation("resend_email", ResendSerializer, {200: None})
    def post(self, request: Request) -> Response:
        """Email another code if a sign-up with that email address is pending.

        The response is the same if no such sign-up is pending. Without a username, the newest
        sign-up from the same network gets the code, or the newest of all.
        """
        data = valid(ResendSerializer(data=request.data))
        services.send_again_to(
            data["email"],
            username=data.get("username", ""),
            client=client_of(request),
        )
        return Response()
