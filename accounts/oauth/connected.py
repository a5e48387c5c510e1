"""The functions of apps for the rest of the site, and the effects of account changes on apps."""

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, override

from django.db.models import Model, Q, QuerySet
from django.dispatch import receiver

from accounts.activity import events
from accounts.activity.services import Actor
from accounts.common import clock
from accounts.common.database import PreparedList, delete_in_batches
from accounts.common.signals import credentials_changed, sessions_ended
from accounts.oauth import app_sessions, connections, logout
from accounts.oauth.clients import authentication, documents, registration
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client, RegistrationToken
from accounts.oauth.devices import KEEP_EXPIRED
from accounts.oauth.models import (
    AppSession,
    AuthorizationCode,
    AuthorizationRequest,
    Connection,
    DeviceAuthorization,
    PairwiseSubject,
    UnreadRequest,
)
from accounts.sessions.connected import App, Apps
from accounts.sessions.models import LoginSession
from accounts.users.models import User

_OF_SESSIONS = PreparedList(
    lambda ids: (
        AppSession.objects.filter(session__pk__in=ids)
        .select_related("client")
        .only("client__name", "client__is_verified")
    )
)


class ConnectedApps(Apps):
    """The interface by which the rest of the site reads and disconnects connected apps."""

    @override
    def of_sessions(self, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, App]:
        rows = _OF_SESSIONS.all(ids)
        return {row.session_id: App(row.client_id, row.client.label) for row in rows}

    @override
    def sessions_like(self, session_id: uuid.UUID) -> Q:
        return Q(app_session__client__app_sessions=session_id)

    @override
    def names(self, rows: QuerySet[LoginSession]) -> list[str]:
        of_apps = AppSession.objects.filter(session__in=rows.order_by().values("pk"))
        apps = of_apps.order_by("client__name", "client")
        return [name for _id, name in apps.values_list("client", "client__name").distinct()]

    @override
    def connections_of(self, user: User) -> list[Connection]:
        return connections.rows_of(user)

    @override
    def restricted(self) -> QuerySet[Client]:
        open_to_all = {"required_group": None, "factor": "", "disabled_at": None}
        return Client.objects.exclude(**open_to_all).select_related("required_group")

    @override
    def disconnect(self, user: User, client_id: str, actor: Actor) -> None:
        if client_id:
            connections.disconnect(user, client_id, actor)
        else:
            connections.disconnect_all(user, actor)

    @override
    def users_known_as(self, subject: uuid.UUID) -> list[QuerySet[Any, Any]]:
        return [PairwiseSubject.objects.filter(pk=subject).values_list("user", flat=True)]

    @override
    def prune(self) -> Mapping[str, int]:
        return {
            "secrets of apps and registrations": clients.prune() + registration.prune(),
            "keys of apps": authentication.prune(),
            "codes for apps": _delete_expired(AuthorizationCode),
            "logout notices": logout.give_up(),
            "authorization requests": _delete_expired(AuthorizationRequest, UnreadRequest),
            "codes of devices": _delete_expired(DeviceAuthorization, kept=KEEP_EXPIRED),
            # Requests refer to an app, so expired ones are deleted before apps.
            "unused apps": registration.prune_clients() + documents.prune(),
        }

    @override
    def revoke_after_restore(self) -> None:
        RegistrationToken.objects.all().delete()


def _delete_expired(*models: type[Model], kept: timedelta = timedelta(0)) -> int:
    """Delete rows that expired more than ``kept`` ago; return how many were deleted."""
    past = {"expires_at__lte": clock.now() - kept}
    return sum(delete_in_batches(model._default_manager.filter(**past)) for model in models)


@receiver(credentials_changed)
def disconnect_apps(*, user: User, event: str, **_signal: Any) -> None:
    """Delete the connections of ``user`` to apps, in the transaction of the change ``event``.

    Do nothing if ``event`` is not in ``events.ACCESS_ENDED``.

    Without this, an app that a thief has connected would need no consent after the lock.
    ``accounts.consequences`` ends the sessions of apps together with all others.
    """
    if event in events.ACCESS_ENDED:
        connections.forget_all(user)


@receiver(sessions_ended)
def end_sessions_of_apps(
    *, rows: QuerySet[LoginSession], at: datetime, reason: str, **_signal: Any
) -> None:
    """Notify the apps of the ended sessions ``rows``, and end the sessions that depend on them."""
    logout.post(rows.filter(ended_at=at).order_by())
    app_sessions.end_children(rows, reason)
