"""The API call that asks for the deletion of the user's own account."""

from typing import Any, cast

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.calls.conditions import IF_MATCH
from accounts.common.api import TextField, operation, valid
from accounts.deletion import services
from accounts.sessions.current import actor_of
from accounts.tokens.authentication import Credentials, IsRecent
from accounts.tokens.errors import InvalidToken, NotForApps, NotForPages
from accounts.users.models import User
from accounts.users.services import AccountChanged


class MayDelete(IsRecent):
    """Requires recent authentication, and refuses connected apps and pages in a browser."""

    def has_permission(self, request: Request, view: Any) -> bool:
        auth = request.auth
        if isinstance(auth, Credentials) and auth.session:
            if auth.session.is_app:
                raise NotForApps("delete_account")
            if auth.is_pages:
                raise NotForPages("delete_account")
        return super().has_permission(request, view)


class DeletionSerializer(serializers.Serializer[Any]):
    """Requires the username, so that no program deletes an account by mistake."""

    username = TextField(max_length=254)


class DeletionRequestedSerializer(serializers.Serializer[Any]):
    """When the account will be deleted."""

    deletion_due = serializers.DateTimeField()


class DeletionMixin:
    """Mixin with the method ``DELETE`` for the view of the user's own account."""

    def check_unchanged(self, request: Request, user: User) -> None:
        """Raise an exception if the client has read another state of ``user``."""
        raise NotImplementedError

    @operation("delete_me", response=DeletionRequestedSerializer, status=202, parameters=[IF_MATCH])
    def delete(self, request: Request) -> Response:
        """Ask for the deletion of your account. Requires authentication in the last ten minutes.

        Everyone is signed out at once, and API keys end. Until `deletion_due`, a sign-in on the
        site can keep the account, and so can the link in the email to every address.
        """
        user, asked = cast(User, request.user), DeletionSerializer(data=request.data)
        if not services.is_name_of(user, valid(asked)["username"]):
            sentence = _("That isn’t the username of this account.")
            raise serializers.ValidationError({"username": [sentence]})
        self.check_unchanged(request, user)
        try:
            due = services.request_own(user, actor_of(request._request))
        except AccountChanged:
            # The change of the account has also revoked the token of this request.
            raise InvalidToken from None
        return Response(DeletionRequestedSerializer({"deletion_due": due}).data, status=202)
