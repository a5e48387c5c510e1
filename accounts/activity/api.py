"""The same history as JSON."""

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.activity import services
from accounts.activity.events import Group
from accounts.activity.models import Activity


class ActivitySerializer(serializers.ModelSerializer[Activity]):
    """One thing that happened. Where staff were isn't told to whom they act on."""

    sentence = serializers.CharField(source="event.sentence", help_text="In words.")
    address = serializers.SerializerMethodField()
    device = serializers.SerializerMethodField()
    session = serializers.SerializerMethodField()
    proof = serializers.SerializerMethodField(help_text="`amr` values.")

    class Meta:
        model = Activity
        fields = (
            *("kind", "sentence", "at", "address", "device", "proof", "session", "actor"),
            *("detail", "key"),
        )

    def get_address(self, row: Activity) -> str:
        """The owner's own, or nothing."""
        return "" if row.actor else row.ip

    def get_device(self, row: Activity) -> str:
        """The owner's own, or nothing."""
        return str(row.device or "")

    def get_session(self, row: Activity) -> str | None:
        """The sign-in that it happened in, if in one of the owner's."""
        return str(row.session) if row.session and not row.actor else None

    def get_proof(self, row: Activity) -> list[str]:
        """By which proofs."""
        return row.proof.split()


class ActivityView(generics.ListAPIView[Activity]):
    """One's own history."""

    area = "activity"
    serializer_class = ActivitySerializer

    def get_queryset(self) -> QuerySet[Activity]:
        """All of it, or one group of kinds."""
        user: Any = self.request.user
        group = self.request.query_params.get("group")
        if group is not None and group not in Group:
            raise serializers.ValidationError({"group": [_("No such group.")]})
        return services.of(user, group or "")

    @extend_schema(
        operation_id="list_activity", parameters=[OpenApiParameter("group", enum=[*Group])]
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What happened to the account, newest first."""
        return super().get(request, *args, **kwargs)
