"""API views that list and revoke the sessions of a user."""

import uuid
from typing import Any, cast

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import generics, serializers, views
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.common.api import TextListField, operation, valid
from accounts.common.proofs import Assurance, Method
from accounts.sessions import connected, known_browsers, services
from accounts.sessions.current import actor_of, request_auth_of
from accounts.sessions.models import KnownBrowser, LoginSession
from accounts.sessions.views import sign_out_elsewhere
from accounts.tokens.authentication import (
    Credentials,
    IsRecent,
    require_right_to_end_sessions,
)
from accounts.users.models import User


class LoginSessionSerializer(serializers.ModelSerializer[LoginSession]):
    """A session of a browser, an API client or an app in which the user is signed in."""

    is_current = serializers.SerializerMethodField(
        help_text="Whether the request was made in this session."
    )
    device = serializers.CharField(
        source="__str__", help_text="The name of the browser, client or app."
    )
    client_id = serializers.CharField(
        source="app.client_id",
        allow_null=True,
        read_only=True,
        help_text="The ID of the connected app, or null.",
    )
    address = serializers.CharField(
        source="ip", read_only=True, help_text="The IP address of the last use."
    )
    acr = serializers.ChoiceField([*Assurance])
    amr = serializers.ListField(child=serializers.ChoiceField([*Method]))

    class Meta:
        model = LoginSession
        fields = (
            *("id", "kind", "is_current", "device", "client_id", "address", "amr", "acr"),
            *("auth_time", "begun_at", "used_at", "ends_at", "scope"),
        )

    def get_is_current(self, session: LoginSession) -> bool:
        """Return whether the request was made in this session."""
        # A request that authenticates with a password has no session.
        current = request_auth_of(self.context["request"]._request).session
        return current is not None and current.pk == session.pk


class SessionsView(generics.ListAPIView[LoginSession]):
    """List the sessions of the user who makes the request."""

    area = "sessions"
    serializer_class = LoginSessionSerializer

    def get_queryset(self) -> QuerySet[LoginSession]:
        rows = services.live(cast(User, self.request.user))
        current = request_auth_of(self.request._request).session
        if current is None or not current.is_app:
            return rows
        # An app must not learn which other apps the user has connected.
        return rows.filter(~services.IS_APP | connected.apps().sessions_like(current.pk))

    def paginate_queryset(self, rows: Any) -> Any:
        """Return the page of sessions, with the app of each."""
        page = super().paginate_queryset(rows)
        connected.fetch(page or ())
        return page

    @operation("list_sessions")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the sessions of browsers, API clients and apps, most recently used first."""
        return super().get(request, *args, **kwargs)


class SessionView(views.APIView):
    """Revoke a session of the user who makes the request."""

    area = "sessions"

    @operation("revoke_session", response=None)
    def delete(self, request: Request, id: uuid.UUID) -> Response:
        """Revoke a session, which may be the session of the request itself.

        To revoke another one, a second factor must have been used in the session of the request if
        the account has one.
        """
        if id != getattr(request_auth_of(request._request).session, "pk", None):
            require_right_to_end_sessions(cast(Credentials, request.auth))
        if not services.revoke_by_id(cast(User, request.user), id, actor_of(request._request)):
            raise Http404
        return Response(status=204)


class OthersSerializer(serializers.Serializer[Any]):
    """The API keys to revoke. By default, these are the keys of the ended sessions."""

    keep_keys = TextListField(
        required=False, help_text="IDs of API keys that stay although their session ends."
    )
    end_keys = TextListField(required=False, help_text="IDs of further API keys to revoke.")


class EndedSerializer(serializers.Serializer[Any]):
    """The number of sessions that have ended."""

    count = serializers.IntegerField()


class OthersView(views.APIView):
    """Sign the user who makes the request out of all other sessions."""

    # Connected apps cannot have this scope.
    area = "credentials"
    permission_classes = (IsRecent,)

    @operation("sign_out_elsewhere", OthersSerializer, EndedSerializer)
    def post(self, request: Request) -> Response:
        """Revoke all other sessions. Requires authentication in the last ten minutes.

        This also revokes the API keys that were created in these sessions, and ends the trust in
        every browser.
        """
        data = valid(OthersSerializer(data=request.data))
        keys = {name: frozenset(ids) for name, ids in data.items()}
        here = cast(Credentials, request.auth).session
        count = sign_out_elsewhere(
            cast(User, request.user), here.pk if here else None, actor_of(request._request), **keys
        )
        return Response({"count": count})


class KnownBrowserSerializer(serializers.ModelSerializer[KnownBrowser]):
    """A browser in which the user has signed in."""

    device = serializers.CharField(source="__str__")
    used_at = serializers.DateTimeField(help_text="When the user last signed in there.")

    class Meta:
        model = KnownBrowser
        fields = ("id", "device", "since", "used_at")


class BrowsersView(generics.ListAPIView[KnownBrowser]):
    """List the browsers in which the user who makes the request has signed in."""

    area = "sessions"
    serializer_class = KnownBrowserSerializer

    def get_queryset(self) -> QuerySet[KnownBrowser]:
        return known_browsers.known(cast(User, self.request.user))

    @operation("list_browsers")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the browsers whose sign-ins are not emailed, most recently used first."""
        return super().get(request, *args, **kwargs)


class BrowserView(views.APIView):
    """Forget a browser of the user who makes the request."""

    area = "sessions"

    @operation("forget_browser", response=None)
    def delete(self, request: Request, id: int) -> Response:
        """Forget a browser, so that the next sign-in there is emailed."""
        if not known_browsers.forget(cast(User, request.user), id, actor_of(request._request)):
            raise Http404
        return Response(status=204)
