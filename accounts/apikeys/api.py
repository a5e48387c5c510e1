"""API views that list, create and revoke API keys, and the view that revokes any token.

An API key cannot create another one.
"""

from datetime import datetime, timedelta
from typing import Any, cast

from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import generics, serializers, views
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.activity.services import Actor
from accounts.apikeys import services
from accounts.apikeys.models import LONGEST_NAME, APIKey
from accounts.calls.idempotency import idempotent
from accounts.common import clock
from accounts.common.api import JSONParser, Open, TextField, operation, valid
from accounts.common.client_info import client_of
from accounts.common.pages import absolute
from accounts.common.text import refuse_invisible
from accounts.sessions.current import actor_of
from accounts.tokens import scopes
from accounts.tokens import services as tokens
from accounts.tokens.authentication import Credentials, IsFresh
from accounts.tokens.errors import InvalidToken, NotForPages
from accounts.tokens.serializers import RevokeSerializer
from accounts.users.models import User
from accounts.users.services import AccountChanged


class KeySerializer(serializers.ModelSerializer[APIKey]):
    """An API key, without its secret."""

    address = serializers.CharField(
        source="ip", read_only=True, help_text="The IP address of the last use."
    )

    scope = serializers.SerializerMethodField(
        help_text="With the scopes of the staff API that a superuser has given to the key."
    )

    def get_scope(self, key: APIKey) -> str:
        """Return the scopes, separated by spaces."""
        return scopes.written(key.scopes)

    class Meta:
        model = APIKey
        fields = ("id", "name", "scope", "made_at", "expires_at", "used_at", "address")


class NewKeySerializer(serializers.Serializer[Any]):
    """The name, scope and expiry of a new API key."""

    name = TextField(max_length=LONGEST_NAME, validators=[refuse_invisible])
    scope = TextField(
        default=scopes.READ,
        max_length=255,
        help_text="Scopes, separated by spaces. The session must have all of them.",
    )
    expires_at = serializers.DateTimeField(
        required=False,
        allow_null=True,
        help_text="At most a year from now; 90 days if left out; null for never.",
    )

    def validate_scope(self, text: str) -> frozenset[str]:
        try:
            scope = services.scope_of(text)
            return scopes.narrowed(self.context["held"], scope)
        except scopes.UnknownScope as error:
            raise serializers.ValidationError(str(error), code=error.code) from None

    def validate_expires_at(self, moment: datetime | None) -> datetime | None:
        now = clock.now()
        if moment and not now < moment <= now + timedelta(days=services.LONGEST_DAYS):
            raise serializers.ValidationError(_("Choose a time within the next year."))
        return moment


class MadeKeySerializer(KeySerializer):
    """A new API key with its secret, which no later response contains."""

    key = serializers.SerializerMethodField()

    class Meta:
        model = APIKey
        fields = (*KeySerializer.Meta.fields, "key")

    def get_key(self, _key: APIKey) -> str | None:
        """Return the text to send as ``Authorization: Bearer``; null if the call was repeated."""
        text: str | None = self.context["text"]
        return text


class KeysView(generics.ListAPIView[APIKey]):
    """List the API keys of the user who makes the request, or create one."""

    area = "keys"
    permission_classes = (IsFresh,)
    serializer_class = KeySerializer

    def get_queryset(self) -> Any:
        return services.of(cast(User, self.request.user))

    @operation("list_keys")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the API keys, newest first. Requires authentication in the last ten minutes."""
        return super().get(request, *args, **kwargs)

    def _again(self, _request: Request, key_id: str) -> Response:
        return _made(get_object_or_404(self.get_queryset(), pk=key_id), None)

    @operation("create_key", NewKeySerializer, MadeKeySerializer, status=201)
    @idempotent(_again)
    def post(self, request: Request) -> Response:
        """Create an API key. Only this response contains its secret.

        Requires authentication in the last ten minutes, with a second factor if the account has
        one. Browser apps cannot create API keys.
        """
        credentials = cast(Credentials, request.auth)
        if credentials.is_pages:
            raise NotForPages("api_key_new")
        asked = NewKeySerializer(data=request.data, context={"held": credentials.scope})
        data = valid(asked)
        suggested = clock.now() + timedelta(days=services.SUGGESTED_DAYS)
        try:
            key, text = services.make(
                cast(User, request.user),
                data["name"],
                data["scope"],
                data.get("expires_at", suggested),
                actor_of(request._request),
            )
        except AccountChanged:
            # The change of the account has also revoked the token of this request.
            raise InvalidToken from None
        return _made(key, text)


def _made(key: APIKey, text: str | None) -> Response:
    body = MadeKeySerializer(key, context={"text": text}).data
    return Response(body, status=201, headers={"Location": absolute("api-key", key.pk)})


class KeyView(views.APIView):
    """Show or revoke an API key of the user who makes the request."""

    area = "keys"
    permission_classes = (IsFresh,)

    @operation("get_key", response=KeySerializer)
    def get(self, request: Request, id: str) -> Response:
        """Return an API key. Requires authentication in the last ten minutes."""
        key = get_object_or_404(services.of(cast(User, request.user)), pk=id)
        return Response(KeySerializer(key).data)

    @operation("revoke_key", response=None)
    def delete(self, request: Request, id: str) -> Response:
        """Revoke an API key."""
        if not services.revoke(cast(User, request.user), id, actor_of(request._request)):
            raise Http404
        return Response(status=204)


class RevokeView(Open, views.APIView):
    """Revoke an access token, refresh token or API key (RFC 7009)."""

    parser_classes = (JSONParser, FormParser)

    # Without the form, which RFC 7009 requires: with two media types, openapi-python-client makes
    # a module that cannot be imported.
    @operation("revoke_token", {"application/json": RevokeSerializer}, {200: None})
    def post(self, request: Request) -> Response:
        """Revoke an API key, or the session of an access token or refresh token.

        The status is 200 even if the token is not valid. The body may also be a form.
        """
        token, client = valid(RevokeSerializer(data=request.data))["token"], client_of(request)
        if key := services.find_key(token):
            services.revoke(key.user, key.pk, Actor(client, proof="api_key", key=key.label))
        else:
            tokens.revoke(token, client)
        return Response()
