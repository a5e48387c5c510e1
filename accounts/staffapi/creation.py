"""The calls of the staff API that create accounts, also with password hashes of another system.

Others list, send and revoke invitations.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, cast

from django.contrib.auth.models import Group
from django.db import transaction
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import generics, serializers, views
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.activity import events
from accounts.activity.models import LONGEST_REASON
from accounts.activity.services import Actor, record
from accounts.administration import acts, changes
from accounts.administration.roles import NotInRole
from accounts.calls import services as calls
from accounts.calls.idempotency import idempotent
from accounts.calls.serializers import require
from accounts.common import clock
from accounts.common.api import CanonicalField, TextField, TextListField, operation, valid
from accounts.emails.models import PendingEmail
from accounts.imports.models import UNVERIFIED_LIFE
from accounts.invitations import services as invitations
from accounts.invitations.models import Invitation
from accounts.passwords import foreign
from accounts.passwords.notations import LONGEST
from accounts.profile.api import ProfileSerializer
from accounts.sessions.current import actor_of
from accounts.staffapi.api import ForStaff, FoundSerializer, FoundUsersView, ReasonSerializer
from accounts.users import emails, usernames
from accounts.users import services as users
from accounts.users.forms import refuse_controls
from accounts.users.models import User
from accounts.users.rights import ACTING, groups_to_give, role_of
from accounts.users.services import UsernameTaken

SUGGESTED_DAYS = 7


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    """An invitation that was neither accepted nor revoked."""

    groups = serializers.SerializerMethodField()
    invited_by = serializers.CharField(source="invited_by.username")

    class Meta:
        model = Invitation
        fields = ("id", "email", "groups", "is_staff", "invited_by", "created_at", "expires_at")

    def get_groups(self, invitation: Invitation) -> list[str]:
        """Return the names of the groups that the person joins."""
        return sorted(group.name for group in invitation.groups.all())


class NewInvitationSerializer(serializers.Serializer[Any]):
    """Whom to invite, and the rights that the person gets."""

    email = CanonicalField(emails.clean, max_length=emails.MAX_LENGTH)
    groups = TextListField(required=False, help_text="The names of groups that you may give.")
    is_staff = serializers.BooleanField(required=False, help_text="Only superusers make staff.")
    days = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=invitations.LONGEST_DAYS,
        help_text="How many days the link works; 7 if left out.",
    )
    reason = TextField(
        required=False,
        max_length=LONGEST_REASON,
        validators=[refuse_controls],
        help_text="Why the person gets rights, which the person can read. Necessary if `is_staff` "
        "or a group gives rights.",
    )

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        gives = invitations.gives_rights(
            data.get("groups", ()), is_staff=data.get("is_staff", False)
        )
        if gives and "reason" not in data:
            raise serializers.ValidationError({"reason": [_("Enter a reason.")]}, "required")
        return data

    def validate_groups(self, names: list[str]) -> list[Any]:
        groups = list(groups_to_give(self.context["staff"]).filter(name__in=names))
        if {group.name for group in groups} != set(names):
            raise serializers.ValidationError(_("You can’t add people to one of these groups."))
        return groups


class MayInvite(ForStaff):
    """Requires the permission to invite, in addition to the requirements of the staff API."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the request has credentials.

        Raises:
            NotInRole: the user may not invite.
        """
        is_allowed = super().has_permission(request, view)
        if is_allowed and not invitations.may_invite(cast(User, request.user)):
            raise NotInRole
        return is_allowed


class InvitationsView(generics.ListAPIView[Invitation]):
    """List the invitations, or invite a person."""

    area = "admin"
    permission_classes = (MayInvite,)
    serializer_class = InvitationSerializer
    queryset = (
        Invitation.objects.select_related("invited_by")
        .prefetch_related("groups")
        .order_by("-created_at", "pk")
    )

    @operation("list_invitations")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the invitations that were neither accepted nor revoked, newest first."""
        return super().get(request, *args, **kwargs)

    def _again(self, _request: Request, invitation_id: str) -> Response:
        invitation = get_object_or_404(Invitation, pk=invitation_id)
        return Response(InvitationSerializer(invitation).data)

    @operation("invite", NewInvitationSerializer, InvitationSerializer, status=201)
    @idempotent(_again)
    def post(self, request: Request) -> Response:
        """Email an invitation to create an account.

        If the address already has an account, the response is the same, and the owner gets an email
        that says so.
        """
        staff = cast(User, request.user)
        data = valid(NewInvitationSerializer(data=request.data, context={"staff": staff}))
        actor = replace(actor_of(request._request), reason=data.pop("reason", ""))
        invitation = invitations.invite(staff, actor=actor, **{"days": SUGGESTED_DAYS, **data})
        return Response(InvitationSerializer(invitation).data, status=201)


class InvitationView(views.APIView):
    """Revoke an invitation."""

    area = "admin"
    permission_classes = (MayInvite,)

    @operation("revoke_invitation", response=None)
    def delete(self, request: Request, id: uuid.UUID) -> Response:
        """Revoke an invitation, so that its link does not work any more."""
        staff = cast(User, request.user)
        invitation = get_object_or_404(Invitation, pk=id)
        try:
            invitations.revoke(invitation, staff, actor_of(request._request))
        except invitations.InvitationEnded:
            raise Http404 from None
        return Response(status=204)


HASH = "password_hash"
# Members that only invitations have. Accounts with a password hash have others.
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
        """Return the hash in its stored form."""
        try:
            return foreign.accept(text)
        except ValueError:
            raise serializers.ValidationError(
                _("This site doesn’t support this password hash.")
            ) from None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse members that an invitation, or an account with a password hash, does not have."""
        if HASH in attrs:
            refused, sentence = (
                attrs.keys() & OF_INVITATIONS,
                _("Only for invitations."),
            )
        else:
            refused = attrs.keys() & OF_ACCOUNTS
            sentence = _("Only for accounts with a password hash.")
        if refused:
            raise serializers.ValidationError({name: [sentence] for name in sorted(refused)})
        if HASH in attrs:
            require(attrs, ("username",))
        return attrs


class CreatedSerializer(serializers.Serializer[Any]):
    """The created account or invitation; the other member is null."""

    account = FoundSerializer(allow_null=True)
    invitation = InvitationSerializer(allow_null=True)


def create_account(
    staff: User,
    actor: Actor,
    *,
    username: str,
    email: str,
    password: str,
    groups: Collection[Group] = (),
    profile: Mapping[str, str],
    is_limited: bool = True,
) -> User:
    """Create an account, as an import does, and record it in both histories.

    ``actor``: the API key and the client of ``staff``, with the reason.
    ``password``: the hash in its stored form.
    ``is_limited``: see :func:`acts.perform`.

    Raises:
        NotInRole: no API key is used, or ``staff`` may not invite, not act, or not change
            groups.
        MoreThanOwnRights: ``staff`` may not give one of the groups.
        UsernameTaken: the username is taken, or looks like one that is taken.
        RateLimited: ``staff`` acted too often.
    """
    if not (actor.key and invitations.may_invite(staff) and role_of(staff) in ACTING):
        raise NotInRole
    if is_limited:
        acts.count(staff, actor)
    with transaction.atomic():
        users.take_username(username, until=None)
        user = users.create_user(username, password)
        User.objects.filter(pk=user.pk).update(**profile)
        key, until = emails.key(email), clock.now() + UNVERIFIED_LIFE
        PendingEmail.objects.create(user=user, email=email, key=key, expires_at=until)
        calls.created(user.pk, owner=staff.pk)
        record(user, events.IMPORTED, actor.as_staff(staff))
        acts.note(staff, actor, user, events.IMPORTED.sentence)
        if groups:
            changes.set_groups(user, groups, staff, actor)
    return user


def create(request: Request, actor: Actor, data: Any, *, is_limited: bool = True) -> Response:
    """Create the account or the invitation that ``data`` describes; return the response.

    ``actor``: the member of staff, API key and client of ``request``.
    ``is_limited``: see :func:`create_account`.

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
        user = create_account(
            staff, actor, password=password, profile=asked, is_limited=is_limited, **given
        )
    except UsernameTaken as error:
        raise serializers.ValidationError({"username": [str(error)]}, error.code) from None
    return _created(request, user)


def again(request: Request, pk: str) -> Response:
    """Return the response for the account or invitation with this id in its current state."""
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
