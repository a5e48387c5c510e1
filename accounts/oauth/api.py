"""API views that list and disconnect the connected apps of a user.

Connected apps cannot call them, because no app can request the scopes of the area ``apps``.
"""

from typing import Any, cast

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import generics, serializers, views
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.common.api import operation
from accounts.oauth import connections
from accounts.oauth.clients.models import Client
from accounts.oauth.models import Connection
from accounts.sessions.current import actor_of
from accounts.users.models import User


class GrantedAccessSerializer(serializers.ModelSerializer[Connection]):
    """What the app may do at one service."""

    class Meta:
        model = Connection
        fields = ("audience", "scope")


class AppSerializer(serializers.ModelSerializer[Client]):
    """An app that the user has connected."""

    client_id = serializers.CharField(source="pk")
    name = serializers.CharField(source="label")
    since = serializers.DateTimeField(help_text="When the user connected the app.")
    used_at = serializers.DateTimeField(help_text="When the app was last used, to the minute.")
    access = GrantedAccessSerializer(source="agreed", many=True)

    class Meta:
        model = Client
        fields = ("client_id", "name", "is_verified", "since", "used_at", "access")


class AppsView(generics.ListAPIView[Client]):
    """List the apps that the user who makes the request has connected."""

    area = "apps"
    serializer_class = AppSerializer

    def get_queryset(self) -> QuerySet[Any]:
        return connections.of(cast(User, self.request.user))

    @operation("list_apps")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the connected apps, most recently used first. Connected apps cannot call this."""
        return super().get(request, *args, **kwargs)


class AppView(views.APIView):
    """Disconnect an app of the user who makes the request."""

    area = "apps"

    @operation("disconnect_app", response=None)
    def delete(self, request: Request, client_id: str) -> Response:
        """Disconnect an app, which ends its tokens at once. Connected apps cannot call this."""
        user = cast(User, request.user)
        if not connections.disconnect(user, client_id, actor_of(request._request)):
            raise Http404
        return Response(status=204)
