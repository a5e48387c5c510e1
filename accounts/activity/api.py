"""API view that lists the security history of a user."""

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.activity import services
from accounts.activity.events import EVENTS, Group
from accounts.activity.models import OPERATOR, SCIM, STAFF, Activity
from accounts.common.api import operation


class ActivitySerializer(serializers.ModelSerializer[Activity]):
    """An event in the history of the account.

    The IP address, device, session, proof and API key are left out if a member of staff caused the
    event. Users do not learn who it was.
    """

    kind = serializers.ChoiceField([*EVENTS])
    sentence = serializers.CharField(source="event.sentence", help_text="What happened, in words.")
    address = serializers.SerializerMethodField()
    device = serializers.SerializerMethodField()
    session = serializers.SerializerMethodField()
    proof = serializers.SerializerMethodField(
        help_text="The authentication methods, as `amr` values."
    )

    actor = serializers.SerializerMethodField(
        help_text="`@staff` or `@operator` if one of them caused the event; otherwise empty."
    )
    key = serializers.SerializerMethodField(help_text="The API key that caused the event.")

    class Meta:
        model = Activity
        fields = (
            *("id", "kind", "sentence", "at", "address", "device", "proof", "session", "actor"),
            *("detail", "key", "reason"),
        )

    def get_address(self, row: Activity) -> str:
        """Return the IP address; empty if a member of staff caused the event."""
        return "" if row.actor else row.ip

    def get_device(self, row: Activity) -> str:
        """Return the name of the device; empty if a member of staff caused the event."""
        return str(row.device or "")

    def get_session(self, row: Activity) -> str | None:
        """Return the session id; null if unknown, or if a member of staff caused the event."""
        return str(row.session) if row.session and not row.actor else None

    def get_proof(self, row: Activity) -> list[str]:
        """Return the authentication methods, as `amr` values."""
        return [] if row.actor else row.proof.split()

    def get_actor(self, row: Activity) -> str:
        """Return who caused the event: `@staff`, `@operator` or `@scim`; empty for the owner."""
        if row.directory:
            return SCIM.strip()
        return STAFF if row.actor not in {"", OPERATOR} else row.actor

    def get_key(self, row: Activity) -> str:
        """Return the label of the API key; empty if staff or an operator caused the event."""
        return "" if row.actor else row.key


class ActivityView(generics.ListAPIView[Activity]):
    """The API view of the security history."""

    area = "activity"
    serializer_class = ActivitySerializer
    parameters = (OpenApiParameter("group", enum=[*Group]),)

    def get_queryset(self) -> QuerySet[Activity]:
        user: Any = self.request.user
        group = self.request.query_params.get("group")
        if group is not None and group not in Group:
            raise serializers.ValidationError({"group": [_("That event group doesn’t exist.")]})
        return services.of(user, group or "")

    @operation("list_activity", parameters=[*parameters])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List what happened to the account, newest first."""
        return super().get(request, *args, **kwargs)
