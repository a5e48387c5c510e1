"""Keys, as JSON, and the call that revokes keys and tokens. No key makes another one."""

from datetime import datetime, timedelta
from typing import Any, cast

from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, views
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.activity.services import Actor
from accounts.apikeys import services
from accounts.apikeys.models import LONGEST_NAME, APIKey
from accounts.common import clock
from accounts.common.api import JSONParser, Open, TextField, valid
from accounts.common.client_info import client_of
from accounts.common.links import absolute
from accounts.common.text import refuse_invisible
from accounts.sessions.current import actor_of
from accounts.tokens import scopes
from accounts.tokens import services as tokens
from accounts.tokens.authentication import Credentials
from accounts.tokens.errors import InvalidToken, NotForPages
from accounts.tokens.permissions import IsFresh
from accounts.tokens.serializers import RevokeSerializer
from accounts.users.models import User
from accounts.users.services import AccountChanged


class KeySerializer(serializers.ModelSerializer[APIKey]):
    """A key that exists."""

    address = serializers.CharField(
        source="ip", read_only=True, help_text="The IP address of the last use."
    )

    class Meta:
        model = APIKey
        fields = ("id", "name", "scope", "made_at", "expires_at", "used_at", "address")


class NewKeySerializer(serializers.Serializer[Any]):
    """What a new key is for, and until when."""

    name = TextField(max_length=LONGEST_NAME, validators=[refuse_invisible])
    scope = TextField(
        default=scopes.READ,
        max_length=255,
        help_text="Scopes, separated by spaces, none that the sign-in hasn't.",
    )
    expires_at = serializers.DateTimeField(
        required=False,
        allow_null=True,
        help_text="Within a year; in 90 days without it; null for never.",
    )

    def validate_scope(self, text: str) -> frozenset[str]:
        """Scopes that keys can have, and that whoever asks has."""
        try:
            scope = services.scope_of(text)
            return scopes.narrowed(self.context["held"], scope)
        except scopes.UnknownScope as error:
            raise serializers.ValidationError(str(error), code=error.code) from None

    def validate_expires_at(self, moment: datetime | None) -> datetime | None:
        """To come, and not too far."""
        now = clock.now()
        if moment and not now < moment <= now + timedelta(days=services.LONGEST_DAYS):
            raise serializers.ValidationError(_("Choose a time within the next year."))
        return moment


class MadeKeySerializer(KeySerializer):
    """A new key, itself: it's never seen again."""

    key = serializers.SerializerMethodField()

    class Meta:
        model = APIKey
        fields = (*KeySerializer.Meta.fields, "key")

    def get_key(self, _key: APIKey) -> str:
        """What to send as ``Authorization: Bearer``."""
        return str(self.context["text"])


class KeysView(generics.ListAPIView[APIKey]):
    """One's own keys."""

    area = "keys"
    permission_classes = (IsFresh,)
    serializer_class = KeySerializer

    def get_queryset(self) -> Any:
        """Newest first."""
        return services.of(cast(User, self.request.user))

    @extend_schema(operation_id="list_keys")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The keys that one has, newest first. Needs a sign-in of the last ten minutes."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="create_key", request=NewKeySerializer, responses={201: MadeKeySerializer}
    )
    def post(self, request: Request) -> Response:
        """Make a key. The answer is the only one that shows it. No page in a browser makes one.

        Needs a sign-in of the last ten minutes, by a second factor if the account has one.
        """
        credentials = cast(Credentials, request.auth)
        if credentials.is_pages:
            raise NotForPages
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
            # So is what the call was made by.
            raise InvalidToken from None
        body = MadeKeySerializer(key, context={"text": text}).data
        headers = {"Location": absolute("api-key", key.pk)}
        return Response(body, status=201, headers=headers)


class KeyView(views.APIView):
    """One of them."""

    area = "keys"
    permission_classes = (IsFresh,)

    @extend_schema(operation_id="get_key", responses=KeySerializer)
    def get(self, request: Request, id: str) -> Response:
        """One of one's own keys. Needs a sign-in of the last ten minutes."""
        key = get_object_or_404(services.of(cast(User, request.user)), pk=id)
        return Response(KeySerializer(key).data)

    @extend_schema(operation_id="revoke_key", responses={204: None})
    def delete(self, request: Request, id: str) -> Response:
        """End a key. Needs a sign-in of the last ten minutes."""
        if not services.revoke(cast(User, request.user), id, actor_of(request._request)):
            raise Http404
        return Response(status=204)


class RevokeView(Open, views.APIView):
    """Sign out (RFC 7009)."""

    parser_classes = (JSONParser, FormParser)

    @extend_schema(operation_id="revoke_token", request=RevokeSerializer, responses={200: None})
    def post(self, request: Request) -> Response:
        """End the sign-in of a token, of either kind, or an API key. 200 whatever the token is."""
        token, client = valid(RevokeSerializer(data=request.data))["token"], client_of(request)
        if key := services.find(token):
            services.revoke(key.user, key.pk, Actor(client, proof="api_key", key=key.label))
        else:
            tokens.revoke(token, client)
        return Response()
