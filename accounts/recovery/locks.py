"""Locks accounts, so that nobody can sign in until the password is reset.

:class:`Access` lists what gives access to an account. Pages show it before a change ends it.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.activity import events, notices
from accounts.activity.events import Group
from accounts.activity.models import Activity
from accounts.activity.notices import Notice
from accounts.activity.services import Actor, record
from accounts.apikeys import services as apikeys
from accounts.codes.services import LinkEnded
from accounts.common import clock
from accounts.common.errors import PublicError
from accounts.common.proofs import Method, Proof
from accounts.common.signals import credentials_changed
from accounts.recovery import evidence, rule, suspension
from accounts.recovery import services as recovery
from accounts.recovery.models import Recovery
from accounts.recovery.rule import Lock, Ownership, Thing
from accounts.sessions import connected
from accounts.sessions.models import LoginSession
from accounts.sessions.services import IS_APP, live
from accounts.twofactor import services as twofactor
from accounts.twofactor import trusted_browsers
from accounts.twofactor.models import RecoveryCodes
from accounts.users import emails, former_credentials
from accounts.users import services as users
from accounts.users.models import User, locked_password

# How many changes the page offers to name as the first wrong one.
MOST_CHANGES = 50


class CannotLock(PublicError):
    """A mailbox locks an account alone only once in 30 days, and not soon after an opening."""

    code = "not_possible"
    status = 403
    message = _(
        "This address alone can’t lock the account now. Enter the password from before that "
        "change, too, or contact support."
    )


_IN_BROWSER = Q(kind=LoginSession.Kind.BROWSER)


class Access:
    """What gives access to the account of ``user``. Each property is read when it is needed.

    ``keep``: the id of a session to leave out, or None.
    """

    def __init__(self, user: User, keep: uuid.UUID | None = None) -> None:
        self._user, self._keep = user, keep

    @property
    def live(self) -> QuerySet[LoginSession]:
        """The live sessions."""
        rows = live(self._user)
        return rows.exclude(pk=self._keep) if self._keep else rows

    @cached_property
    def _numbers(self) -> dict[str, int]:
        browsers, programs = (Count("pk", filter=q) for q in (_IN_BROWSER, ~_IN_BROWSER & ~IS_APP))
        return self.live.order_by().aggregate(browsers=browsers, programs=programs)

    @property
    def browsers(self) -> int:
        """The number of live sessions in browsers."""
        return self._numbers["browsers"]

    @property
    def programs(self) -> int:
        """The number of live sessions of API clients that are no connected apps."""
        return self._numbers["programs"]

    @property
    def sessions(self) -> int:
        """The number of live sessions of browsers and API clients."""
        return self.browsers + self.programs

    @cached_property
    def apps(self) -> list[str]:
        """The names of the connected apps that are signed in."""
        return connected.apps().names(self.live.order_by())

    @cached_property
    def connections(self) -> list[Any]:
        """What the user has allowed connected apps, also those that are not signed in.

        An app has one row for each service that it may use.
        """
        return list(connected.apps().connections_of(self._user))

    @cached_property
    def keys(self) -> apikeys.Effects:
        """The API keys that end with the live sessions, and the others."""
        return apikeys.effects(self._user, self._keep)

    @cached_property
    def trusted(self) -> int:
        """The number of trusted browsers."""
        return trusted_browsers.of(self._user).count()

    @property
    def is_any(self) -> bool:
        """Whether a change of a second factor ends anything."""
        return any((self.sessions, self.apps, self.keys.ending, self.trusted))


def effects(user: User, notice: Notice | None = None) -> dict[str, Any]:
    """Return what locking the account of ``user`` does, for the page that asks for confirmation.

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


def first_changes(user: User, notice: Notice | None = None) -> list[Activity]:
    """Return the changes of the last 30 days that a lock of ``user`` can name, newest first.

    These are the changes that are mailed, and the event of ``notice``. If there are too many, the
    newest are left out, so that a thief cannot push the first one off the list.
    """
    since = clock.now() - rule.MONTH
    changes = [e.name for e in events.EVENTS.values() if e.group is Group.CHANGE and e.mail]
    rows = Activity.objects.filter(user=user, at__gt=since, kind__in=changes).order_by("pk")
    # Without an IP address and an actor, no person has caused the event.
    found = list(rows.exclude(ip="", actor="")[:MOST_CHANGES])
    if notice and notice.row not in found:
        found.append(notice.row)
    return sorted(found, key=lambda row: row.pk, reverse=True)


def lock_naming(user: User, wrong_at: datetime) -> Lock:
    """Return the lock of ``user`` that names a change at ``wrong_at`` as the first wrong one.

    While the account is locked, its horizon only moves further back.
    """
    row = Recovery.objects.filter(user=user).first()
    now = clock.now()
    wrong_at = max(wrong_at, now - rule.MONTH)
    lock = rule.lock_of(now, wrong_at, user.date_joined, row.opening if row else None)
    return Lock(user.lock.at, min(lock.horizon, user.lock.horizon)) if user.lock else lock


@transaction.atomic
def lock_down(user: User, actor: Actor, wrong_at: datetime | None = None) -> None:
    """Revoke every session, API key, app and trusted browser; suspend recent credentials.

    Afterwards, nobody can sign in until the account is opened: see ``accounts.recovery.rule``.
    Receivers of ``credentials_changed`` revoke the sessions and keys, and increase the
    ``credential_version``, which invalidates earlier links.

    ``wrong_at``: the time of the first change that was wrong. By default now.
    """
    owner = users.lock_row_as_is(user)
    lock = lock_naming(owner, wrong_at or clock.now())
    if owner.lock is None:
        # A request from before the lock must not open the account. A request that was made during
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
        # A thief may have asked for the deletion, and the owner has only this link.
        record(owner, events.DELETION_UNDONE, actor)
    young = suspension.suspendable(owner, lock)
    notices.end_links(owner, [row.email for row in young.emails])
    if young.primary and young.primary != owner.email:
        record(owner, events.PRIMARY_CHANGED, actor, detail=young.primary)
    suspension.suspend(owner, lock, actor)


def lock_down_by_link(
    notice: Notice, token: str, actor: Actor, wrong_at: datetime, former: str = ""
) -> None:
    """Lock the account with the link of ``notice``.

    ``token``: the secret in the link.
    ``wrong_at``: the time of the first change that was wrong.
    ``former``: the password from before that change, if the mailbox alone is not enough.

    Raises:
        LinkEnded: the link was used in the meantime.
        CannotLock: what was shown is not enough to lock the account now.
        WrongPassword, RateLimited: see ``evidence.check_password``.
    """
    proofs = [Proof.now(Method.MAIL, emails.key(notice.email))]
    user = notice.user
    if former and _shown(user, wrong_at, proofs)[1]:
        hashed = former_credentials.password_hash(user, lock_naming(user, wrong_at))
        proofs.append(evidence.check_password(user, former, actor, hashed))
    with transaction.atomic():
        # Lock the user before the links, as all code does, to avoid a deadlock.
        owner = users.lock_row_as_is(user)
        row, _is_new = Recovery.objects.get_or_create(user=owner)
        ownership, shown = _shown(owner, wrong_at, proofs)
        # A lock of a locked account only reaches further back. Otherwise, it would only void links.
        is_further = owner.lock is None or ownership.lock != owner.lock
        if not (is_further and ownership.may_lock(shown, row.locked_alone_by())):
            raise CannotLock
        if not notices.redeem(notice, token):
            raise LinkEnded
        lock_down(owner, actor.by(*(proof.method for proof in proofs)), wrong_at)
        if len(rule.kinds(shown)) == 1:
            recent = row.locked_alone_by()
            now = {thing.key: clock.now().isoformat() for thing in shown}
            row.lone_locks = {key: row.lone_locks[key] for key in recent} | now
            row.save(update_fields=["lone_locks"])


def _shown(
    user: User, wrong_at: datetime, proofs: Iterable[Proof]
) -> tuple[Ownership, frozenset[Thing]]:
    """Return the facts about ``user`` with a lock that names ``wrong_at``, and what counts then."""
    row = Recovery.objects.filter(user=user).first()
    lock = lock_naming(user, wrong_at)
    ownership = evidence.ownership_of(user, row.opening if row else None, lock)
    return ownership, evidence.shown_by(ownership, proofs)
