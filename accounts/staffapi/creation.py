"""The call of the staff API that creates an account: by an invitation, or with a password hash."""

from dataclasses import replace
from typing import Any, cast

from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.activity.services import Actor
from accounts.calls.idempotency import idempotent
from accounts.calls.serializers import require
from accounts.common.api import CanonicalField, TextField, operation, valid
from accounts.invitations import services as invitations
from accounts.invitations.models import Invitation
from accounts.passwords import foreign
from accounts.passwords.notations import LONGEST
from accounts.profile.api import ProfileSerializer
from accounts.sessions.current import actor_of
from accounts.staffapi import services
from accounts.staffapi.api import FoundSerializer, FoundUsersView, ReasonSerializer
from accounts.staffapi.invitations import (
    SUGGESTED_DAYS,
    InvitationSerializer,
    NewInvitationSerializer,
)
from accounts.users import usernames
from accounts.users.models import User
from accounts.users.services import UsernameTaken

HASH = "password_hash"
# The members that only an invitation has, or only an account with a password hash.
OF_INVITATIONS = {"is_staff", "days"}
OF_ACCOUNTS = {"username", *ProfileSerializer().fields}


class NewAccountSerializer(ReasonSerializer, NewInvitationSerializer, ProfileSerializer):
    """An invitation, or an account with a password hash, which only API keys can create."""

    username = CanonicalField(usernames.clean, max_length=usernames.MAX_LENGTH, required=False)
    password_hash = TextField(
        max_length=LONGEST,
        required=False,
        help_text="A hash of another system, as `import_users` reads it. Only for API keys.",
    )

    def validate_password_hash(self, text: str) -> str:
        """Return the hash in the form in which it is stored."""
        try:
            return foreign.accept(text)
        except ValueError:
            raise serializers.ValidationError(
                _("The site can’t check passwords by this hash.")
            ) from None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what an invitation or an account with a password hash does not have."""
        if HASH in attrs:
            refused, sentence = attrs.keys() & OF_INVITATIONS, _("Only an invitation has this.")
        else:
            refused = attrs.keys() & OF_ACCOUNTS
            sentence = _("Only an account with a password hash has this.")
        if refused:
            raise serializers.ValidationError({name: [sentence] for name in sorted(refused)})
        if HASH in attrs:
            require(attrs, ("username",))
        return attrs


class CreatedSerializer(serializers.Serializer[Any]):
    """What was created; the other member is null."""

    account = FoundSerializer(allow_null=True)
    invitation = InvitationSerializer(allow_null=True)


def create(request: Request, actor: Actor, data: Any, *, is_limited: bool = True) -> Response:
    """Create the account or the invitation that ``data`` describes, and return the response.

    ``actor``: the member of staff, API key and client of ``request``.
    ``is_limited``: see :func:`services.create`.

    Raises:
        ValidationError: ``data`` is not valid.
        PublicError: the service refuses it.
    """
    staff = cast(User, request.user)
    asked = valid(NewAccountSerializer(data=data, context={"staff": staff}))
    actor = replace(actor, reason=asked.pop("reason"))
    if HASH not in asked:
        invitation = invitations.invite(staff, actor=actor, **{"days": SUGGESTED_DAYS, **asked})
        return _created(request, invitation)
    names = ("username", "email", "groups")
    given = {name: asked.pop(name) for name in names if name in asked}
    password = asked.pop(HASH)
    try:
        user = services.create(
            staff, actor, password=password, profile=asked, is_limited=is_limited, **given
        )
    except UsernameTaken as error:
        raise serializers.ValidationError({"username": [str(error)]}, error.code) from None
    return _created(request, user)


def again(request: Request, pk: str) -> Response:
    """Return the response about the account or invitation with this id, as it is now."""
    user = User.objects.filter(pk=pk).first()
    return _created(request, user or get_object_or_404(Invitation, pk=pk))


def _created(request: Request, made: User | Invitation) -> Response:
    is_account = isinstance(made, User)
    found = {"account": made if is_account else None, "invitation": None if is_account else made}
    body = CreatedSerializer(found, context={"request": request}).data
    return Response(body, status=201)


class UsersView(FoundUsersView):
    """Find users and sign-ups, or create an account."""

    def _again(self, request: Request, pk: str) -> Response:
        return again(request, pk)

    @operation("create_account", NewAccountSerializer, CreatedSerializer, status=201)
    @idempotent(_again)
    def post(self, request: Request) -> Response:
        """Invite a person by email, or create an account with a password hash.

        Both need the right to invite. With `password_hash`, `username` is required, and an API key
        that may act. The person signs in with the username; the address waits for its
        confirmation. Without it, the answer is the same if the address has an account.
        """
        return create(request, actor_of(request._request), request.data)
