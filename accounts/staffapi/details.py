"""The calls of the staff API that show the details and the history of a person, without secrets."""

import uuid
from datetime import datetime, timedelta
from typing import Any, cast

from django.db import connection
from django.db.models import Min, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import generics, serializers, views
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.activity import events
from accounts.activity import services as activity
from accounts.activity.api import ActivitySerializer
from accounts.activity.models import Activity
from accounts.administration.person import MOST, Facts
from accounts.apikeys.api import KeySerializer
from accounts.common import clock
from accounts.common.api import operation, valid
from accounts.common.pages import PAGE_SIZE, absolute
from accounts.mail import services as mail
from accounts.sessions.api import LoginSessionSerializer
from accounts.sessions.current import actor_of
from accounts.social.api import IdentitySerializer
from accounts.staffapi.api import ForStaff, note_reading, user_with
from accounts.throttle.limits import STAFF
from accounts.throttle.services import hit
from accounts.twofactor import trusted_browsers
from accounts.twofactor.api import (
    AuthenticatorSerializer,
    PasskeySerializer,
    TrustedBrowserSerializer,
)
from accounts.users.emails import masked
from accounts.users.models import User
from accounts.users.rights import sees_all_emails


class _Shortening(serializers.BaseSerializer[Any]):
    """Mixin for serializers that shorten email addresses for auditors.

    ``short``: the names of the fields to shorten.
    """

    short: tuple[str, ...] = ()

    def to_representation(self, row: Any) -> Any:
        shown = super().to_representation(row)
        if sees_all_emails(self.context["request"].user):
            return shown
        return shown | {name: masked(shown[name]) for name in self.short}


class HeldIdentitySerializer(_Shortening, IdentitySerializer):
    """An account at a provider with which the person signs in here."""

    short = ("account",)


class AllowedAppSerializer(serializers.Serializer[Any]):
    """The access to one service that the person has allowed a connected app."""

    client_id = serializers.CharField()
    name = serializers.CharField(source="client.label")
    audience = serializers.CharField()
    scope = serializers.CharField()
    since = serializers.DateTimeField()
    used_at = serializers.DateTimeField()


class MailSerializer(serializers.Serializer[Any]):
    """An email to the person, without its content."""

    heading = serializers.CharField()
    created_at = serializers.DateTimeField()
    done_at = serializers.DateTimeField(
        default=None, allow_null=True, help_text="Null while it waits."
    )
    failure = serializers.CharField(
        default="", help_text="Why it was not sent; empty if a mail server has accepted it."
    )


class DetailsSerializer(serializers.Serializer[Any]):
    """The sessions, second factors, API keys, identities, apps and emails of a person."""

    sessions = LoginSessionSerializer(many=True)
    authenticators = AuthenticatorSerializer(many=True)
    passkeys = PasskeySerializer(many=True)
    recovery_codes = serializers.IntegerField(help_text="How many unused ones are left.")
    emailed_codes = serializers.BooleanField()
    trusted_browsers = TrustedBrowserSerializer(many=True)
    keys = KeySerializer(many=True)
    providers = HeldIdentitySerializer(many=True)
    apps = AllowedAppSerializer(many=True)
    removed_emails = serializers.ListField(
        child=serializers.CharField(), help_text="None for staff who only read."
    )
    mails = MailSerializer(many=True, help_text="The last 20; those that wait are first.")


class DetailsView(views.APIView):
    """Show the sessions, factors, keys, identities, apps and emails of a person."""

    area = "admin"
    permission_classes = (ForStaff,)

    @operation("get_account_details", response=DetailsSerializer)
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """Return the sessions, second factors, API keys, providers, apps and emails of a user.

        The history of the account shows that staff have read it.
        """
        user = user_with(id)
        note_reading(request, user)
        is_whole, facts = sees_all_emails(cast(User, request.user)), Facts(user)
        addresses = facts.addresses if is_whole else [user.email]
        codes = facts.held.recovery_codes
        mails = [*mail.waiting_for(addresses), *mail.receipts_of(addresses)]
        shown = {
            "sessions": facts.sessions,
            "authenticators": facts.held.authenticators,
            "passkeys": [*facts.held.passkeys, *facts.held.unconfirmed],
            "recovery_codes": codes.left if codes else 0,
            "emailed_codes": user.emailed_codes,
            "trusted_browsers": trusted_browsers.of(user),
            "keys": facts.keys,
            "providers": facts.identities,
            "apps": facts.connections,
            "removed_emails": [row.label for row in facts.removed] if is_whole else [],
            "mails": mails[:MOST],
        }
        return Response(DetailsSerializer(shown, context={"request": request}).data)


class StaffActivitySerializer(_Shortening, ActivitySerializer):
    """An event in the history of an account, as staff see it."""

    short = ("detail", "reason")
    actor = serializers.SerializerMethodField(
        help_text="The username that the member of staff had, `@operator`, `@scim` with the name "
        "of a directory, or empty for the owner."
    )

    class Meta:
        model = Activity
        fields = (*ActivitySerializer.Meta.fields, "actor_id")

    def get_actor(self, row: Activity) -> str:
        return row.actor

    def get_key(self, row: Activity) -> str:
        return row.key


class AccountActivityView(generics.ListAPIView[Activity]):
    """List the history of an account."""

    area = "admin"
    permission_classes = (ForStaff,)
    serializer_class = StaffActivitySerializer

    def get_queryset(self) -> QuerySet[Activity]:
        user = user_with(self.kwargs["id"])
        note_reading(self.request, user)
        return activity.all_of(user)

    @operation("list_account_activity")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List what happened to an account, newest first, and which member of staff caused it.

        The history itself shows that staff have read it.
        """
        return super().get(request, *args, **kwargs)


# A transaction may commit after another one that has a later id. A client that has already read the
# later id would miss the earlier one. Therefore an event is listed when it is older, by this time,
# than every transaction that may still store events. The time also allows for differences between
# clocks.
SETTLED = timedelta(minutes=1)
# On SQLite, no transaction gets an id while another one that has an id is running.
OLDEST = """
SELECT MIN(xact_start) FROM pg_stat_activity
WHERE datname = current_database() AND backend_xid IS NOT NULL
"""
_TOLD = [event.name for event in events.EVENTS.values() if event.type]


def settled(after: int, most: int) -> list[Activity]:
    """Return the first ``most`` events of the feed with ids above ``after``."""
    # This comes before the rows are read. Otherwise, a transaction could commit between the two
    # statements.
    until = min(clock.now(), _oldest_write() or clock.now()) - SETTLED
    later = Activity.objects.filter(pk__gt=after)
    rows = list(later.filter(kind__in=_TOLD).order_by("pk")[:most])
    if not rows:
        return rows
    # Only ids in this range: no index finds the young events in a history of years.
    young = later.filter(pk__lte=rows[-1].pk, at__gt=until)
    first = young.aggregate(first=Min("pk"))["first"]
    return [row for row in rows if first is None or row.pk < first]


def _oldest_write() -> datetime | None:
    """Return when the oldest running transaction that has written something began, or None."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(OLDEST)
        (oldest,) = cursor.fetchone()
    return cast("datetime | None", oldest)


class ToldEventSerializer(serializers.Serializer[Any]):
    """An event in the form in which webhooks send it."""

    id = serializers.IntegerField()
    type = serializers.ChoiceField([*events.TYPES])
    timestamp = serializers.DateTimeField()
    event = serializers.CharField(help_text="The kind of the event: see docs/events.md.")
    user = serializers.UUIDField()
    by = serializers.ChoiceField(["user", "staff", "operator", "directory", "site"])
    actor = serializers.UUIDField(allow_null=True, help_text="The member of staff.")
    session = serializers.UUIDField(allow_null=True, help_text="In which it was caused.")


class FeedSerializer(serializers.Serializer[Any]):
    """Some events, and the URL of the following ones; null if there are none yet."""

    next = serializers.URLField(allow_null=True)
    results = ToldEventSerializer(many=True)


class _AfterSerializer(serializers.Serializer[Any]):
    """The query parameters of the event feed."""

    after = serializers.IntegerField(min_value=0, max_value=2**63 - 1, default=0)


class EventsView(views.APIView):
    """The event feed, for systems that poll instead of receiving webhooks."""

    area = "admin"
    permission_classes = (ForStaff,)
    parameters = (
        OpenApiParameter("after", OpenApiTypes.INT, description="The id of the last known event."),
    )

    @operation("list_events", response=FeedSerializer, parameters=[*parameters])
    def get(self, request: Request) -> Response:
        """List events of all users, oldest first, a minute after they happened or a little later.

        Webhooks send the same events. To read on, send the id of the last event as `after`.
        """
        after = valid(_AfterSerializer(data=request.query_params.dict()))["after"]
        if not actor_of(request._request).key:
            hit(STAFF.of("read", cast(User, request.user).pk))
        rows = settled(after, PAGE_SIZE + 1)
        url = absolute("api-admin-events")
        results = [
            {"type": row.event.type, "timestamp": activity.timestamp(row), **activity.data_of(row)}
            for row in rows[:PAGE_SIZE]
        ]
        is_more = len(rows) > PAGE_SIZE
        return Response(
            {"next": f"{url}?after={results[-1]['id']}" if is_more else None, "results": results}
        )
