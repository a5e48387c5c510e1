"""The connected apps of a user: what each may do, when it was last used, and disconnecting it.

An app is connected from the user's first consent until it is disconnected. A first-party app needs
no consent, and is connected at the first sign-in to it. The tokens of an app belong to its sessions
(``oauth.app_sessions``).

An app without a sector knows a user by the id of the account. The apps of a sector know the user by
a random identifier, which apps of other sectors never get.
"""

import uuid
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max, Min, Prefetch, QuerySet

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.common.database import P, PreparedQuery, PreparedUpdate
from accounts.oauth import app_sessions
from accounts.oauth.clients.models import Client
from accounts.oauth.models import (
    AuthorizationCode,
    AuthorizationRequest,
    Connection,
    PairwiseSubject,
)
from accounts.sessions.models import LoginSession
from accounts.users import services as users
from accounts.users.models import User


def subject_of(client: Client, user: User) -> uuid.UUID | None:
    """Return the identifier by which ``client`` knows ``user``, or None if there is none yet."""
    if not client.sector:
        return user.pk
    rows = PairwiseSubject.objects.filter(user=user, sector=client.sector)
    return rows.values_list("subject", flat=True).first()


def make_pairwise(client: Client, user: User) -> uuid.UUID | None:
    """Return the pairwise identifier of ``user`` for ``client``; create it if there is none yet.

    Return None if ``client`` has no sector. Call this in a transaction that has locked a row of
    ``user``, so that the account is not deleted meanwhile.
    """
    if not client.sector:
        return None
    # If another app of the sector inserts the row at the same time, its row is used.
    row, _is_new = PairwiseSubject.objects.get_or_create(user=user, sector=client.sector)
    return row.subject


# The use of an app is recorded at most this often, to limit writes to the row.
NOTE_EVERY = timedelta(minutes=1)


def _one() -> QuerySet[Connection]:
    return Connection.objects.filter(user=P("user"), client=P("client"), audience=P("audience"))


_FOUND, _LOCKED = PreparedQuery(_one), PreparedQuery(lambda: _one().select_for_update())
_NOTE = PreparedUpdate(lambda: _one().filter(used_at__lte=P("before")), used_at=P("now"))


def covers(asked: AuthorizationRequest, user: User) -> bool:
    """Return whether ``user`` has already agreed to everything that ``asked`` requests."""
    row = _FOUND.first(**_key(asked, user))
    return row is not None and _covers(row, asked)


def renew(asked: AuthorizationRequest, user: User) -> bool:
    """Return whether ``user`` has agreed to what ``asked`` requests, and lock the agreement.

    If so, record the use of the app. The lock lasts until the transaction ends.

    Call this instead of :func:`agree` in the transaction that grants ``asked`` without asking for
    consent. Otherwise a disconnection at the same moment would be undone.
    """
    row = _LOCKED.first(**_key(asked, user))
    if row is None or not _covers(row, asked):
        return False
    if row.used_at <= clock.now() - NOTE_EVERY:
        note_use(**_key(asked, user))
    return True


@transaction.atomic
def agree(asked: AuthorizationRequest, user: User, actor: Actor) -> None:
    """Add the scopes that ``asked`` requests to those that ``user`` has granted to the app.

    Scopes that the app may no longer request are removed.

    Call this after consent, or if the app is first-party. The user is notified of a new app and of
    each device.

    Raises:
        AccountChanged: the account was locked or changed after ``user`` was read from the
            database, perhaps because the person who agrees is not its owner.
    """
    # A lockdown takes the same lock. If it comes later, it deletes this agreement, too.
    users.lock_row(user)
    is_new = not Connection.objects.filter(user=user, client=asked.client_id).exists()
    row, is_added = Connection.objects.select_for_update().get_or_create(
        user=user,
        client=asked.client,
        audience=asked.audience,
        defaults={"scope": asked.scope},
    )
    if not is_added:
        agreed = set(f"{row.scope} {asked.scope}".split())
        row.scope = " ".join(name for name in asked.client.scope.split() if name in agreed)
        row.used_at = clock.now()
        row.save(update_fields=["scope", "used_at"])
    if asked.device:
        detail = f"{asked.client.label}, {asked.device.ip}"
        record(user, events.DEVICE_CONNECTED, actor, detail=detail)
    elif is_new:
        record(user, events.APP_CONNECTED, actor, detail=asked.client.label)


def note_use(*, user: uuid.UUID, client: str, audience: str) -> None:
    """Record that the app ``client`` uses tokens of ``user`` for ``audience``.

    A use is recorded at most once a minute.
    """
    now = clock.now()
    _NOTE.run(user=user, client=client, audience=audience, now=now, before=now - NOTE_EVERY)


def of(user: User) -> QuerySet[Any]:
    """Return the apps that ``user`` has connected, most recently used first.

    Each result is a :class:`Client` with the attributes ``since``, ``used_at``, and ``agreed``, a
    list of connections, one for each service for which the app has tokens.
    """
    mine = Connection.objects.filter(user=user)
    apps = Client.objects.filter(connections__in=mine).annotate(
        since=Min("connections__since"), used_at=Max("connections__used_at")
    )
    agreed = Prefetch("connections", mine.order_by("audience"), to_attr="agreed")
    return apps.order_by("-used_at", "pk").prefetch_related(agreed)


_ROWS = PreparedQuery(
    lambda: (
        Connection.objects.filter(user=P("user"))
        .order_by("-used_at", "pk")
        .select_related("client__required_group")
    )
)


def rows_of(user: User) -> list[Connection]:
    """Return the connections of ``user``, most recently used first."""
    return _ROWS.all(user=user.pk)


def find_connection(user: User, client_id: str) -> Any:
    """Return the connected app with this client ID; None if ``user`` has not connected it.

    The app has the attributes that :func:`of` describes.
    """
    # PostgreSQL would refuse a NUL character with an error.
    return of(user).filter(pk=client_id).first() if client_id.isprintable() else None


@transaction.atomic
def disconnect(user: User, client_id: str, actor: Actor) -> bool:
    """Disconnect an app: end its sessions and codes, and delete the agreement of ``user``.

    Return False if the app was not connected.
    """
    # Lock the user first, as a lockdown does. Otherwise the two could deadlock on the sessions.
    users.lock_row_as_is(user)
    client = find_connection(user, client_id)
    mine = {"user": user, "client": client}
    # Of two simultaneous requests, the second finds the app, but no row to delete.
    if not Connection.objects.filter(**mine).delete()[0]:
        return False
    # Delete the codes before the sessions: a simultaneous redemption either finds no code, or has
    # already inserted its session.
    AuthorizationCode.objects.filter(**mine).delete()
    rows = LoginSession.objects.filter(user=user, app_session__client=client)
    app_sessions.end(rows, events.APP_DISCONNECTED)
    record(user, events.APP_DISCONNECTED, actor, detail=client.label)
    return True


@transaction.atomic
def disconnect_all(user: User, actor: Actor) -> None:
    """Disconnect all apps of ``user``, as :func:`disconnect` does."""
    users.lock_row_as_is(user)
    for client_id in list(of(user).values_list("pk", flat=True)):
        disconnect(user, client_id, actor)


def forget_all(user: User) -> None:
    """Delete the connections and authorization codes of ``user``, but not the sessions of apps."""
    Connection.objects.filter(user=user).delete()
    AuthorizationCode.objects.filter(user=user).delete()


def _key(asked: AuthorizationRequest, user: User) -> dict[str, Any]:
    return {"user": user.pk, "client": asked.client_id, "audience": asked.audience}


def _covers(row: Connection, asked: AuthorizationRequest) -> bool:
    return set(asked.scope.split()) <= set(row.scope.split())
