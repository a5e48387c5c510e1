"""API views that measure, change, set and reset passwords."""

from dataclasses import asdict
from functools import partial
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy
from rest_framework import serializers
from rest_framework.fields import get_error_detail
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.calls.serializers import require
from accounts.codes.services import LinkEnded, WrongCode
from accounts.common.api import CanonicalField, Open, TextField, TextListField, operation, valid
from accounts.common.client_info import client_of
from accounts.common.errors import PublicError
from accounts.common.text import canonical_code
from accounts.passwords import changes
from accounts.passwords.changes import Reset
from accounts.passwords.hashers import MAX_LENGTH
from accounts.passwords.strength import MOST_WORDS, measure_for
from accounts.sessions.current import actor_without_session_of
from accounts.signin import mailed_codes
from accounts.tokens.api import mailed_challenge
from accounts.tokens.authentication import ForOwnProgram, actor_by_proofs
from accounts.tokens.serializers import (
    LONGEST_CHALLENGE,
    FactorSerializer,
    LinkTokenField,
    MailedChallengeSerializer,
    NamedLoginSerializer,
)
from accounts.users.models import User


class NewPasswordField(TextField):
    """A field for a new password of 12 to 1,024 characters (NIST SP 800-63B)."""

    def __init__(self, *, required: bool = True) -> None:
        super().__init__(
            required=required,
            trim_whitespace=False,
            min_length=settings.AUTHSITE.shortest_password,
            max_length=MAX_LENGTH,
            style={"input_type": "password"},
        )


def refuse_guessable(password: str, user: User) -> None:
    """Refuse a password that is common, or resembles the data of ``user``.

    Raises:
        ValidationError: the password is easy to guess.
    """
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise serializers.ValidationError({"password": get_error_detail(error)}) from None


class WrongState(PublicError):
    """A first password was set although there is one, or a password was changed without one."""

    code = "not_possible"

    def __init__(self, *, has_password: bool) -> None:
        super().__init__()
        self.message = HAS_PASSWORD if has_password else HAS_NONE


HAS_PASSWORD = gettext_lazy("Your account has a password already. Change it instead.")
HAS_NONE = gettext_lazy("Your account has no password yet. Set a first one instead.")


class NewPasswordSerializer(serializers.Serializer[Any]):
    """The password that the account gets, and the API keys to revoke with the change."""

    password = NewPasswordField()
    end_keys = TextListField(
        required=False, help_text="IDs of API keys to revoke, beside those of ended sessions."
    )


class ChangeView(APIView):
    """Change the password of the user who makes the request."""

    area = "credentials"
    permission_classes = (ForOwnProgram,)
    page = "account_change_password"
    has_password = True

    @operation("change_password", NewPasswordSerializer, None)
    def post(self, request: Request) -> Response:
        """Change the password. Requires authentication in the last ten minutes.

        All other sessions are revoked, with the API keys that were created in them.
        """
        return self.change(request)

    def change(self, request: Request) -> Response:
        """Set the password in the body of the request."""
        user = cast(User, request.user)
        data = valid(NewPasswordSerializer(data=request.data))
        if user.has_usable_password() is not self.has_password:
            raise WrongState(has_password=not self.has_password)
        refuse_guessable(data["password"], user)
        keys = data.get("end_keys", ())
        changes.change(user, data["password"], actor_by_proofs(request), end_keys=keys)
        return Response(status=204)


class SetView(ChangeView):
    """Set a first password of the user who makes the request."""

    page = "account_set_password"
    has_password = False

    @operation("set_password", NewPasswordSerializer, None)
    def post(self, request: Request) -> Response:
        """Set a first password. Requires authentication in the last ten minutes.

        All other sessions are revoked, with the API keys that were created in them.
        """
        return self.change(request)


class ResetView(Open, APIView):
    """Email a link and a code to set a new password."""

    @operation(
        "request_password_reset", NamedLoginSerializer, MailedChallengeSerializer, status=202
    )
    def post(self, request: Request) -> Response:
        """Email a link and a code to an account, if there is one with this username or email.

        The response is the same if there is none. The code is accepted only with `challenge`.
        """
        return mailed_challenge(request, changes.CODE, partial(changes.send_reset, has_code=True))


class ResetProofSerializer(serializers.Serializer[Any]):
    """The emailed code with its challenge, or the token of the emailed link."""

    challenge = TextField(required=False, max_length=LONGEST_CHALLENGE)
    code = CanonicalField(canonical_code, required=False, max_length=64)
    token = LinkTokenField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require the token, or the code and the challenge; return ``attrs``."""
        require(attrs, ("challenge", "code"), ("token",))
        return attrs

    def find(self, request: Request) -> tuple[Reset, str]:
        """Return the reset, and the secret that will be used up.

        Raises:
            WrongCode: the token or the code is not valid.
            UsedUp, RateLimited: see :func:`changes.find_reset_by_code`.
        """
        data = self.validated_data
        if token := data.get("token"):
            if found := changes.find_reset(token):
                return found, token
            raise WrongCode
        login, nonce = mailed_codes.read_challenge(changes.CODE, data["challenge"])
        code = data["code"]
        return changes.find_reset_by_code(login, nonce, code, client_of(request)), code


class ResetUserSerializer(serializers.Serializer[Any]):
    """The account whose password is reset."""

    username = serializers.CharField()


class NewPasswordByResetSerializer(FactorSerializer, ResetProofSerializer):
    """What proves a reset, the new password, and the second factor if the account has one."""

    password = NewPasswordField()


class CheckResetView(Open, APIView):
    """Check the emailed code or link before a new password is typed."""

    @operation("check_password_reset", ResetProofSerializer, ResetUserSerializer)
    def post(self, request: Request) -> Response:
        """Return whose password the emailed code or link resets. It stays valid.

        With `second_factor_required`, send a second factor with the new password. A code allows
        five attempts, and each check is one.
        """
        serializer = ResetProofSerializer(data=request.data)
        valid(serializer)
        found, _secret = serializer.find(request)
        progress = changes.progress_with(found, None, actor_without_session_of(request._request))
        return Response({"username": progress.found.user.username})


class ConfirmResetView(Open, APIView):
    """Set a new password with the emailed code or link."""

    @operation("reset_password", NewPasswordByResetSerializer, ResetUserSerializer)
    def post(self, request: Request) -> Response:
        """Set a new password, and revoke every session of the account.

        Nobody is signed in: sign in with the new password. With `second_factor_required`, send the
        request again with a second factor, which is used up. If `recovery_required` is returned,
        the reset continues on the page behind the emailed link.
        """
        serializer = NewPasswordByResetSerializer(data=request.data)
        data, actor = valid(serializer), actor_without_session_of(request._request)
        found, secret = serializer.find(request)
        refuse_guessable(data["password"], found.user)
        hashed = changes.hash_for(found, data["password"])
        progress = changes.progress_with(found, serializer.response, actor)
        actor = actor.by(*(proof.method for proof in progress.proofs))
        shown = progress.shown
        try:
            changes.reset(found, secret, hashed, actor, end_keys=(), shown=shown)
        except LinkEnded:
            raise WrongCode from None
        return Response({"username": found.user.username})


class StrengthRequestSerializer(serializers.Serializer[Any]):
    """A password to measure, and words that attackers know."""

    password = TextField(
        trim_whitespace=False,
        allow_blank=True,
        max_length=MAX_LENGTH,
        style={"input_type": "password"},
    )
    words = TextListField(
        required=False, help_text=f"Such as the username; at most {MOST_WORDS} of them count."
    )


class StrengthSerializer(serializers.Serializer[Any]):
    """How hard a password is to guess."""

    score = serializers.IntegerField(min_value=0, max_value=4)
    label = serializers.CharField(  # type: ignore[assignment]  # the stubs mean the field's own
        help_text="The score in words."
    )
    advice = serializers.CharField(help_text="Empty if the score is 3 or 4.")


class StrengthView(Open, APIView):
    """Measure a password."""

    @operation("measure_password", StrengthRequestSerializer, StrengthSerializer)
    def post(self, request: Request) -> Response:
        """Return how hard a password is to guess. Nothing is stored."""
        data = valid(StrengthRequestSerializer(data=request.data))
        strength = measure_for(client_of(request), data["password"], data.get("words", ()))
        return Response(asdict(strength))
