"""API views of second factors, which work in the same way as the pages.

Only the person's own programs can change anything: no API key, no connected app, and no page in a
browser.
"""

from functools import partial
from typing import Any

from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.activity.services import Actor
from accounts.calls.idempotency import idempotent
from accounts.calls.serializers import require
from accounts.common.api import Open, TextField, operation, valid
from accounts.common.client_info import client_of
from accounts.common.pages import absolute
from accounts.common.proofs import Method, Proof
from accounts.common.text import refuse_invisible
from accounts.recovery import suspension
from accounts.sessions import services as sessions
from accounts.sessions.current import actor_of, session_of
from accounts.sessions.models import LoginSession
from accounts.signin import policy
from accounts.terms.forms import TermsSerializer
from accounts.tokens import services as tokens
from accounts.tokens.api import with_refresh
from accounts.tokens.authentication import ForOwnProgram, actor_by_proofs
from accounts.tokens.errors import InsufficientUserAuthentication
from accounts.tokens.serializers import CredentialField, TokensSerializer
from accounts.twofactor import models, passkeys, services, trusted_browsers
from accounts.twofactor.adding import SEED
from accounts.twofactor.errors import WrongFactorCode
from accounts.twofactor.forms import LONGEST_NAME
from accounts.twofactor.models import Authenticator, Passkey, TrustedBrowser
from accounts.twofactor.views import base32, otpauth_uri
from accounts.users.models import User


class OptionsSerializer(serializers.Serializer[Any]):
    """The options for showing a passkey (WebAuthn, ``PublicKeyCredentialRequestOptions``)."""

    challenge = serializers.CharField(help_text="Valid once, for five minutes. Base64url.")
    timeout = serializers.IntegerField(help_text="Milliseconds.")
    rpId = serializers.CharField(help_text="The domain to which passkeys of this site are bound.")  # noqa: N815 a name of WebAuthn
    allowCredentials = serializers.ListField(child=serializers.DictField())  # noqa: N815 as above
    userVerification = serializers.CharField()  # noqa: N815 as above


class RegistrationSerializer(serializers.Serializer[Any]):
    """The options for a new passkey (WebAuthn, ``PublicKeyCredentialCreationOptions``)."""

    rp = serializers.DictField()
    user = serializers.DictField()
    challenge = serializers.CharField(help_text="Valid once, for five minutes. Base64url.")
    pubKeyCredParams = serializers.ListField(child=serializers.DictField())  # noqa: N815 as above
    timeout = serializers.IntegerField(help_text="Milliseconds.")
    excludeCredentials = serializers.ListField(child=serializers.DictField())  # noqa: N815 as above
    authenticatorSelection = serializers.DictField()  # noqa: N815 as above
    attestation = serializers.CharField()


class AuthenticatorSerializer(serializers.ModelSerializer[Authenticator]):
    """An authenticator app."""

    class Meta:
        model = Authenticator
        fields = ("id", "name", "made_at", "used_at")


class PasskeySerializer(serializers.ModelSerializer[Passkey]):
    """A passkey or security key."""

    provider = serializers.CharField(help_text="Where it is stored; empty if unknown.")
    is_confirmed = serializers.BooleanField(
        source="confirmed", help_text="False if a browser has made it: it is no second factor yet."
    )

    class Meta:
        model = Passkey
        fields = (
            *("id", "name", "made_at", "used_at"),
            *("credential_id", "provider", "is_synced", "is_confirmed"),
        )


class TrustedBrowserSerializer(serializers.ModelSerializer[TrustedBrowser]):
    """A browser in which the second step is skipped."""

    device = serializers.CharField(source="__str__")

    class Meta:
        model = TrustedBrowser
        fields = ("id", "device", "made_at", "used_at", "ends_at")


class FactorsSerializer(serializers.Serializer[Any]):
    """The second factors of a person, oldest first, with recovery codes and trusted browsers."""

    authenticators = AuthenticatorSerializer(many=True)
    passkeys = PasskeySerializer(many=True)
    recovery_codes = serializers.IntegerField(help_text="How many unused ones are left.")
    are_codes_saved = serializers.BooleanField(
        help_text="Whether the person has typed a recovery code back."
    )
    emailed_codes = serializers.BooleanField(
        allow_null=True, help_text="Whether a code by email may follow the password; null: never."
    )
    trusted_browsers = TrustedBrowserSerializer(many=True)
    lock_url = serializers.CharField(help_text="The page that locks the account.")
    review_url = serializers.CharField(
        allow_null=True, help_text="The page of what a lock has suspended; null if nothing waits."
    )


class NameSerializer(serializers.Serializer[Any]):
    """The new name of a second factor."""

    name = TextField(max_length=LONGEST_NAME, validators=[refuse_invisible])


class NewFactorSerializer(serializers.Serializer[Any]):
    """The name of a new second factor."""

    name = TextField(
        required=False,
        allow_blank=True,
        max_length=LONGEST_NAME,
        validators=[refuse_invisible],
        help_text="A name helps the person to tell several apart.",
    )


class NewAuthenticatorSerializer(NewFactorSerializer):
    """The first code of an authenticator app."""

    setup = TextField(max_length=1000, help_text="As `factors/totp/setup/` has returned it.")
    code = TextField(max_length=64)


class NewPasskeySerializer(NewFactorSerializer):
    """The response of an authenticator to the options for a new passkey, and a name."""

    credential = CredentialField(required=True)


class SetupSerializer(serializers.Serializer[Any]):
    """The secret of a new authenticator app, which the site has not stored yet."""

    secret = serializers.CharField(help_text="For typing. Base32.")
    uri = serializers.CharField(help_text="For a QR code, or to open in an app.")
    setup = serializers.CharField(help_text="Send it with the first code, within an hour.")


class RecoveryCodesSerializer(serializers.Serializer[Any]):
    """New recovery codes, which no later response contains."""

    recovery_codes = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="Null in a repeated response."
    )


class AddedSerializer(RecoveryCodesSerializer):
    """A new second factor, with recovery codes if the account had none."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class EmailedCodesSerializer(serializers.Serializer[Any]):
    """Whether an emailed code is accepted as the second step after the password."""

    emailed_codes = serializers.BooleanField()


class EnrolmentChallengeSerializer(serializers.Serializer[Any]):
    """The challenge of an ``enrolment_required`` response."""

    challenge = TextField(max_length=100)


class EnrolmentSerializer(NewFactorSerializer, EnrolmentChallengeSerializer, TermsSerializer):
    """A challenge, and a new passkey or the setup and first code of an authenticator app."""

    setup = TextField(required=False, max_length=1000)
    code = TextField(required=False, max_length=64)
    credential = CredentialField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require the passkey, or the setup and the code; return ``attrs``."""
        require(attrs, ("credential",), ("setup", "code"))
        return attrs


class EnrolmentSetupSerializer(serializers.Serializer[Any]):
    """The values for adding an authenticator app or a passkey. One of the two is enough."""

    totp = SetupSerializer()
    passkey = RegistrationSerializer()


class EnrolledSerializer(TokensSerializer, RecoveryCodesSerializer):
    """The tokens of a sign-in that has added a second factor, and new recovery codes."""


class CodeSerializer(serializers.Serializer[Any]):
    """One of the recovery codes, typed back to show that they are saved."""

    code = TextField(max_length=64)


class SignInOptionsView(Open, APIView):
    """Return the options for signing in with a passkey."""

    @operation("passkey_sign_in_options", response=OptionsSerializer)
    def post(self, request: Request) -> Response:
        """Return the options with which any passkey of this site signs in.

        Send its response as `credential` to `token/` or `session/`.
        """
        return Response(passkeys.options_to_sign_in())


class FactorsOfPerson(APIView):
    """A view of the second factors of the person who makes the request."""

    area = "credentials"
    permission_classes = (ForOwnProgram,)
    page = "second_factors"
    is_quick = False

    @property
    def session(self) -> LoginSession:
        """The session of the request."""
        return session_of(self.request._request)

    @property
    def actor(self) -> Actor:
        """The user as an actor, with the proofs of the session."""
        return actor_by_proofs(self.request)

    def require_right_to_add(self) -> User:
        """Require that the session may add a second factor; return the user.

        Raises:
            InsufficientUserAuthentication: the person must sign in again, with more proofs.
        """
        if not policy.may_enrol(self.session):
            raise InsufficientUserAuthentication
        return self.session.user

    def added(self, method: Method, codes: list[str]) -> Response:
        """Record that the person has shown the new factor; return the response with it."""
        factor = services.find(self.session.user)
        client = client_of(self.request)
        sessions.record_reauthentication(self.session, Proof.now(method), client)
        made = {"id": factor.pk, "name": factor.name, **_shown(codes)}
        return Response(AddedSerializer(made).data, status=201)


class FactorsOfKind(FactorsOfPerson):
    """A view of second factors of one kind. Subclasses define ``model``."""

    model: type[Authenticator] | type[Passkey]

    def again(self, _request: Request, factor_id: str) -> Response:
        """Return the factor that an earlier request with the same key has added."""
        row = get_object_or_404(self.model, user=self.session.user, pk=factor_id)
        made = {"id": row.pk, "name": row.name, "recovery_codes": None}
        return Response(AddedSerializer(made).data)


class FactorOfKind(FactorsOfKind):
    """A view of one second factor."""

    def rename(self, request: Request, id: int) -> Response:
        """Rename the factor with this id."""
        name = valid(NameSerializer(data=request.data))["name"]
        if not services.rename(self.model, self.session.user, id, name, self.actor):
            raise Http404
        return Response({"name": name})

    def remove(self, id: int) -> Response:
        """Remove the factor with this id."""
        if not services.remove(self.model, self.session.user, id, self.actor):
            raise Http404
        return Response(status=204)


def _shown(codes: list[str]) -> dict[str, list[str]]:
    return {"recovery_codes": list(map(models.written, codes))}


class FactorsView(FactorsOfPerson):
    """Show the second factors, or turn emailed codes on or off."""

    @operation("get_factors", response=FactorsSerializer)
    def get(self, request: Request) -> Response:
        """Return your passkeys, authenticator apps, recovery codes and trusted browsers."""
        user, has = self.session.user, services.held(self.session.user)
        codes = has.recovery_codes
        shown = {
            "authenticators": has.authenticators,
            "passkeys": [*has.passkeys, *has.unconfirmed],
            "recovery_codes": codes.left if codes else 0,
            "are_codes_saved": bool(codes and codes.saved_at),
            "emailed_codes": user.emailed_codes if policy.may_use_emailed_codes(user) else None,
            "trusted_browsers": trusted_browsers.of(user),
            "lock_url": absolute("lockdown"),
            "review_url": absolute("review") if suspension.may_review(user) else None,
        }
        return Response(FactorsSerializer(shown).data)

    @operation("set_emailed_codes", EmailedCodesSerializer, EmailedCodesSerializer)
    def patch(self, request: Request) -> Response:
        """Set whether an emailed code is accepted as your second step after the password."""
        data, user = valid(EmailedCodesSerializer(data=request.data)), self.session.user
        if not policy.may_use_emailed_codes(user):
            sentence = _("Your account can’t use emailed codes.")
            raise serializers.ValidationError({"emailed_codes": [sentence]})
        services.set_emailed_codes(user, self.actor, is_on=data["emailed_codes"])
        return Response(data)


class SetupView(FactorsOfPerson):
    """Begin to add an authenticator app."""

    @operation("set_up_authenticator_app", response=SetupSerializer)
    def post(self, request: Request) -> Response:
        """Return a new secret for an authenticator app. Nothing is stored yet."""
        user = self.require_right_to_add()
        return Response(setup_of(user, str(self.session.pk)))


def setup_of(user: User, sign_in: str) -> dict[str, str]:
    """Return the fields of :class:`SetupSerializer` with a new secret.

    ``sign_in``: the id of the session or sign-in in which the app is to be added.
    """
    seed = services.new_seed()
    setup = SEED.seal(user, seed, sign_in)
    return {"secret": base32(seed), "uri": otpauth_uri(user, seed), "setup": setup}


def enrol(user: User, data: dict[str, Any], sign_in: str, actor: Actor) -> list[str]:
    """Add the authenticator app in ``data``; return new recovery codes if there were none.

    Raises:
        WrongFactorCode: the code is wrong, or ``setup`` is too old or from another sign-in.
        TooManyFactors, AccountChanged: as in ``services.enrol``.
    """
    seed = SEED.open(data["setup"], user, sign_in)
    if seed is None:
        raise WrongFactorCode
    return services.enrol(user, seed, data["code"], data.get("name", ""), actor)


class AuthenticatorsView(FactorsOfKind):
    """Add an authenticator app."""

    model = Authenticator

    @operation("add_authenticator_app", NewAuthenticatorSerializer, AddedSerializer, status=201)
    @idempotent(FactorsOfKind.again)
    def post(self, request: Request) -> Response:
        """Add an authenticator app, with its first code. Your other sessions end."""
        data = valid(NewAuthenticatorSerializer(data=request.data))
        user, actor = self.require_right_to_add(), actor_of(request._request)
        return self.added(Method.TOTP, enrol(user, data, str(self.session.pk), actor))


class RegistrationView(FactorsOfPerson):
    """Return the options with which a passkey is made."""

    @operation("passkey_registration_options", response=RegistrationSerializer)
    def post(self, request: Request) -> Response:
        """Return the options with which an app or a browser makes a passkey."""
        return Response(passkeys.options_to_add(self.require_right_to_add()))


class PasskeysView(FactorsOfKind):
    """Add the passkey that was made with the options of :class:`RegistrationView`."""

    model = Passkey

    @operation("add_passkey", NewPasskeySerializer, AddedSerializer, status=201)
    @idempotent(FactorsOfKind.again)
    def post(self, request: Request) -> Response:
        """Add a passkey. Your other sessions end."""
        data, user = valid(NewPasskeySerializer(data=request.data)), self.require_right_to_add()
        actor, name = actor_of(request._request), data.get("name", "")
        return self.added(Method.PASSKEY, passkeys.add(user, data["credential"], name, actor))


class EnrolmentSetupView(Open, APIView):
    """Begin to add the second factor that a sign-in requires."""

    @operation("set_up_enrolment", EnrolmentChallengeSerializer, EnrolmentSetupSerializer)
    def post(self, request: Request) -> Response:
        """Return what an authenticator app and a passkey need. Add one by `token/enrolment/`."""
        secret = valid(EnrolmentChallengeSerializer(data=request.data))["challenge"]
        user = tokens.find_enrolling(secret)
        return Response({"totp": setup_of(user, secret), "passkey": passkeys.options_to_add(user)})


def _add_factor(user: User, *, data: dict[str, Any], actor: Actor, codes: list[str]) -> Proof:
    """Add the factor in ``data`` to ``user``, and append new recovery codes to ``codes``."""
    if credential := data.get("credential"):
        codes += passkeys.add(user, credential, data.get("name", ""), actor)
        return Proof.now(Method.PASSKEY)
    codes += enrol(user, data, data["challenge"], actor)
    return Proof.now(Method.TOTP)


class EnrolmentView(Open, APIView):
    """Add the second factor that a sign-in requires."""

    @operation("complete_enrolment", EnrolmentSerializer, EnrolledSerializer)
    def post(self, request: Request) -> Response:
        """Add a second factor with the challenge of `enrolment_required`, and sign in.

        Only this response contains the recovery codes. Your other sessions end.
        """
        data, client = valid(EnrolmentSerializer(data=request.data)), client_of(request)
        codes: list[str] = []
        add = partial(_add_factor, data=data, actor=Actor(client), codes=codes)
        made = tokens.sign_in_by_enrolment(
            data["challenge"], add, client, terms_version=data.get("terms", "")
        )
        return Response({**with_refresh(made), **_shown(codes)})


class AuthenticatorView(FactorOfKind):
    """Rename or remove an authenticator app."""

    model = Authenticator

    @operation("rename_authenticator_app", NameSerializer, NameSerializer)
    def patch(self, request: Request, id: int) -> Response:
        """Rename an authenticator app."""
        return self.rename(request, id)

    @operation("remove_authenticator_app", response=None)
    def delete(self, request: Request, id: int) -> Response:
        """Remove an authenticator app. Your other sessions end."""
        return self.remove(id)


class PasskeyView(FactorOfKind):
    """Rename or remove a passkey."""

    model = Passkey

    @operation("rename_passkey", NameSerializer, NameSerializer)
    def patch(self, request: Request, id: int) -> Response:
        """Rename a passkey."""
        return self.rename(request, id)

    @operation("remove_passkey", response=None)
    def delete(self, request: Request, id: int) -> Response:
        """Remove a passkey. Your other sessions end."""
        return self.remove(id)


class CodesView(FactorsOfPerson):
    """Make new recovery codes."""

    def again(self, _request: Request, _user_id: str) -> Response:
        """Return null instead of the codes that an earlier request with the same key has made."""
        return Response({"recovery_codes": None})

    @operation("make_recovery_codes", response=RecoveryCodesSerializer, status=201)
    @idempotent(again)
    def post(self, request: Request) -> Response:
        """Replace your recovery codes. Your other sessions end."""
        made = services.make_recovery_codes(self.session.user, self.actor)
        return Response(_shown(made), status=201)


class SavedView(FactorsOfPerson):
    """Confirm that recovery codes are saved."""

    is_quick = True

    @operation("confirm_recovery_codes", CodeSerializer, None)
    def post(self, request: Request) -> Response:
        """Confirm that you have saved your recovery codes, with one of them. It stays valid."""
        code = valid(CodeSerializer(data=request.data))["code"]
        if not services.note_saved(self.session.user, code):
            sentence = _("This isn’t one of your recovery codes. Check the codes that you saved.")
            raise serializers.ValidationError({"code": [sentence]})
        return Response(status=204)


class TrustedBrowsersView(FactorsOfPerson):
    """End the trust in all browsers."""

    is_quick = True

    @operation("end_trust", response=None)
    def delete(self, request: Request) -> Response:
        """Require the second step again in all browsers."""
        trusted_browsers.end(self.session.user, self.actor)
        return Response(status=204)


class TrustedView(FactorsOfPerson):
    """End the trust in one browser."""

    is_quick = True

    @operation("end_trust_in_browser", response=None)
    def delete(self, request: Request, id: int) -> Response:
        """Require the second step again in one browser."""
        if not trusted_browsers.end(self.session.user, self.actor, id):
            raise Http404
        return Response(status=204)
