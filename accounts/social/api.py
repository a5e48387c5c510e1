"""API views of the accounts at providers with which a user signs in to this site."""

from typing import Any

from django.conf import settings
from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.common.api import operation
from accounts.common.pages import absolute
from accounts.sessions.current import session_of
from accounts.social import services
from accounts.tokens.authentication import ForOwnProgram, actor_by_proofs
from accounts.users import models as users
from accounts.users.models import Identity


class IdentitySerializer(serializers.ModelSerializer[Identity]):
    """An account at a provider that signs in here."""

    provider = serializers.CharField(source="site", help_text="The name of the provider.")
    account = serializers.CharField(source="known_as", help_text="The name of the account there.")

    class Meta:
        model = Identity
        fields = ("id", "provider", "account", "connected_at", "used_at")


class OfferedProviderSerializer(serializers.Serializer[Any]):
    """A provider whose accounts can be connected."""

    key = serializers.CharField()
    name = serializers.CharField()
    url = serializers.CharField(help_text="The page that connects one: open it in a browser.")


class ProvidersSerializer(serializers.Serializer[Any]):
    """The accounts at providers that sign in here, and the providers of this site."""

    connected = IdentitySerializer(many=True)
    offered = OfferedProviderSerializer(many=True)


class ProvidersView(APIView):
    """Show the connected accounts at providers."""

    area = "credentials"
    permission_classes = (ForOwnProgram,)
    page = "connections"

    @operation("get_providers", response=ProvidersSerializer)
    def get(self, request: Request) -> Response:
        """Return your accounts at providers, and where to connect others."""
        user = session_of(request._request).user
        offered = [
            {
                "key": issuer.key,
                "name": issuer.name,
                "url": f"{absolute('provider_login', issuer.key)}?act=connect",
            }
            for issuer in settings.AUTHSITE.issuers
        ]
        shown = {"connected": users.of(user), "offered": offered}
        return Response(ProvidersSerializer(shown).data)


class ProviderView(APIView):
    """Disconnect an account at a provider."""

    area = "credentials"
    permission_classes = (ForOwnProgram,)
    page = "connections"
    is_quick = False

    @operation("disconnect_provider", response=None)
    def delete(self, request: Request, id: int) -> Response:
        """Disconnect an account at a provider. Your other sessions end."""
        user = session_of(request._request).user
        if not services.disconnect(user, str(id), actor_by_proofs(request)):
            raise Http404
        return Response(status=204)
