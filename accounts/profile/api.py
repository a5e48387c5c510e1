"""API views that read and change the user's own profile, and let staff read other accounts."""

import uuid
from functools import cache, lru_cache, partial
from typing import Any, cast

from django.conf import settings
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import serializers, views
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.calls import conditions
from accounts.common import clock, localization
from accounts.common.api import CanonicalField, ChoiceField, TextField, operation, valid
from accounts.common.database import Row
from accounts.deletion.api import DeletionMixin, MayDelete
from accounts.profile import services
from accounts.sessions.current import actor_of
from accounts.sessions.models import LoginSession
from accounts.signin import policy
from accounts.tokens import families, scopes
from accounts.tokens import services as tokens
from accounts.tokens.authentication import (
    Credentials,
    ForOwnProgram,
    InScope,
    IsFresh,
    actor_by_proofs,
    require_recent_authentication,
    require_scope,
)
from accounts.tokens.errors import InvalidToken
from accounts.users import forms as users_forms
from accounts.users import usernames
from accounts.users.emails import masked
from accounts.users.models import User
from accounts.users.rights import role_of, sees_all_emails
from accounts.users.services import OwnedQuery, UsernameTaken, is_email_verified


def _name() -> CanonicalField:
    return CanonicalField(
        users_forms.canonical,
        required=False,
        allow_blank=True,
        max_length=users_forms.DISPLAY_NAME_LENGTH,
        validators=[users_forms.refuse_blank],
    )


class ProfileSerializer(serializers.Serializer[Any]):
    """The part of a profile that its owner can change."""

    display_name = _name()
    given_name = _name()
    family_name = _name()
    about = CanonicalField(
        users_forms.canonical,
        required=False,
        allow_blank=True,
        max_length=users_forms.ABOUT_LENGTH,
        validators=[users_forms.refuse_controls],
    )
    language = ChoiceField(
        settings.LANGUAGES, required=False, allow_blank=True, help_text="Empty: not known yet."
    )
    time_zone = TextField(
        required=False, max_length=64, help_text="A name of the IANA database, or UTC."
    )

    def validate_time_zone(self, name: str) -> str:
        """Refuse time zones that the profile page does not offer."""
        if not localization.is_offered(name):
            raise serializers.ValidationError(_("That time zone doesn’t exist."))
        return name


class _NameSerializer(serializers.Serializer[Any]):
    """The members that come first in the description of an account."""

    id = serializers.UUIDField()
    username = serializers.CharField()
    email = serializers.CharField(help_text="The primary address; empty without one.")


class PersonSerializer(_NameSerializer, ProfileSerializer):
    """An account, as its owner and staff see it."""

    groups = serializers.ListField(source="group_names", child=serializers.CharField())
    is_staff = serializers.BooleanField()
    date_joined = serializers.DateTimeField()
    email_verified = serializers.BooleanField(
        required=False,
        help_text="Only for connected apps. False if the mailbox has not answered yet.",
    )


@cache
def sources() -> dict[str, str]:
    """Return the fields of :class:`PersonSerializer` that do not depend on the reader, by name.

    The value is the attribute of :class:`User` from which the field is read.
    """
    fields = PersonSerializer().fields.items()
    return {name: str(field.source) for name, field in fields if name != "email_verified"}


def shown(user: User, auth: object = None) -> dict[str, Any]:
    """Return the members of :class:`PersonSerializer` for ``user``.

    ``auth``: the credentials of the request, which may belong to a connected app.

    This is faster than the serializer, and the most frequent API call uses it.
    """
    data = {name: getattr(user, source) for name, source in sources().items()}
    if isinstance(auth, Credentials) and auth.session and auth.session.is_app:
        data["email_verified"] = is_email_verified(user)
    return data


@cache
def _query() -> OwnedQuery[LoginSession] | None:
    """Return the query for the data of ``GET me/``; None if the data is not only in columns."""
    columns = set(sources().values()) - {"group_names"}
    if not columns <= {field.attname for field in User._meta.concrete_fields}:
        return None
    return OwnedQuery(
        families.live_of_subject, only=("user", *(f"user__{name}" for name in columns))
    )


def own_profile(text: str) -> tuple[bytes, str] | None:
    """Return the body and the entity tag of the response to ``GET me/`` with an access token.

    Return None if the token may not read the profile, or if the response depends on more than
    columns of the user and names of groups, for example for a connected app.

    Raises:
        InvalidToken: the token is not valid, or its session has ended.
    """
    token, query = tokens.verified(text), _query()
    if query is None or token["client_id"] not in LoginSession.Kind or not may_read(token.scope):
        return None
    rows = query.rows(**token.owner, now=clock.now())
    if not rows:
        raise InvalidToken
    return _rendered(query, rows)


def may_read(scope: frozenset[str]) -> bool:
    """Return whether a token with ``scope`` may read the profile of its owner."""
    return scopes.is_covered(scope, "profile:read")


# Without this cache, a call takes 1.3 times as long, because most clients ask again before the
# profile changes. An entry takes about 2 KB, including the rows, which contain everything on which
# the body depends.
@lru_cache(4096)
def _rendered(query: OwnedQuery[LoginSession], rows: tuple[Row, ...]) -> tuple[bytes, str]:
    body: bytes = JSONRenderer().render(shown(query.instance(rows).user))
    return body, conditions.etag_of(body)


class UsernameSerializer(serializers.Serializer[Any]):
    """The name that replaces the username of the account."""

    username = CanonicalField(usernames.clean, max_length=usernames.MAX_LENGTH)


class MeView(DeletionMixin, views.APIView):
    """Read and change your own profile, and delete your account."""

    area = "profile"

    def get_permissions(self) -> Any:
        """Require recent authentication for changes, and refuse API keys."""
        permissions = {"PATCH": [IsFresh()], "DELETE": [MayDelete()]}
        return permissions.get(str(self.request.method)) or super().get_permissions()

    def check_unchanged(self, request: Request, user: User) -> None:
        """Refuse a request with ``If-Match`` if ``user`` has changed since the client read it."""
        conditions.check(request, shown(user, request.auth))

    @operation("get_me", response={200: PersonSerializer, 304: None}, parameters=[conditions.ETAG])
    def get(self, request: Request) -> Response:
        """Return your own account."""
        return conditions.tagged(request, shown(cast(User, request.user), request.auth))

    @operation(
        "update_me",
        ProfileSerializer,
        {200: PersonSerializer, 204: None},
        parameters=[conditions.IF_MATCH, conditions.ETAG],
    )
    def patch(self, request: Request) -> Response:
        """Change your own profile. Requires authentication in the last ten minutes.

        A connected app without the scope `profile:read` gets an empty response, with status 204.
        """
        user = cast(User, request.user)
        changes = valid(ProfileSerializer(data=request.data, partial=True))
        self.check_unchanged(request, user)
        session = cast(Credentials, request.auth).session
        app = session.app.client_id if session and session.app else ""
        check = partial(self.check_unchanged, request)
        services.save(user, changes, actor_of(request._request), app=app, check=check)
        for name, value in changes.items():
            setattr(user, name, value)
        if app and not may_read(cast(Credentials, request.auth).scope):
            return Response(status=204)
        return conditions.tagged(request, shown(user, request.auth))


class UsernameView(views.APIView):
    """Change your own username."""

    area = "credentials"
    permission_classes = (ForOwnProgram,)
    page = "profile"

    @operation("change_username", UsernameSerializer, PersonSerializer)
    def post(self, request: Request) -> Response:
        """Change your username, at most once a day.

        Requires authentication in the last ten minutes. The former username stays reserved for some
        time.
        """
        name = valid(UsernameSerializer(data=request.data))["username"]
        user = cast(User, request.user)
        try:
            services.rename(user, name, actor_by_proofs(request))
        except UsernameTaken as error:
            raise serializers.ValidationError({"username": [str(error)]}, error.code) from None
        user.username = name
        return Response(shown(user))


class MayRead(InScope):
    """Allows users to read their own account, and staff who may view users to read any account.

    Otherwise, the response is a 404, whether or not an account with the id exists.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the request may read the account in the URL.

        Raises:
            Http404: the account is another user's, and the client may not view users.
            InsufficientScope: the token lacks the scope ``profile:read`` for the user's own
                account, or ``users:read`` for another user's account.
            InsufficientUserAuthentication: the account is another user's, and the client's
                authentication is not recent.
        """
        if not isinstance(request.auth, Credentials):
            return False
        if view.kwargs["id"] == request.user.pk:
            return super().has_permission(request, view)
        session = request.auth.session
        if session is None or not policy.suffices(session):
            raise Http404
        if not (role_of(session.user) and session.user.has_perm("accounts.view_user")):
            raise Http404
        require_scope(request.auth, scopes.USERS)
        require_recent_authentication(request.auth)
        return True


class PersonView(views.APIView):
    """Read an account by its id."""

    area = "profile"
    permission_classes = (MayRead,)

    @operation("get_user", response=PersonSerializer)
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """Return your own account, or any account if you are staff who may view users.

        To read another account, staff need the scope `users:read` and a sign-in within the last ten
        minutes. The security history of the other account shows its owner who has read it.

        Staff who may only view users get a shortened email address.
        """
        reader = cast(User, request.user)
        if id == reader.pk:
            return Response(shown(reader, request.auth))
        actor = actor_of(request._request).as_staff(reader)
        body = shown(services.read(reader, id, actor))
        if not sees_all_emails(reader):
            body["email"] = masked(body["email"])
        return Response(body)
