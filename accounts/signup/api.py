"""A sign-up, as JSON."""

from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.common.api import Open, TextField, valid
from accounts.common.client_info import client_of
from accounts.common.links import absolute
from accounts.common.text import canonical_code
from accounts.passwords.hashers import MAX_LENGTH
from accounts.passwords.services import MIN_LENGTH
from accounts.signup import services
from accounts.signup.errors import SignupClosed
from accounts.users import emails, usernames
from accounts.users.models import User
from accounts.users.services import UsernameTaken


class AddressField(TextField):
    """An email address, clean."""

    def to_internal_value(self, data: Any) -> str:
        """As :func:`accounts.users.emails.clean`."""
        return emails.clean(super().to_internal_value(data))


class UsernameField(TextField):
    """A new username, clean; whether it's free is decided by the database."""

    def to_internal_value(self, data: Any) -> str:
        """As :func:`accounts.users.usernames.clean`."""
        return usernames.clean(super().to_internal_value(data))


class NewUserSerializer(serializers.Serializer[Any]):
    """What a new account needs."""

    username = UsernameField(max_length=usernames.MAX_LENGTH)
    email = AddressField(max_length=emails.MAX_LENGTH)
    password = TextField(
        trim_whitespace=False,
        min_length=MIN_LENGTH,
        max_length=MAX_LENGTH,
        style={"input_type": "password"},
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a password that anybody would guess, for this person or for all."""
        person = User(username=attrs["username"], email=attrs["email"])
        try:
            validate_password(attrs["password"], person)
        except ValidationError as error:
            raise serializers.ValidationError({"password": error.messages}) from None
        return attrs


class SignupSerializer(serializers.Serializer[Any]):
    """A sign-up, or the user that it has become."""

    id = serializers.UUIDField()
    username = serializers.CharField()


class ResendSerializer(serializers.Serializer[Any]):
    """An address; and the name, so that no stranger's sign-up at the same address is meant."""

    email = AddressField(max_length=emails.MAX_LENGTH)
    username = TextField(
        required=False,
        # The description counts every character, and no name begins or ends with a space.
        trim_whitespace=False,
        max_length=usernames.MAX_LENGTH,
        help_text="The sign-up that is meant, since others may wait for the same address. Send it.",
    )


class VerifySerializer(ResendSerializer):
    """The same and the code that was mailed to it."""

    code = TextField(max_length=64)


class UsersView(Open, APIView):
    """Sign up."""

    @extend_schema(
        operation_id="sign_up", request=NewUserSerializer, responses={201: SignupSerializer}
    )
    def post(self, request: Request) -> Response:
        """A sign-up, which a code makes a user: it's mailed to the address.

        At an address that belongs to an account the answer is the same, and its owner is told.
        """
        if settings.AUTHSITE.signup != "open":
            raise SignupClosed
        data = valid(NewUserSerializer(data=request.data))
        try:
            signup = services.sign_up(
                data["username"],
                data["email"],
                data["password"],
                client=client_of(request),
            )
        except UsernameTaken as error:
            raise serializers.ValidationError({"username": [str(error)]}) from None
        headers = {"Location": absolute("api-user", signup.pk)}
        return Response(SignupSerializer(signup).data, status=201, headers=headers)


class VerifyView(Open, APIView):
    """Confirm an address."""

    @extend_schema(
        operation_id="verify_email", request=VerifySerializer, responses={200: SignupSerializer}
    )
    def post(self, request: Request) -> Response:
        """The user that the sign-up has become."""
        data = valid(VerifySerializer(data=request.data))
        code = canonical_code(data["code"])
        user = services.confirm_by_address(
            data["email"], code, client_of(request), username=data.get("username", "")
        )
        return Response(SignupSerializer(user).data)


class ResendView(Open, APIView):
    """Another mail."""

    @extend_schema(operation_id="resend_email", request=ResendSerializer, responses={200: None})
    def post(self, request: Request) -> Response:
        """Mail another code if a sign-up waits for that address. The answer never tells."""
        data = valid(ResendSerializer(data=request.data))
        services.send_again_to(
            data["email"],
            username=data.get("username", ""),
            client=client_of(request),
        )
        return Response()
