"""Locks accounts, so that nobody can sign in until the password is reset.

:class:`Access` lists the sessions, keys and apps that have access to an account. Pages show them
before a change ends them.
"""

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.activity import events, notices
from accounts.activity.events import Group
from accounts.activity.models import Activity
from accounts.activity.notices import Notice
from accounts.activity.services import Actor, record
from accounts.apikeys import services as apikeys
from accounts.codes.services import LinkEnded
from accounts.common import clock
from accounts.common.database import P, PreparedQuery
from accounts.common.errors import PublicError
from accounts.common.proofs import Method, Proof
from accounts.common.signals import credentials_changed
from accounts.recovery import evidence, rule, suspension
from accounts.recovery import services as recovery
from accounts.recovery.models import Recovery
from accounts.recovery.rule import Kind, Lock, Ownership, Thing
from accounts.sessions import connected
from accounts.sessions.models import LoginSession
from accounts.sessions.services import count_kinds, live
from accounts.throttle.limits import MAIL_AGAIN
from accounts.throttle.services import hit
from accounts.twofactor import services as twofactor
from accounts.twofactor import trusted_browsers
from accounts.twofactor.models import RecoveryCodes
from accounts.users import emails, former_credentials
from accounts.users import services as users
from accounts.users.models import User, locked_password

# The maximum number of changes that the page offers as the first wrong one.
MOST_CHANGES = 50


class CannotLock(PublicError):
    """The account cannot be locked with these proofs, or the lock would suspend nothing more.

    With only a mailbox, an account can be locked once in 30 days, and not soon after it was
    unlocked.
    """

    code = "not_possible"
    status = 403
    message = _(
        "You can’t lock the account with this address alone now. Also enter the password that you "
        "had before the first change that you didn’t make, or contact support."
    )


class NotEnoughShown(CannotLock):
    """The proofs of a signed-in user are not sufficient to lock the account."""

    message = _("To lock your account, enter your password, or use the link that we email you.")


class Access:
    """The sessions, keys and apps with access to the account of ``user``, read when needed.

    ``keep``: the id of a session of a browser that the numbers leave out, or None.
    """

    def __init__(self, user: User, keep: uuid.UUID | None = None) -> None:
        self._user, self._keep = user, keep

    @property
    def live(self) -> QuerySet[LoginSession]:
        """The live sessions."""
        return live(self._user)

    @cached_property
    def _kinds(self) -> Counter[str]:
        return count_kinds(self._user, keep=self._keep)

    @property
    def browsers(self) -> int:
        """The number of live sessions in browsers."""
        return self._kinds[LoginSession.Kind.BROWSER]

    @property
    def programs(self) -> int:
        """The number of live sessions of API clients that are not connected apps."""
        return self._kinds.total() - self.browsers - self._kinds[LoginSession.Kind.CONNECTED]

    @property
    def sessions(self) -> int:
        """The number of live sessions of browsers and API clients."""
        return self.browsers + self.programs

    @cached_property
    def apps(self) -> list[str]:
        """The names of the connected apps that are signed in."""
        if not self._kinds[LoginSession.Kind.CONNECTED]:
            return []
        return connected.apps().names(self.live.order_by())

    @cached_property
    def connections(self) -> list[Any]:
        """The access that connected apps have been granted, including apps that are not signed in.

        An app has one row for each service that it may use.
        """
        return connected.apps().connections_of(self._user)

    @cached_property
    def keys(self) -> apikeys.Effects:
        """The API keys that end with the live sessions, and the other API keys."""
        return apikeys.effects(self._user, self._keep)

    @cached_property
    def trusted(self) -> int:
        """The number of trusted browsers."""
        return len(trusted_browsers.of(self._user))

    @property
    def is_any(self) -> bool:
        """Whether a change of a second factor would end any access."""
        return any((self.sessions, self.apps, self.keys.ending, self.trusted))


def effects(user: User, notice: Notice | None = None) -> dict[str, Any]:
    """Return the effects of locking the account of ``user``, for the page that asks to confirm it.

    ``notice``: the notice that contains the link. None if a signed-in user locks the account.

    The members of the result:

    ``access``: the sessions that are revoked, and the trusted browsers.
    ``apps``: the names of the apps that are disconnected.
    ``keys``: the number of API keys that are revoked.
    ``suspended``: the names of the credentials that are suspended.
    ``primary``: the new primary address; empty if the primary address stays the same.
    ``emails``: the number of email addresses that stay.
    ``factors``: the number of second factors that stay, without recovery codes.
    ``emailed_codes``: whether codes by email are turned off.
    ``by_mail``: whether the password can then be reset by email. If not, only a connected provider
        or an operator can unlock the account.
    """
    lock = lock_naming(user, notice.row.at if notice else clock.now())
    young = suspension.suspendable(user, lock)
    access = Access(user)
    young_factors = [row for row in young.factors if not isinstance(row, RecoveryCodes)]
    return {
        "access": access,
        "apps": sorted({row.client.name for row in access.connections}),
        "keys": apikeys.of(user).count(),
        "suspended": young.labels,
        "primary": young.primary if young.primary != user.email else "",
        "emails": user.emails.count() - young.emails.count(),
        "factors": twofactor.held(user).count - len(young_factors),
        "emailed_codes": young.emailed_codes,
        "by_mail": bool(young.primary or young.emails),
    }


def changes() -> QuerySet[Activity]:
    """Return the query for :func:`first_changes`, oldest first, which ``CHANGES`` prepares."""
    kinds = [e.name for e in events.EVENTS.values() if e.group is Group.CHANGE and e.mail]
    rows = Activity.objects.filter(user=P("user"), at__gt=P("since"), kind__in=kinds)
    # If an event has neither an IP address nor an actor, no person has caused it.
    return rows.exclude(ip="", actor="").order_by("pk")[:MOST_CHANGES]


CHANGES = PreparedQuery(changes)


def first_changes(user: User, notice: Notice | None = None) -> list[Activity]:
    """Return the changes of the last 30 days that a lock of ``user`` can name, newest first.

    These are the changes that are notified by email, and the event of ``notice`` unless it is only
    a request for the link. If there are too many, the newest are left out, so that a thief cannot
    push the first change off the list.
    """
    found = CHANGES.all(user=user.pk, since=clock.now() - rule.MONTH)
    if notice and notice.row not in found and notice.row.event is not events.LOCK_ASKED:
        found.append(notice.row)
    return sorted(found, key=lambda row: row.pk, reverse=True)


def lock_naming(user: User, wrong_at: datetime) -> Lock:
    """Return the lock of ``user`` that names a change at ``wrong_at`` as the first wrong one.

    If the account is already locked, its horizon can only move further back.
    """
    return _lock_naming(user, wrong_at, Recovery.objects.filter(user=user).first())


def _lock_naming(user: User, wrong_at: datetime, row: Recovery | None) -> Lock:
    now = clock.now()
    wrong_at = max(wrong_at, now - rule.MONTH)
    lock = rule.lock_of(now, wrong_at, user.date_joined, row.opening if row else None)
    return Lock(user.lock.at, min(lock.horizon, user.lock.horizon)) if user.lock else lock


@transaction.atomic
def lock_down(user: User, actor: Actor, wrong_at: datetime | None = None) -> None:
    """Revoke every session, API key, app and trusted browser; suspend recent credentials.

    Afterwards, nobody can sign in until the account is unlocked: see ``accounts.recovery.rule``.
    Receivers of ``credentials_changed`` revoke the sessions and keys, and increase the
    ``credential_version``, which invalidates earlier links.

    ``wrong_at``: the time of the first change that was wrong. By default now.
    """
    owner = users.lock_row_as_is(user)
    lock = lock_naming(owner, wrong_at or clock.now())
    if owner.lock is None:
        # A request from before the lock must not unlock the account. A request that was made during
        # the lock is kept.
        recovery.forget(owner)
    former_hash = former_credentials.password_hash(owner, lock)
    users.replace_password(owner, locked_password(former_hash))
    owner.locked_at, owner.horizon = lock.at, lock.horizon
    rows = User.objects.filter(pk=owner.pk)
    rows.update(locked_at=lock.at, horizon=lock.horizon, deletion_due=None)
    # Send the signal before addresses are suspended, so that all of them are notified.
    credentials_changed.send(
        User, user=owner, event=events.LOCKED_DOWN.name, actor=actor, keep=None
    )
    if owner.deletion_due:
        # A thief may have requested the deletion, and the owner may have only this link.
        record(owner, events.DELETION_UNDONE, actor)
    young = suspension.suspendable(owner, lock)
    notices.end_links(owner, [row.email for row in young.emails])
    if young.primary and young.primary != owner.email:
        record(owner, events.PRIMARY_CHANGED, actor, detail=young.primary)
    suspension.suspend(owner, lock, actor)


def lock_down_by_link(
    notice: Notice,
    token: str,
    actor: Actor,
    wrong_at: datetime,
    former: str = "",
    *,
    session: LoginSession | None = None,
) -> None:
    """Lock the account with the link of ``notice``.

    ``token``: the secret in the link.
    ``wrong_at``: the time of the first change that was wrong.
    ``former``: the password from before that change, if the mailbox alone is not sufficient.
    ``session``: the session of the browser, whose proofs count if it belongs to the same account.

    Raises:
        LinkEnded: the link was used in the meantime.
        CannotLock: the proofs are not sufficient to lock the account now.
        WrongPassword, RateLimited: see ``evidence.check_password``.
    """
    proofs = [Proof.now(Method.MAIL, emails.key(notice.email))]
    if session and session.user == notice.user:
        proofs += evidence.shown_in(session)
    proofs += _check_former(notice.user, proofs, wrong_at, former, actor)
    with transaction.atomic():
        # Lock the user before the links, as all code does, to avoid a deadlock.
        owner = users.lock_row_as_is(notice.user)
        row = Recovery.lock(owner)
        ownership, shown = _shown(owner, wrong_at, proofs)
        # Locking a locked account makes sense only if the horizon moves back. Otherwise, it would
        # only invalidate links.
        is_further = owner.lock is None or ownership.lock != owner.lock
        if not (is_further and ownership.may_lock(shown, row.locked_alone_by())):
            raise CannotLock
        if not notices.redeem(notice, token):
            raise LinkEnded
        lock_down(owner, actor.by(*(proof.method for proof in proofs)), wrong_at)
        _note_lone_lock(row, shown)


def lock_down_from_inside(
    session: LoginSession, actor: Actor, wrong_at: datetime | None, former: str = ""
) -> None:
    """Lock the account of ``session``, whose user has authenticated recently.

    This requires two kinds of proofs, or an address that can lock the account alone. Otherwise, a
    thief with one of them could lock the owner out again and again. If the account had no address,
    one proof is sufficient, because it has little else.

    ``wrong_at``: the time of the first change that was wrong. By default now.
    ``former``: the password from before that change, if the proofs of the session are not
        sufficient.

    Raises:
        NotEnoughShown: the proofs are not sufficient.
        WrongPassword, RateLimited: see ``evidence.check_password``.
    """
    wrong_at, proofs = wrong_at or clock.now(), evidence.shown_in(session)
    proofs += _check_former(session.user, proofs, wrong_at, former, actor)
    with transaction.atomic():
        owner = users.lock_row_as_is(session.user)
        row = Recovery.lock(owner)
        ownership, shown = _shown(owner, wrong_at, proofs)
        if not _may_lock_inside(ownership, shown, row):
            raise NotEnoughShown
        lock_down(owner, actor.by(*session.amr), wrong_at)
        _note_lone_lock(row, shown)


@dataclass(frozen=True)
class InsideLock:
    """How a signed-in user can lock the account.

    ``kinds``: the kinds of proofs that the session has shown.
    ``is_enough``: whether these proofs are sufficient to lock the account.
    ``takes_password``: whether they are sufficient together with the password.
    """

    kinds: list[Kind]
    is_enough: bool
    takes_password: bool


def inside_lock_of(session: LoginSession) -> InsideLock:
    """Return how the user of ``session`` can lock the account, with a horizon of a week ago."""
    user = session.user
    ownership, shown = _shown(user, clock.now(), evidence.shown_in(session))
    row = Recovery.objects.filter(user=user).first() or Recovery(user=user)
    passwords = {thing for thing in ownership.counting if thing.kind is Kind.PASSWORD}
    with_password = shown | passwords if shown else shown
    is_enough = _may_lock_inside(ownership, shown, row)
    takes_password = not is_enough and _may_lock_inside(ownership, with_password, row)
    return InsideLock(sorted(rule.kinds(shown)), is_enough, takes_password)


def send_link(user: User, actor: Actor) -> None:
    """Email a link to lock the account to the primary address, at most once a minute.

    Raises:
        RateLimited: a link was sent in the last minute.
    """
    hit(MAIL_AGAIN.of("lock", user.pk))
    with transaction.atomic():
        record(user, events.LOCK_ASKED, actor)


def _may_lock_inside(ownership: Ownership, shown: frozenset[Thing], row: Recovery) -> bool:
    may_lock = ownership.may_lock(shown, row.locked_alone_by(), is_inside=True)
    return may_lock or not ownership.has_address


def _check_former(
    user: User, proofs: list[Proof], wrong_at: datetime, typed: str, actor: Actor
) -> list[Proof]:
    """Return the proof of the password from before ``wrong_at``, if one was typed.

    Without a proof that counts, a stranger must not use up the guesses of the owner.
    """
    if not (typed and _shown(user, wrong_at, proofs)[1]):
        return []
    hashed = former_credentials.password_hash(user, lock_naming(user, wrong_at))
    return [evidence.check_password(user, typed, actor, hashed)]


def _note_lone_lock(row: Recovery, shown: frozenset[Thing]) -> None:
    """Record that a mailbox has locked the account, if no other proof was shown."""
    if rule.kinds(shown) == {Kind.MAILBOX}:
        recent = row.locked_alone_by()
        now = {thing.key: clock.now().isoformat() for thing in shown}
        row.lone_locks = {key: row.lone_locks[key] for key in recent} | now
        row.save(update_fields=["lone_locks"])


def _shown(
    user: User, wrong_at: datetime, proofs: Iterable[Proof]
) -> tuple[Ownership, frozenset[Thing]]:
    """Return the facts for a lock that names ``wrong_at``, and the proofs that count."""
    row = Recovery.objects.filter(user=user).first()
    lock = _lock_naming(user, wrong_at, row)
    ownership = evidence.ownership_of(user, row.opening if row else None, lock)
    return ownership, evidence.shown_by(ownership, proofs)
