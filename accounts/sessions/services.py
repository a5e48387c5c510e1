"""Creates, updates and revokes sessions."""

import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Count, Max, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record, record_many
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.database import (
    P,
    PreparedInsert,
    PreparedQuery,
    change_in_portions,
    delete_in_batches,
)
from accounts.common.proofs import FACTORS, Method, Proof
from accounts.common.signals import sessions_ended
from accounts.sessions.models import BrowserSession, LoginSession, is_live
from accounts.users import services as users
from accounts.users.models import User
from accounts.users.services import AccountChanged

# The use of a session is recorded at most this often, to limit writes to the database. An idle
# session may expire this much earlier than the setting says, but never later.
NOTE_EVERY = timedelta(minutes=1)
# Ended sessions are kept for this long, because a client may still present one of their tokens.
KEEP_ENDED = timedelta(days=1)
# The maximum number of sessions that one sign-in revokes because of ``MAX_SESSIONS``.
AT_ONCE = 20

insert = PreparedInsert(LoginSession)
# Connected apps have their own rules (``accounts.oauth.app_sessions``).
IS_APP = Q(kind=LoginSession.Kind.CONNECTED)
_LIVE = LoginSession.objects.filter(is_live(P("now")))
_LOCKED = PreparedQuery(lambda: _LIVE.select_for_update().filter(pk=P("session")))
_COUNTED: PreparedQuery[Any] = PreparedQuery(
    lambda: _LIVE.exclude(IS_APP).filter(user=P("user")).values("pk")
)
_KINDS: PreparedQuery[Any] = PreparedQuery(
    lambda: _LIVE.filter(user=P("user")).exclude(pk=P("keep")).values_list("kind")
)
# No session has this id.
_NONE = uuid.UUID(int=0)


def create(
    user: User,
    proofs: Sequence[Proof],
    client: ClientInfo,
    *,
    is_remembered: bool,
    stepped_up_at: datetime | None = None,
) -> LoginSession:
    """Create and return a session of ``user`` in the browser of ``client``.

    ``is_remembered``: whether the session outlives the browser.
    ``stepped_up_at``: the result of ``signin.policy.stepped_up_at`` for ``proofs``.
    """
    config = settings.AUTHSITE
    ends_at = clock.now() + timedelta(
        days=config.remember_days if is_remembered else config.session_days
    )
    idle_at = ends_at if is_remembered else clock.now() + _idle()
    session = _new(user, proofs, client, idle_at=idle_at, ends_at=ends_at)
    session.is_remembered, session.stepped_up_at = is_remembered, stepped_up_at
    insert.run(session)
    return session


def new_api_session(
    user: User, proofs: Sequence[Proof], client: ClientInfo, *, kind: LoginSession.Kind, scope: str
) -> LoginSession:
    """Return an unsaved session of ``user`` in an API client.

    ``signin.session.establish_api_session`` inserts it.
    """
    config, now = settings.AUTHSITE, clock.now()
    session = _new(
        user,
        proofs,
        client,
        idle_at=now + timedelta(days=config.refresh_idle_days),
        ends_at=now + timedelta(days=config.refresh_token_days),
    )
    session.kind, session.scope = kind, scope
    return session


def _new(
    user: User, proofs: Sequence[Proof], client: ClientInfo, *, idle_at: datetime, ends_at: datetime
) -> LoginSession:
    return LoginSession(
        user=user,
        agent=client.user_agent,
        browser=client.device.browser,
        system=client.device.system,
        ip=client.ip,
        amr=[proof.method for proof in proofs],
        auth_time=max(proof.at for proof in proofs),
        factor_at=max((proof.at for proof in proofs if proof.method in FACTORS), default=None),
        passkey_at=max((p.at for p in proofs if p.method is Method.PASSKEY), default=None),
        factor_key=next((p.key for p in reversed(proofs) if p.method in FACTORS), ""),
        idle_at=min(idle_at, ends_at),
        ends_at=ends_at,
    )


def inherited(parent: LoginSession) -> dict[str, Any]:
    """Return the fields that a new session copies from the browser session ``parent``.

    These are the user, the device, and how the user has authenticated.
    """
    device = ("user", "agent", "browser", "system", "ip")
    shown = ("amr", "auth_time", "factor_at", "passkey_at", "factor_key", "stepped_up_at")
    return {name: getattr(parent, name) for name in (*device, *shown)}


def of_page(parent: LoginSession) -> dict[str, Any]:
    """Return the fields of a session that a page of the browser session ``parent`` has begun."""
    return {"kind": LoginSession.Kind.APP, "former_digest": parent.pk.hex}


def live(user: User) -> QuerySet[LoginSession]:
    """Return the sessions in which ``user`` is signed in, most recently used first."""
    return LoginSession.objects.filter(is_live(clock.now()), user=user).order_by("-used_at")


_LIVE_OR_STOPPED = PreparedQuery(
    lambda: LoginSession.objects.filter(
        is_live(P("now")) | Q(ended_by=events.SESSION_STOPPED.name), user=P("user")
    ).order_by("-used_at")
)


def live_or_stopped(user: User) -> list[LoginSession]:
    """Return the live sessions, and the sessions that session protection has revoked."""
    return _LIVE_OR_STOPPED.all(user=user.pk, now=clock.now())


def count_kinds(user: User, *, keep: uuid.UUID | None = None) -> Counter[str]:
    """Return the number of live sessions of ``user`` by kind, without the session ``keep``."""
    rows = _KINDS.rows(user=user.pk, now=clock.now(), keep=keep or _NONE)
    return Counter(kind for (kind,) in rows)


def signed_in(people: QuerySet[User]) -> QuerySet[User]:
    """Return the users among ``people`` who have a live session."""
    return people.filter(pk__in=LoginSession.objects.filter(is_live(clock.now())).values("user"))


def last_uses(users: Collection[uuid.UUID]) -> dict[uuid.UUID, datetime]:
    """Return the last use of any session by user, for the users with these ids."""
    rows = LoginSession.objects.filter(user__in=users).order_by().values_list("user")
    return dict(rows.annotate(Max("used_at")))


def lock(session_id: uuid.UUID | None) -> None:
    """Lock the row of a live session until the end of the transaction.

    Raises:
        AccountChanged: the session has ended, or ``session_id`` is None.
    """
    if session_id is None or not _LOCKED.first(session=session_id, now=clock.now()):
        raise AccountChanged


def note_use(session: LoginSession, client: ClientInfo) -> None:
    """Record that ``client`` uses ``session``, unless a use was recorded in the last minute.

    If the idle timeout is shorter than four minutes, record a use after a quarter of it.
    """
    now = clock.now()
    # With a short idle timeout, record more often. Otherwise a session in use would expire.
    every = min(NOTE_EVERY, _idle() / 4)
    if session.used_at > now - every:
        return
    session.used_at = now
    # Without session protection, another device may use the session. The row still names the device
    # that signed in.
    agent = session.agent if client.device != session.device else client.user_agent
    session.idle_at = (
        session.ends_at if session.is_remembered else min(now + _idle(), session.ends_at)
    )
    LoginSession.objects.filter(is_live(now), pk=session.pk, used_at__lte=now - every).update(
        used_at=session.used_at, idle_at=session.idle_at, ip=client.ip, agent=agent
    )


def record_reauthentication(
    session: LoginSession, proof: Proof, client: ClientInfo, *, steps_up: bool = False
) -> None:
    """Record that the user reauthenticated with ``proof`` in the browser of ``client``.

    From then on, session protection accepts only this browser.

    ``steps_up``: whether ``proof`` is from a second factor that counts for acts of staff and for
        apps.
    """
    session.auth_time = proof.at
    if proof.method in FACTORS:
        session.factor_at, session.factor_key = proof.at, proof.key
        session.stepped_up_at = proof.at if steps_up else None
    if proof.method is Method.PASSKEY:
        session.passkey_at = proof.at
    session.amr = list(dict.fromkeys([*session.amr, proof.method]))
    session.agent, session.ip = client.user_agent, client.ip
    session.browser, session.system = client.device.browser, client.device.system
    session.challenged_at = None
    proved = ["auth_time", "factor_at", "factor_key", "stepped_up_at", "passkey_at", "amr"]
    session.save(update_fields=[*proved, "agent", "ip", "browser", "system", "challenged_at"])


def require_reauthentication(session: LoginSession, actor: Actor) -> None:
    """Record that another browser uses ``session`` and must reauthenticate.

    Only the first request of the other browser causes an event.
    """
    if session.challenged_at:
        return
    with transaction.atomic():
        unchallenged = LoginSession.objects.filter(pk=session.pk, challenged_at=None)
        if unchallenged.update(challenged_at=clock.now()):
            record(session.user, events.BROWSER_CHANGED, actor)


@transaction.atomic
def revoke(
    session: LoginSession,
    *,
    reason: Event | None = None,
    actor: Actor | None = None,
    detail: str = "",
) -> bool:
    """Revoke ``session``; return False if it had already ended.

    Sessions that pages have begun in a browser session (:func:`of_page`) end with it.

    If ``reason`` and ``actor`` are given, the event ``reason`` is recorded with that actor.
    """
    name = reason.name if reason else ""
    if not _revoke(LoginSession.objects.filter(pk=session.pk), name):
        return False
    if not session.is_client:
        # This second statement also sees a session that was begun while the first one waited.
        _revoke(LoginSession.objects.filter(user=session.user_id, **of_page(session)), name)
    session.ended_at = clock.now()
    if reason and actor:
        record(session.user, reason, actor, detail=detail)
    return True


def revoke_by_id(user: User, session_id: uuid.UUID, actor: Actor) -> bool:
    """Revoke the live session of ``user`` with ``session_id``; return False if there is none."""
    session = live(user).filter(pk=session_id).first()
    if session is None:
        return False
    return revoke(session, reason=events.SESSION_ENDED, actor=actor, detail=str(session))


def revoke_all(user: User, *, keep: uuid.UUID | None = None, reason: str = "") -> None:
    """Revoke all sessions of ``user`` except the session with the id ``keep``.

    No event is recorded: the caller does this.

    ``reason``: the name of the event, which is stored with each session.
    """
    sessions = LoginSession.objects.filter(user=user)
    _revoke(sessions.exclude(pk=keep) if keep else sessions, reason)


@transaction.atomic
def revoke_by_operator(user: User, actor: Actor) -> int:
    """Revoke all sessions of ``user`` on behalf of an operator; return the number of live ones."""
    users.lock_row_as_is(user)
    count = live(user).count()
    revoke_all(user, reason=events.ALL_ENDED.name)
    record(user, events.ALL_ENDED, actor, detail=str(count))
    return count


@transaction.atomic
def revoke_of_many(whose: Q) -> dict[uuid.UUID, int]:
    """Revoke all sessions of many people in a few statements; return their number by user.

    No event is recorded: the caller does this.

    ``whose``: a condition on ``user``. A range of ids lets the database use its index.
    """
    rows = LoginSession.objects.filter(whose)
    live = rows.filter(is_live(clock.now())).order_by()
    counts = dict(live.values_list("user").annotate(Count("pk")))
    _revoke(rows, events.ALL_ENDED.name, at_once=True)
    return counts


def of_lasting_apps() -> QuerySet[LoginSession]:
    """Return the live sessions of apps that stay connected after the browser session has ended."""
    return LoginSession.objects.filter(is_live(clock.now()), IS_APP).exclude(refresh_digest="")


def count_live() -> dict[str, int]:
    """Return the number of live sessions by kind. This reads all sessions."""
    rows = LoginSession.objects.filter(is_live(clock.now())).order_by()
    found = dict(rows.values_list("kind").annotate(Count("pk")))
    return {kind.value: found.get(kind, 0) for kind in LoginSession.Kind}


def prune() -> int:
    """Delete sessions that ended more than a day ago; return how many rows were deleted.

    Also delete the expired session data of browsers in which nobody is signed in.
    """
    now = clock.now()
    sessions = LoginSession.objects.filter(
        Q(ended_at__lte=now - KEEP_ENDED)
        | Q(idle_at__lte=now - KEEP_ENDED)
        | Q(ends_at__lte=now - KEEP_ENDED)
    )
    strangers = BrowserSession.objects.filter(expire_date__lte=now, login_session=None)
    return delete_in_batches(sessions) + delete_in_batches(strangers)


def _idle() -> timedelta:
    return timedelta(minutes=settings.AUTHSITE.session_idle_minutes)


def _revoke(sessions: QuerySet[LoginSession], reason: str, *, at_once: bool = False) -> int:
    """Mark sessions as ended and delete the session data of their browsers; return their number.

    ``reason``: the name of the event that ends them, or an empty string.
    ``at_once``: whether to use one statement, because PostgreSQL plans portions of many people
        badly.
    """
    live, now = sessions.filter(ended_at=None).order_by(), clock.now()
    browsers = BrowserSession.objects.filter(login_session=OuterRef("pk"))
    key = Coalesce(Subquery(browsers.values("session_key")[:1]), Value(""))
    changes = {"ended_at": now, "ended_by": reason, "ended_key": key}
    if at_once:
        count = live.update(**changes)
    else:
        count = change_in_portions(live, lambda some: some.update(**changes))
    # Without a session, nothing else needs to end. Most people in bulk acts have no session.
    if not count:
        return 0
    sessions_ended.send(LoginSession, rows=sessions, at=now, reason=reason)
    rows = BrowserSession.objects.filter(login_session__in=sessions.order_by().values("pk"))
    rows._raw_delete(rows.db)
    return count


def make_room(user: User, new: LoginSession, actor: Actor) -> None:
    """Revoke sessions of ``user`` in excess of ``MAX_SESSIONS``, and record an event for each.

    Sessions of API clients are revoked before sessions of browsers, in the order of their last use.
    ``new`` is never revoked, and connected apps have their own limit. A tenth of the limit is
    revoked in addition: otherwise, a program that signs in for each call would revoke a session at
    each call. One call revokes at most ``AT_ONCE`` sessions, so that a sign-in is fast after the
    setting was lowered.
    """
    most = settings.AUTHSITE.max_sessions
    excess = _COUNTED.count(most + AT_ONCE, user=user.pk, now=clock.now()) - most
    if excess <= 0:
        return
    is_browser = Case(When(kind=LoginSession.Kind.BROWSER, then=1), default=0)
    counted = live(user).exclude(IS_APP).exclude(pk=new.pk)
    ended = list(counted.order_by(is_browser, "used_at")[: min(excess + most // 10, AT_ONCE)])
    reason = events.SESSION_ENDED_BY_LIMIT
    rows = LoginSession.objects.filter(pk__in=[session.pk for session in ended])
    _revoke(rows, reason.name, at_once=True)
    record_many([(user.pk, reason, str(session)) for session in ended], actor)


# Fewer failures may be typing errors of the owner. ``throttle.limits.REAUTHENTICATION`` allows the
# same number, so the email is sent before the limit delays further attempts.
NEWS_AFTER = 5
NEWS_EVERY = timedelta(days=1)


@transaction.atomic
def record_failed_reauthentication(user: User, actor: Actor) -> None:
    """Record that ``user`` failed to reauthenticate in the session of ``actor``.

    After five failures in a session within 24 hours, the account owner is notified by email,
    because the session may be stolen (ASVS 6.3.5). The owner gets at most one such email for each
    session in 24 hours.
    """
    session = cast(uuid.UUID, actor.session)
    # The lock makes simultaneous failures count one after the other.
    LoginSession.objects.select_for_update(no_key=True).filter(pk=session).first()
    record(user, events.PROOF_FAILED, actor)
    recent = Activity.objects.filter(user=user, session=session, at__gt=clock.now() - NEWS_EVERY)
    failures = recent.filter(kind=events.PROOF_FAILED.name)
    is_told = recent.filter(kind=events.PROOF_GUESSED.name).exists()
    if failures.count() >= NEWS_AFTER and not is_told:
        record(user, events.PROOF_GUESSED, actor)
