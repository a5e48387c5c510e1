"""Who one is, as JSON."""

import uuid
from dataclasses import replace
from typing import Any, cast

from django.conf import settings
from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, views
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.common import time_zones
from accounts.common.api import ChoiceField, TextField, valid
from accounts.profile import services
from accounts.sessions.current import actor_of
from accounts.sessions.models import LoginSession
from accounts.signin import policy
from accounts.tokens import scopes
from accounts.tokens.authentication import Credentials
from accounts.tokens.permissions import (
    InScope,
    require_recent_authentication,
    require_scope,
)
from accounts.users import profiles
from accounts.users.models import User


class CanonicalField(TextField):
    """Text in the form in which it's stored, before its length is looked at."""

    def to_internal_value(self, data: Any) -> str:
        """As :func:`accounts.users.profiles.canonical`."""
        return profiles.canonical(super().to_internal_value(data))


class ProfileSerializer(serializers.Serializer[Any]):
    """What a person says of itself."""

    display_name = CanonicalField(
        required=False,
        allow_blank=True,
        max_length=profiles.DISPLAY_NAME_LENGTH,
        validators=[profiles.refuse_blank],
    )
    about = CanonicalField(
        required=False,
        allow_blank=True,
        max_length=profiles.ABOUT_LENGTH,
        validators=[profiles.refuse_controls],
    )
    language = ChoiceField(
        settings.LANGUAGES, required=False, allow_blank=True, help_text="Empty: not known yet."
    )
    time_zone = TextField(
        required=False, max_length=64, help_text="A name of the IANA database, or UTC."
    )

    def validate_time_zone(self, name: str) -> str:
        """One that the pages offer, too."""
        if not time_zones.is_offered(name):
            raise serializers.ValidationError(_("No such time zone."))
        return name


class PersonSerializer(ProfileSerializer):
    """A person, as the person and staff see them."""

    id = serializers.UUIDField()
    username = serializers.CharField()
    email = serializers.CharField(help_text="The primary address; empty without one.")
    groups = serializers.ListField(child=serializers.CharField())
    is_staff = serializers.BooleanField()
    date_joined = serializers.DateTimeField()


def shown(user: User) -> dict[str, Any]:
    """A person, to itself and to staff. By hand: it's the call that is made most often."""
    return {
        "id": user.pk,
        "username": user.username,
        "email": user.email,
        "display_name": user.display_name,
        "about": user.about,
        "language": user.language,
        "time_zone": user.time_zone,
        "groups": user.group_names,
        "is_staff": user.is_staff,
        "date_joined": user.date_joined,
    }


class MeView(views.APIView):
    """Oneself."""

    area = "profile"

    @extend_schema(operation_id="get_me", responses=PersonSerializer)
    def get(self, request: Request) -> Response:
        """Who calls."""
        return Response(shown(cast(User, request.user)))

    @extend_schema(operation_id="update_me", request=ProfileSerializer, responses=PersonSerializer)
    def patch(self, request: Request) -> Response:
        """Change what one says of oneself."""
        user = cast(User, request.user)
        changes = valid(ProfileSerializer(data=request.data, partial=True))
        services.save(user, changes, actor_of(request._request))
        for name, value in changes.items():
            setattr(user, name, value)
        return Response(shown(user))


class MayRead(InScope):
    """Oneself; and other people, for staff who may view users in the admin, too.

    The answer to anybody else is 404, whether the other person exists or not.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """As ``InScope``; ``InsufficientUserAuthentication`` if staff read others too late."""
        if not isinstance(request.auth, Credentials):
            return False
        if view.kwargs["id"] == request.user.pk:
            return super().has_permission(request, view)
        session = request.auth.session
        if session is None or not _may_view_users(session):
            raise Http404
        require_scope(request.auth, scopes.USERS)
        require_recent_authentication(request.auth)
        return True


class PersonView(views.APIView):
    """Somebody."""

    area = "profile"
    permission_classes = (MayRead,)

    @extend_schema(operation_id="get_user", responses=PersonSerializer)
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """Oneself; anybody, to staff with the permission to view users and the scope `users:read`.

        They need a sign-in of the last ten minutes, and the person sees that they looked.
        """
        user = cast(User, request.user)
        if id != user.pk:
            actor = replace(actor_of(request._request), name=user.username)
            user = services.read(user, id, actor)
        return Response(shown(user))


def _may_view_users(session: LoginSession) -> bool:
    """Return whether a member of staff with the permission has shown what the admin requires."""
    user = session.user
    return user.is_staff and user.has_perm("accounts.view_user") and policy.suffices(session)
