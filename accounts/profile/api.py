"""Who one is, as JSON."""

import uuid
from typing import Any, cast

from django.conf import settings
from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, views
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.kernel import zones
from accounts.kernel.api import ChoiceField, TextField, valid
from accounts.profile import services
from accounts.sessions.current import source_of, standing_of
from accounts.signin import policy
from accounts.users import profiles
from accounts.users import services as users
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
        if not zones.is_offered(name):
            raise serializers.ValidationError(_("No such time zone."))
        return name


class PersonSerializer(ProfileSerializer):
    """A person, as :func:`shown` tells of it."""

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

    @extend_schema(responses=PersonSerializer)
    def get(self, request: Request) -> Response:
        """Who calls."""
        return Response(shown(cast(User, request.user)))

    @extend_schema(request=ProfileSerializer, responses=PersonSerializer)
    def patch(self, request: Request) -> Response:
        """Change what one says of oneself."""
        user = cast(User, request.user)
        changes = valid(ProfileSerializer(data=request.data, partial=True))
        services.save(user, changes, source_of(request._request))
        for name, value in changes.items():
            setattr(user, name, value)
        return Response(shown(user))


class PersonView(views.APIView):
    """Somebody."""

    area = "profile"

    @extend_schema(responses=PersonSerializer)
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """Oneself; anybody, to staff. Everybody else's id is nobody's."""
        user: User | None = cast(User, request.user)
        if id != request.user.pk:
            user = users.find_by_id(str(id)) if _administers(request) else None
        if user is None:
            raise Http404
        return Response(shown(user))


def _administers(request: Request) -> bool:
    """Whether a member of staff has shown what the admin asks for, too."""
    login = standing_of(request._request).login
    return login is not None and login.user.is_staff and policy.suffices(login)
