"""API views that export all data about the user who makes the request.

They require the scope ``read``, which no connected app can have, and recent authentication. An API
key is never accepted.
"""

from typing import Any, cast
from uuid import UUID

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.calls.idempotency import idempotent
from accounts.common.api import operation
from accounts.common.pages import absolute
from accounts.exports import services
from accounts.exports.models import Export
from accounts.exports.views import file_of
from accounts.sessions.current import actor_of
from accounts.tokens import scopes
from accounts.tokens.authentication import (
    Credentials,
    ForPerson,
    require_recent_authentication,
    require_scope,
)
from accounts.users.models import User

# After this many seconds, a client should ask again whether the file is complete.
RETRY_AFTER = 2


class ExportSerializer(serializers.ModelSerializer[Export]):
    """An export, and the number of its finished steps."""

    class Meta:
        model = Export
        fields = ("id", "created_at", "steps_done", "steps")


class MayExport(ForPerson):
    """Requires recent authentication, and the scope to read everything."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the request has credentials.

        Raises:
            InsufficientScope: the token lacks the scope ``read``.
            InsufficientUserAuthentication: the authentication is not recent.
        """
        if not isinstance(request.auth, Credentials):
            return False
        require_recent_authentication(request.auth)
        require_scope(request.auth, scopes.READ)
        return True


class ExportsView(APIView):
    """Ask for an export."""

    area = "profile"
    permission_classes = (MayExport,)

    def _again(self, request: Request, export_id: str) -> Response:
        return _is_made(services.find(cast(User, request.user), export_id))

    @operation("request_export", response=ExportSerializer, status=202)
    @idempotent(_again, status=202)
    def post(self, request: Request) -> Response:
        """Ask for a copy of all data about you, at most three times a day.

        Requires the scope `read` and authentication in the last ten minutes, with a second factor
        if the account has one.
        """
        export = services.request(cast(User, request.user), actor_of(request._request))
        return _is_made(export)


class ExportView(APIView):
    """Fetch the file of an export."""

    area = "profile"
    permission_classes = (MayExport,)
    # Without HEAD, because such a request would use up the file.
    http_method_names = ("get", "options")

    @operation(
        "get_export",
        response={(200, "application/zip"): OpenApiTypes.BINARY, 202: ExportSerializer},
    )
    def get(self, request: Request, id: UUID) -> HttpResponseBase:
        """Return the ZIP file, which can be fetched once and for a day.

        While the file is made, the status is 202, and `Retry-After` says when to call again.
        Requires the scope `read` and authentication in the last ten minutes.
        """
        export = services.find(cast(User, request.user), str(id))
        if export.made_at is None:
            return _is_made(export)
        return file_of(export, actor_of(request._request))


def _is_made(export: Export) -> Response:
    headers = {"Location": absolute("api-export", export.pk), "Retry-After": str(RETRY_AFTER)}
    return Response(ExportSerializer(export).data, status=202, headers=headers)
