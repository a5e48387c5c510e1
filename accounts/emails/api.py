"""API views that list, add, confirm and remove the email addresses of a user."""

from typing import Any, cast

from django.http import Http404
from rest_framework import generics, serializers, views
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.calls.idempotency import idempotent
from accounts.common.api import CanonicalField, operation, valid
from accounts.common.client_info import client_of
from accounts.common.text import canonical_code
from accounts.emails import services
from accounts.emails.models import PendingEmail
from accounts.sessions.current import actor_of
from accounts.tokens.authentication import ForOwnProgram
from accounts.users import emails
from accounts.users.models import EmailAddress, User


class EmailAddressSerializer(serializers.Serializer[Any]):
    """An email address of the account, or one that is not confirmed yet."""

    id = serializers.CharField(source="pk", help_text="Changes when the address is confirmed.")
    email = serializers.CharField()
    is_primary = serializers.SerializerMethodField()
    confirmed_at = serializers.DateTimeField(
        default=None, allow_null=True, help_text="Null: not confirmed yet."
    )
    expires_at = serializers.DateTimeField(
        default=None, allow_null=True, help_text="Until when it can be confirmed; otherwise null."
    )

    def get_is_primary(self, row: EmailAddress | PendingEmail) -> bool:
        """Return whether this is the primary address."""
        return isinstance(row, EmailAddress) and row.email == row.user.email


class NewEmailSerializer(serializers.Serializer[Any]):
    """The email address to add."""

    email = CanonicalField(emails.clean, max_length=emails.MAX_LENGTH)


class EmailCodeSerializer(serializers.Serializer[Any]):
    """The emailed code."""

    code = CanonicalField(canonical_code, max_length=64)


class EmailsView(generics.ListAPIView[Any]):
    """List the email addresses of the user who makes the request, or add one."""

    area = "credentials"
    page = "account_email"
    serializer_class = EmailAddressSerializer

    def get_permissions(self) -> Any:
        """Let only the person's own programs add an address, with recent authentication."""
        return [ForOwnProgram()] if self.request.method == "POST" else super().get_permissions()

    def get_queryset(self) -> Any:
        user = cast(User, self.request.user)
        return [*services.confirmed(user), *services.pending_of(user)]

    @operation("list_emails")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the email addresses: first the confirmed ones, then those that are not yet."""
        return super().get(request, *args, **kwargs)

    def _again(self, request: Request, _pending_id: str) -> Response:
        # The id of an address changes when it is confirmed, so the row is found by its key.
        key = emails.key(emails.clean(cast(Any, request.data)["email"]))
        if row := next((row for row in self.get_queryset() if row.key == key), None):
            return Response(EmailAddressSerializer(row).data)
        raise Http404

    @operation("add_email", NewEmailSerializer, EmailAddressSerializer, status=201)
    @idempotent(_again)
    def post(self, request: Request) -> Response:
        """Email a code to a new address. Requires authentication in the last ten minutes.

        For an address that is not confirmed yet, this emails another code. If another account has
        the address, the response is the same, and its owner gets an email instead.
        """
        data = valid(NewEmailSerializer(data=request.data))
        row = services.add(cast(User, request.user), data["email"], client_of(request))
        return Response(EmailAddressSerializer(row).data, status=201)


class EmailView(views.APIView):
    """Remove an email address of the user who makes the request."""

    area = "credentials"
    permission_classes = (ForOwnProgram,)
    page = "account_email"

    @operation("remove_email", response=None)
    def delete(self, request: Request, id: str) -> Response:
        """Remove an address. Requires authentication in the last ten minutes.

        The primary address cannot be removed. Every address is told, also the removed one.
        """
        user = cast(User, request.user)
        if row := services.find(user, id):
            services.remove(user, row.pk, actor_of(request._request))
        elif not services.cancel(user, id):
            raise Http404
        return Response(status=204)


class ConfirmView(views.APIView):
    """Confirm an email address of the user who makes the request."""

    area = "credentials"
    permission_classes = (ForOwnProgram,)
    page = "account_email"
    # Recent authentication was required to get the code.
    is_quick = True

    @operation("confirm_email", EmailCodeSerializer, EmailAddressSerializer)
    def post(self, request: Request, id: str) -> Response:
        """Add an address to the account with the emailed code, which allows five attempts."""
        code = valid(EmailCodeSerializer(data=request.data))["code"]
        row = services.find_pending(cast(User, request.user), id)
        if row is None:
            raise Http404
        confirmed = services.confirm_by_code(row, code, actor_of(request._request))
        return Response(EmailAddressSerializer(confirmed).data)


class PrimaryView(views.APIView):
    """Make an email address the primary one of the user who makes the request."""

    area = "credentials"
    permission_classes = (ForOwnProgram,)
    page = "account_email"

    @operation("make_email_primary", response=EmailAddressSerializer)
    def post(self, request: Request, id: str) -> Response:
        """Make a confirmed address the primary one, within ten minutes of authentication."""
        user = cast(User, request.user)
        row = services.find(user, id)
        if row is None:
            raise Http404
        primary = services.make_primary(user, row.pk, actor_of(request._request))
        return Response(EmailAddressSerializer(primary).data)
