"""Creates and ends the sessions of connected apps: one for each sign-in to an app.

Such a session belongs to the browser session from which the user signed in to the app, its parent.
It ends with its parent, unless the app may stay signed in (the scope ``offline_access``).
"""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from accounts.activity import events
from accounts.activity.kinds import Event
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.deletion import change_in_portions
from accounts.common.prepared import P, PreparedUpdate
from accounts.common.signals import sessions_ended
from accounts.sessions.models import LoginSession, is_live
from accounts.users.models import User

# The most live sessions of one user with one app.
MOST = 20

# PostgreSQL locks the rows in the order after OF. Whatever ends all sessions of a user locks the
# user first, too, so the two cannot deadlock.
_LOCK_PARENT = f"""
SELECT 1 FROM {LoginSession._meta.db_table} s JOIN {User._meta.db_table} u ON u.id = s.user_id
WHERE s.id = %s FOR NO KEY UPDATE OF u, s
"""  # noqa: S608 nothing but names of tables


def _excess() -> QuerySet[LoginSession]:
    rows = LoginSession.objects.filter(is_live(P("now")), user=P("user"), client=P("client"))
    # Sessions with ``offline_access`` end last. Otherwise, a page of another site could make the
    # browser sign in again and again, until the app on the person's phone is signed out.
    return rows.exclude(pk=P("session")).order_by("-is_offline", "-used_at")[MOST - 1 :]


_END_EXCESS = PreparedUpdate(
    lambda: LoginSession.objects.filter(pk__in=_excess().values("pk")),
    ended_at=P("now"),
    ended_by=P("reason"),
)


def new(
    parent: LoginSession, client_id: str, scope: str, audience: str, *, is_offline: bool
) -> LoginSession:
    """Return an unsaved session of the user of ``parent`` with the app ``client_id``."""
    config, now = settings.AUTHSITE, clock.now()
    ends_at, idle_at = parent.ends_at, parent.ends_at
    if is_offline:
        ends_at = now + timedelta(days=config.refresh_token_days)
        idle_at = min(now + timedelta(days=config.refresh_idle_days), ends_at)
    return LoginSession(
        user=parent.user,
        kind=LoginSession.Kind.CONNECTED,
        client_id=client_id,
        parent=parent,
        is_offline=is_offline,
        scope=scope,
        audience=audience,
        agent=parent.agent,
        browser=parent.browser,
        system=parent.system,
        ip=parent.ip,
        amr=parent.amr,
        auth_time=parent.auth_time,
        factor_at=parent.factor_at,
        passkey_at=parent.passkey_at,
        factor_key=parent.factor_key,
        begun_at=now,
        used_at=now,
        idle_at=idle_at,
        ends_at=ends_at,
    )


def lock_parent(parent_id: uuid.UUID) -> None:
    """Lock the user of a browser session, and then the session, until the transaction ends.

    Call this before inserting a session of an app, and check both afterwards.
    """
    # In SQLite, the transaction has locked the whole database.
    if connection.features.has_select_for_update:
        with connection.cursor() as cursor:
            cursor.execute(_LOCK_PARENT, [parent_id])


def place(session: LoginSession, info: ClientInfo) -> None:
    """Set the device and the IP address of the unsaved ``session`` to those of ``info``.

    Use this for an app on a device, which calls the site itself. For other apps, a server may call.
    """
    device = info.device
    session.agent, session.ip = info.user_agent, info.ip
    session.browser, session.system = device.browser, device.system


def names(rows: QuerySet[LoginSession]) -> list[str]:
    """Return the names of the apps that the sessions ``rows`` belong to, each app once."""
    apps = rows.exclude(client=None).order_by("client__name", "client")
    return [name for _id, name in apps.values_list("client", "client__name").distinct()]


def make_room(session: LoginSession, app: str, actor: Actor, *, is_told: bool = True) -> None:
    """End the sessions of the app beyond :data:`MOST`, but not the new ``session``.

    Sessions without ``offline_access`` end first, the least recently used ones before others.

    ``app``: the name of the app, for the history of the user.
    ``is_told``: whether the app wants to be told of ended sessions.
    """
    values, now = {"user": session.user_id, "client": session.client_id}, clock.now()
    reason = events.SESSION_ENDED_BY_LIMIT
    if not _END_EXCESS.run(**values, session=session.pk, now=now, reason=reason.name):
        return
    record(session.user, reason, actor, detail=app)
    if is_told:
        tell(LoginSession.objects.filter(**values), now)


def end(rows: QuerySet[LoginSession], reason: Event) -> None:
    """End the sessions ``rows``, which belong to apps, for the event ``reason``.

    The caller records the event.
    """
    change_in_portions(rows.filter(ended_at=None), lambda some: _end(rows, some, reason.name))


def end_children(parents: QuerySet[LoginSession], reason: str) -> None:
    """End the sessions of apps that end with one of ``parents``.

    ``reason``: the name of the event that ended the parents, or an empty string.
    """
    children = LoginSession.objects.filter(
        parent__in=parents.order_by().values("pk"), is_offline=False, ended_at=None
    )
    now = clock.now()
    if children.update(ended_at=now, ended_by=reason):
        tell(LoginSession.objects.filter(parent__in=parents.order_by().values("pk")), now)


def tell(rows: QuerySet[LoginSession], now: datetime) -> None:
    """Send the signal ``sessions_ended`` with those of the sessions ``rows`` that ended at ``now``.

    Call this in the transaction that ends them.
    """
    sessions_ended.send(LoginSession, rows=rows.filter(ended_at=now).order_by())


@transaction.atomic(savepoint=False)
def _end(rows: QuerySet[LoginSession], some: QuerySet[LoginSession], reason: str) -> int:
    """End the portion ``some`` of the sessions ``rows``; return how many there were."""
    now = clock.now()
    if count := some.update(ended_at=now, ended_by=reason):
        tell(rows, now)
    return count
