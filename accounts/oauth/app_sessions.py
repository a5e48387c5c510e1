"""Creates and ends the sessions of connected apps: one for each sign-in to an app.

The parent of such a session is the browser session from which the user signed in to the app. The
session ends with its parent, and the app is notified. If the app may stay connected
(``offline_access``), its refresh token remains valid: only its access tokens end, and new ones have
another ``sid``.
"""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Case, QuerySet, When

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.services import Actor, record
from accounts.common import clock, secrets
from accounts.common.database import (
    P,
    PreparedInsert,
    PreparedQuery,
    PreparedUpdate,
    change_in_portions,
)
from accounts.oauth import logout
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AppSession
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession, is_live
from accounts.tokens import families
from accounts.users.services import OwnedQuery

# The maximum number of live sessions of one user with one app.
MOST = 20


def _excess() -> QuerySet[LoginSession]:
    rows = LoginSession.objects.filter(
        is_live(P("now")), user=P("user"), app_session__client=P("client")
    )
    # Sessions with ``offline_access`` end last. Otherwise, a page of another site could make the
    # browser sign in again and again, until the app on the user's phone is signed out.
    ends_with_parent = Case(When(refresh_digest="", then=1), default=0)
    return rows.exclude(pk=P("session")).order_by(ends_with_parent, "-used_at")[MOST - 1 :]


# PostgreSQL locks the rows in the order of ``of``. All code that ends every session of a user locks
# the user first, too, so the two cannot deadlock. SQLite has locked the whole database already.
_LOCK_PARENT = PreparedQuery(
    lambda: (
        LoginSession.objects.select_related("user")
        .only("user__id")
        .select_for_update(of=("user", "self"), no_key=True)
        .filter(pk=P("session"))
    )
)
_INSERT = PreparedInsert(AppSession)
_LIVE = OwnedQuery(
    lambda: LoginSession.objects.filter(
        is_live(P("now")), pk=P("session"), app_session__isnull=False
    ),
    related="app_session",
)
_END_EXCESS = PreparedUpdate(
    lambda: LoginSession.objects.filter(pk__in=_excess().values("pk")),
    ended_at=P("now"),
    ended_by=P("reason"),
)


def new(
    parent: LoginSession, client_id: str, scope: str, audience: str, *, is_offline: bool
) -> AppSession:
    """Return an unsaved session of the app ``client_id`` for the user of ``parent``.

    ``parent``: the browser session from which the user signed in to the app.
    ``is_offline``: whether the app gets a refresh token, and the session continues after ``parent``
        ends.
    """
    config, now = settings.AUTHSITE, clock.now()
    ends_at, idle_at = parent.ends_at, parent.ends_at
    if is_offline:
        ends_at = now + timedelta(days=config.refresh_token_days)
        idle_at = min(now + timedelta(days=config.refresh_idle_days), ends_at)
    session = LoginSession(
        **sessions.inherited(parent),
        kind=LoginSession.Kind.CONNECTED,
        scope=scope,
        idle_at=idle_at,
        ends_at=ends_at,
    )
    new = AppSession(session=session, client_id=client_id, parent=parent, audience=audience)
    if is_offline:
        new.refresh_token = families.first_token(session.pk)
        session.refresh_digest = secrets.plain_digest(new.refresh_token)
    return new


def insert(new: AppSession) -> None:
    """Insert ``new``, an unsaved session that :func:`new` returned, into the database."""
    sessions.insert.run(new.session)
    _INSERT.run(new)


def with_token(token: str) -> AppSession | None:
    """Return the live session to which the refresh token ``token`` belongs, or None.

    ``token`` may be an older refresh token of the session, which was replaced by a newer one.
    """
    family = families.family_of(token)
    if family is None:
        return None
    session = _LIVE.first(session=family, now=clock.now())
    return session.app_session if session else None


def lock_parent(parent_id: uuid.UUID) -> None:
    """Lock the user of a browser session, and then the session, until the transaction ends.

    Call this before inserting a session of an app. Then check that the browser session is live and
    that the user was not changed.
    """
    _LOCK_PARENT.rows(session=parent_id)


def make_room(new: AppSession, client: Client, actor: Actor) -> None:
    """End the excess sessions of the user with the app if there are more than :data:`MOST`.

    Sessions without ``offline_access`` end first, in the order of their last use. The session
    ``new`` is never ended.

    ``client``: the app.
    """
    session, now = new.session, clock.now()
    values = {"user": session.user_id, "client": new.client_id}
    reason = events.SESSION_ENDED_BY_LIMIT
    if not _END_EXCESS.run(**values, session=session.pk, now=now, reason=reason.name):
        return
    record(session.user, reason, actor, detail=client.name)
    if client.backchannel_logout_uri:
        mine = LoginSession.objects.filter(user=session.user_id, app_session__client=new.client_id)
        logout.post(mine.filter(ended_at=now))


def end(rows: QuerySet[LoginSession], reason: Event) -> None:
    """End the sessions ``rows``, which belong to apps, because of the event ``reason``.

    The caller records the event in the history of the user.
    """
    change_in_portions(rows.filter(ended_at=None), lambda some: _end(rows, some, reason.name))


def end_children(parents: QuerySet[LoginSession], reason: str) -> None:
    """End the sessions of apps whose parents have ended; sign out those with a refresh token.

    ``parents``: browser sessions that have ended.
    ``reason``: the name of the event that ended ``parents``, or an empty string.
    """
    children = {"app_session__parent__in": parents.order_by().values("pk")}
    live, now = LoginSession.objects.filter(ended_at=None, **children), clock.now()
    logout.post(live)
    live.filter(refresh_digest="").update(ended_at=now, ended_by=reason)
    live.filter(signed_out_at=None).update(signed_out_at=now)


@transaction.atomic(savepoint=False)
def _end(rows: QuerySet[LoginSession], some: QuerySet[LoginSession], reason: str) -> int:
    """End the sessions ``some``, a portion of ``rows``; return their number."""
    now = clock.now()
    if count := some.update(ended_at=now, ended_by=reason):
        logout.post(rows.filter(ended_at=now))
    return count
