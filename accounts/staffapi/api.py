"""The staff API: finding users and acting on their accounts, by the same rules as in the admin."""

import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import UTC
from typing import Any, cast

from django.contrib.auth.models import Group
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import generics, serializers, views
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.activity.models import LONGEST_REASON
from accounts.administration import acts, changes, person, roles, search
from accounts.administration.acts import API_ACTS
from accounts.administration.explanation import blocks_for
from accounts.administration.person import Account, Facts
from accounts.administration.roles import NoMode, UnknownTarget
from accounts.administration.search import MOST, ORDERS, STATES, UNCONFIRMED, Filters
from accounts.administration.steps import Mode
from accounts.calls import conditions
from accounts.calls.lists import AFTER, PAGE
from accounts.common.api import ChoiceField, TextField, TextListField, operation, valid
from accounts.common.errors import PublicError
from accounts.common.proofs import Assurance
from accounts.deletion.api import DeletionRequestedSerializer
from accounts.profile.api import ProfileSerializer
from accounts.sessions.current import actor_of
from accounts.signin import policy
from accounts.throttle.limits import STAFF
from accounts.throttle.services import hit
from accounts.tokens import scopes
from accounts.tokens.authentication import Credentials, InScope, require_recent_authentication
from accounts.tokens.errors import InsufficientUserAuthentication
from accounts.users import emails, usernames
from accounts.users.forms import refuse_controls
from accounts.users.models import User
from accounts.users.rights import sees_all_emails


class ForStaff(InScope):
    """Requires a role, and a second factor that was shown in the last ten minutes.

    An API key needs no second factor if a superuser has given it access to the staff API: see
    ``accounts.apikeys.authentication``. It then has the current role of its owner.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the request has credentials.

        Raises:
            InsufficientUserAuthentication: no second factor that counts was shown in the last ten
                minutes, or an API key was used that may not use the staff API.
            InsufficientScope: the token or key lacks the scope ``admin:read`` or ``admin:write``.
            NotInRole: the user has no role.
        """
        if not isinstance(request.auth, Credentials):
            return False
        _require_recent_factor(request.auth)
        is_allowed = super().has_permission(request, view)
        roles.check_reads(cast(User, request.user))
        return is_allowed


def _require_recent_factor(credentials: Credentials) -> None:
    """Require a recent second factor, or an API key with access to the staff API.

    Raises:
        InsufficientUserAuthentication: the request has neither.
    """
    session = credentials.session
    if session is None:
        if credentials.is_by_password or not credentials.scope & scopes.ADMIN:
            raise InsufficientUserAuthentication
        return
    is_shown = session.acr is Assurance.TWO_STEPS and not session.has_new_factor
    if not (is_shown and policy.suffices(session)):
        raise InsufficientUserAuthentication
    require_recent_authentication(credentials)


class FoundSerializer(serializers.Serializer[Any]):
    """A user or a sign-up that is not confirmed yet, in a list."""

    id = serializers.UUIDField()
    username = serializers.CharField()
    email = serializers.SerializerMethodField(
        help_text="The primary address, shortened for staff who only read; empty without one."
    )
    is_confirmed = serializers.SerializerMethodField()
    is_active = serializers.SerializerMethodField()
    is_staff = serializers.SerializerMethodField()
    date_joined = serializers.DateTimeField(
        default=None, allow_null=True, help_text="Null for a sign-up."
    )
    updated_at = serializers.DateTimeField(
        default=None, allow_null=True, help_text="When the name, address or groups last changed."
    )

    def get_email(self, account: Account) -> str:
        """Return the primary address that the reader may see."""
        return person.email_for(self.context["request"].user, account)

    def get_is_confirmed(self, account: Account) -> bool:
        """Return whether ``account`` is a user. A pending sign-up is not confirmed."""
        return isinstance(account, User)

    def get_is_active(self, account: Account) -> bool:
        """Return whether the account can be used."""
        return isinstance(account, User) and account.is_active

    def get_is_staff(self, account: Account) -> bool:
        """Return whether the user is staff."""
        return isinstance(account, User) and account.is_privileged


class BlockSerializer(serializers.Serializer[Any]):
    """A reason why somebody cannot sign in."""

    code = serializers.CharField()
    sentence = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True, help_text="When it ends by itself.")


class TargetSerializer(serializers.Serializer[Any]):
    """What an act can be limited to: an address, a session, a factor or a key."""

    value = serializers.CharField()
    name = serializers.CharField(source="label")


class OfferSerializer(serializers.Serializer[Any]):
    """An act that is possible now."""

    name = serializers.ChoiceField(API_ACTS)
    targets = TargetSerializer(many=True)


class AccountSerializer(FoundSerializer, ProfileSerializer):
    """A user or a sign-up: why the person cannot sign in, and what can be done now.

    The profile of a sign-up is empty.
    """

    groups = serializers.ListField(
        source="group_names", child=serializers.CharField(), required=False
    )
    deletion_due = serializers.DateTimeField(default=None, allow_null=True)
    states = serializers.SerializerMethodField()
    emails = serializers.SerializerMethodField(
        help_text="The confirmed addresses; for staff who only read, the shortened primary one."
    )
    pending_emails = serializers.SerializerMethodField(
        help_text="Addresses that wait for their confirmation; none for staff who only read."
    )
    explanation = serializers.SerializerMethodField()
    acts = serializers.SerializerMethodField()

    def to_representation(self, account: Account) -> Any:
        shown = super().to_representation(account)
        if isinstance(account, User):
            return shown
        return shown | dict.fromkeys(ProfileSerializer().fields, "") | {"groups": []}

    @extend_schema_field(serializers.ListField(child=serializers.ChoiceField([*STATES])))
    def get_states(self, account: Account) -> list[str]:
        """Return the names of the states of the account, by which the list can be filtered."""
        if not isinstance(account, User):
            return [UNCONFIRMED]
        found = search.states_of_one(account)
        return [name for name, state in STATES.items() if state in found]

    def get_emails(self, account: Account) -> list[str]:
        """Return the confirmed addresses that the reader may see."""
        if not isinstance(account, User):
            return []
        staff = self.context["request"].user
        if sees_all_emails(staff):
            return [*map(str, self.context["facts"].emails)]
        return [person.email_for(staff, account)] if account.email else []

    def get_pending_emails(self, account: Account) -> list[str]:
        """Return the addresses that wait for their confirmation, if the reader may see them."""
        if not (isinstance(account, User) and sees_all_emails(self.context["request"].user)):
            return []
        return [*map(str, self.context["facts"].pending)]

    @extend_schema_field(BlockSerializer(many=True))
    def get_explanation(self, account: Account) -> Any:
        is_masked = not sees_all_emails(self.context["request"].user)
        blocks = blocks_for(self.context["facts"], is_masked=is_masked)
        return BlockSerializer(blocks, many=True).data

    @extend_schema_field(OfferSerializer(many=True))
    def get_acts(self, account: Account) -> Any:
        facts, possible = self.context["facts"], []
        with suppress(PublicError):
            possible = acts.acts_for(self.context["request"].user, facts)
        rows = [
            {"name": act.name, "targets": act.targets(facts)}
            for act in possible
            if act.name in API_ACTS
        ]
        return OfferSerializer(rows, many=True).data


def _reason() -> TextField:
    return TextField(
        max_length=LONGEST_REASON,
        validators=[refuse_controls],
        help_text="The person can read it.",
    )


class ActSerializer(serializers.Serializer[Any]):
    """An act: the reason, and optionally the target and the mode."""

    reason = _reason()
    target = TextField(
        required=False,
        max_length=254,
        help_text="One of the targets of the act. Left out: everything, or the only one.",
    )
    mode = ChoiceField(
        list(Mode), required=False, help_text="`wait`: `remove-factors` after the waiting period."
    )


class ReasonSerializer(serializers.Serializer[Any]):
    """The reason of an act or a change."""

    reason = _reason()


class ChangeSerializer(ProfileSerializer):
    """The changed fields of a profile, the groups from now on, and the reason."""

    reason = _reason()
    groups = TextListField(required=False, help_text="The names of all groups from now on.")

    def validate_groups(self, names: list[str]) -> list[Group]:
        """Return the groups with these names."""
        groups = list(Group.objects.filter(name__in=names))
        if {group.name for group in groups} != set(names):
            raise serializers.ValidationError(_("One of these groups doesn’t exist."))
        return groups


class FiltersSerializer(serializers.Serializer[Any]):
    """Exact conditions of a list of users, and its order."""

    state = ChoiceField([*STATES], required=False)
    email = TextField(max_length=emails.MAX_LENGTH, required=False)
    username = TextField(max_length=usernames.MAX_LENGTH, required=False)
    group = TextField(max_length=150, required=False)
    created_after = serializers.DateTimeField(required=False, default_timezone=UTC)
    updated_after = serializers.DateTimeField(required=False, default_timezone=UTC)
    order = ChoiceField([*ORDERS], required=False)


class FoundUsersView(generics.ListAPIView[User]):
    """Find users and sign-ups."""

    area = "admin"
    permission_classes = (ForStaff,)
    serializer_class = FoundSerializer
    parameters = (
        OpenApiParameter("q"),
        OpenApiParameter("state", enum=[*STATES]),
        OpenApiParameter("email", description="A whole confirmed address."),
        OpenApiParameter("username", description="The whole present username."),
        OpenApiParameter("group", description="The name of a group."),
        OpenApiParameter("created_after", OpenApiTypes.DATETIME),
        OpenApiParameter("updated_after", OpenApiTypes.DATETIME),
        OpenApiParameter("order", enum=[*ORDERS], description="`username` if left out."),
    )

    def get_queryset(self) -> Any:
        params = self.request.query_params.dict()
        query, is_by_cursor = params.pop("q", ""), params.pop(AFTER, None) is not None
        params.pop(PAGE, None)
        exact = valid(FiltersSerializer(data=params))
        order, state = exact.pop("order", "username"), exact.pop("state", "")
        all_emails = sees_all_emails(cast(User, self.request.user))
        found = search.search_users(query, state, all_emails=all_emails)
        found = Filters(**exact).select(found, all_emails=all_emails).order_by(ORDERS[order])
        if is_by_cursor:
            return found
        found = found[:MOST]
        if not query.strip() or state or exact:
            return found
        signups = search.search_signups(query, all_emails=all_emails)[:MOST]
        return [*signups, *found] if signups else found

    def paginate_queryset(self, queryset: Any) -> Any:
        """Return the page of users, and record how many people it shows."""
        page = super().paginate_queryset(queryset)
        staff = cast(User, self.request.user)
        person.record_shown(staff, actor_of(self.request._request), len(page or ()))
        return page

    @operation("find_users", parameters=[*parameters])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Find users and sign-ups for staff, at most 200 of each; by cursor all users, no sign-ups.

        A user fulfils all conditions. By cursor in the order `created`, each user is in the list
        exactly once, even while others are created.

        `q` is a part of a name or email address, the beginning of an API key, or the whole of a
        former username, a support code, the id of a user or session, or the id of a person at a
        provider. If nothing matches, names and email addresses are found that differ by one typing
        error.
        """
        return super().get(request, *args, **kwargs)


class AccountView(views.APIView):
    """Show an account to staff, change it, and ask for its deletion."""

    area = "admin"
    permission_classes = (ForStaff,)

    @operation(
        "get_account", response={200: AccountSerializer, 304: None}, parameters=[conditions.ETAG]
    )
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """Return an account, why its person cannot sign in, and what staff can do now.

        The history of the account shows that staff have read it.
        """
        account = search.find_account(str(id))
        note_reading(request, account)
        return _shown(account, request)

    @operation(
        "update_account",
        ChangeSerializer,
        AccountSerializer,
        parameters=[conditions.IF_MATCH, conditions.ETAG],
    )
    def patch(self, request: Request, id: uuid.UUID) -> Response:
        """Change the profile of a user and, for managers and superusers, the groups.

        The reason is in the history of the account and in the email to its person. A change of
        groups signs the person out everywhere, and superusers get an email, too.
        """
        staff, user = cast(User, request.user), user_with(id)
        data = valid(ChangeSerializer(data=request.data))
        actor = replace(actor_of(request._request), reason=data.pop("reason"))
        groups = data.pop("groups", None)
        # The response shows the account, even if nothing changes.
        person.record_page_view(user, staff, actor_of(request._request))

        def check(found: User) -> None:
            conditions.check(request, _data(found, request))

        changes.change(user, staff, actor, profile=data, groups=groups, check=check)
        return _shown(user_with(id), request)

    @operation(
        "delete_account",
        ReasonSerializer,
        DeletionRequestedSerializer,
        status=202,
        parameters=[conditions.IF_MATCH],
    )
    def delete(self, request: Request, id: uuid.UUID) -> Response:
        """Ask for the deletion of an account, as the act `delete` does.

        Everyone is signed out at once. Until `deletion_due`, staff and the person can undo it.
        """
        reason = valid(ReasonSerializer(data=request.data))["reason"]
        _perform(request, user_with(id), "delete", reason=reason)
        return Response(DeletionRequestedSerializer(user_with(id)).data, status=202)


def note_reading(request: Request, account: Account) -> None:
    """Count and record that the response to ``request`` shows ``account`` to staff.

    Raises:
        RateLimited: the member of staff has read too many accounts.
    """
    staff, actor = cast(User, request.user), actor_of(request._request)
    if not actor.key:
        hit(STAFF.of("read", staff.pk))
    if isinstance(account, User):
        person.record_page_view(account, staff, actor)


def user_with(id: uuid.UUID) -> User:
    """Return the user with this id.

    Raises:
        Http404: there is no such user.
    """
    return get_object_or_404(User, pk=id)


def _perform(request: Request, account: Account, act: str, **options: Any) -> None:
    """Do an act on ``account``, if the account is unchanged since the client read it.

    Raises:
        PreconditionFailed, PublicError: see :func:`conditions.check` and :func:`acts.perform`.
    """

    def check(found: Account) -> None:
        conditions.check(request, _data(found, request))

    staff, actor = cast(User, request.user), actor_of(request._request)
    acts.perform(act, staff, actor, account, check=check, **options)


class ActView(views.APIView):
    """Act on an account."""

    area = "admin"
    permission_classes = (ForStaff,)

    @operation(
        "act_on_account",
        ActSerializer,
        AccountSerializer,
        parameters=[
            OpenApiParameter("act", location=OpenApiParameter.PATH, enum=API_ACTS),
            *(conditions.IF_MATCH, conditions.ETAG),
        ],
    )
    def post(self, request: Request, id: uuid.UUID, act: str) -> Response:
        """Do one act of staff with an account, and return the account.

        The reason is in the history of the account and in the email to its person. 409 means that
        somebody else has changed the account at the same time.
        """
        account = search.find_account(str(id))
        if act not in API_ACTS:
            raise Http404
        data = valid(ActSerializer(data=request.data))
        try:
            _perform(request, account, act, **data)
        except UnknownTarget as error:
            raise serializers.ValidationError({"target": [str(error)]}, error.code) from None
        except NoMode as error:
            raise serializers.ValidationError({"mode": [str(error)]}, error.code) from None
        return _shown(search.find_account(str(id)), request)


def _shown(account: Account, request: Request) -> Response:
    return conditions.tagged(request, _data(account, request))


def _data(account: Account, request: Request) -> Any:
    context = {"request": request, "facts": Facts(account)}
    return AccountSerializer(account, context=context).data
