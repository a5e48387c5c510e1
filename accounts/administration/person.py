"""Reads the data about a person that staff may see. It contains no secret and no digest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from typing import Any, cast
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.activity import events, history
from accounts.activity import services as activity
from accounts.activity.events import EVENTS, Group
from accounts.activity.history import Entry
from accounts.activity.models import OPERATOR, Activity
from accounts.activity.services import Actor, record
from accounts.administration import budgets
from accounts.administration.budgets import Use
from accounts.apikeys import services as apikeys
from accounts.apikeys.models import APIKey
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.database import P, PreparedList, PreparedQuery
from accounts.common.pages import PAGE_SIZE, page_of
from accounts.emails import services as emails
from accounts.emails.models import PendingEmail
from accounts.mail import services as mail
from accounts.mail.models import MailReceipt, OutgoingMail
from accounts.recovery import services as recovery
from accounts.recovery.models import Recovery
from accounts.sessions import connected
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.throttle import services as throttle
from accounts.throttle.limits import STAFF, STAFF_READ, Budget
from accounts.throttle.services import hit
from accounts.twofactor import services as twofactor
from accounts.twofactor import trusted_browsers
from accounts.twofactor.services import Held
from accounts.users import former_credentials
from accounts.users import models as users_models
from accounts.users import services as users
from accounts.users.emails import masked
from accounts.users.models import EmailAddress, FormerCredential, Identity, PendingSignup, User
from accounts.users.rights import role_of, sees_all_emails
from accounts.users.services import emails_of

type Account = User | PendingSignup


_TAKEN = PreparedList(lambda keys: EmailAddress.objects.filter(key__in=keys).select_related("user"))


class Facts:
    """The state of an account that the explanation, the acts and the page read, at one moment.

    Each table is read once, when it is first needed. After a change, make a new object.
    """

    def __init__(self, account: Account) -> None:
        self.account = account

    @property
    def user(self) -> User:
        """The user. Use this only if the account is not a pending sign-up."""
        return cast(User, self.account)

    @cached_property
    def emails(self) -> list[EmailAddress]:
        """The confirmed email addresses, oldest first."""
        return emails_of(self.user)

    @cached_property
    def pending(self) -> list[PendingEmail]:
        """The email addresses that are not confirmed yet, oldest first."""
        return emails.pending_of(self.user)

    @cached_property
    def removed(self) -> list[FormerCredential]:
        """The removed and suspended email addresses, most recently removed first."""
        return former_credentials.all_recent_emails(self.user)

    @cached_property
    def held(self) -> Held:
        """The second factors."""
        return twofactor.held(self.user)

    @cached_property
    def identities(self) -> list[Identity]:
        """The external identities, oldest first."""
        return users_models.of(self.user)

    @cached_property
    def sessions(self) -> list[LoginSession]:
        """The live sessions, most recently used first, each with its app."""
        return connected.fetch(row for row in self._sessions if row.ended_at is None)

    @cached_property
    def stopped(self) -> list[LoginSession]:
        """The sessions that session protection revoked."""
        return [row for row in self._sessions if row.ended_at is not None]

    @cached_property
    def _sessions(self) -> list[LoginSession]:
        return sessions.live_or_stopped(self.user)

    @cached_property
    def connections(self) -> list[Any]:
        """The connections with apps: see :meth:`connected.Apps.connections_of`."""
        return connected.apps().connections_of(self.user)

    @cached_property
    def keys(self) -> list[APIKey]:
        """The API keys, newest first."""
        return apikeys.all_of(self.user)

    @cached_property
    def taken(self) -> dict[str, User]:
        """The owners of the unconfirmed addresses that belong to other accounts, by address key."""
        account = self.account
        if isinstance(account, PendingSignup):
            keys = [account.email_key]
        else:
            keys = [row.key for row in self.pending]
        return {row.key: row.user for row in _TAKEN.all(keys)}

    @cached_property
    def recovery_row(self) -> Recovery | None:
        """The row that stores requests to recover the account and cases at Support."""
        return recovery.find_row(self.user)

    @cached_property
    def recovery(self) -> Recovery | None:
        """The current request to recover the account; None if there is none."""
        return recovery.running(self.user)

    @cached_property
    def failures(self) -> list[Activity]:
        """The last failures, newest first."""
        return activity.last_failures(self.user)

    @cached_property
    def sign_ins(self) -> list[Activity]:
        """The last sign-ins, and the ends of sessions, newest first."""
        return activity.last_sign_ins(self.user)

    @cached_property
    def attempts(self) -> list[Activity]:
        """The last attempts to sign in, newest first."""
        found = [row for row in (*self.failures, *self.sign_ins) if row.event in _ATTEMPTS]
        return sorted(found, key=lambda row: row.pk, reverse=True)[:MOST]

    @cached_property
    def addresses(self) -> list[str]:
        """All email addresses of the sign-up or the user, confirmed or not."""
        if isinstance(self.account, PendingSignup):
            return [self.account.email]
        return [*map(str, self.emails), *map(str, self.pending)]

    @cached_property
    def waiting(self) -> list[OutgoingMail]:
        """The emails to :attr:`addresses` in the outbox, newest first."""
        return mail.waiting_for(self.addresses)

    @cached_property
    def receipts(self) -> list[MailReceipt]:
        """The results of the last emails to :attr:`addresses`, newest first."""
        return mail.receipts_of(self.addresses)

    @cached_property
    def clients(self) -> list[ClientInfo]:
        """The clients of the sessions, of the last sign-ins and of the last failures.

        There is one client for each IP address. Those of failures are last, because they may be an
        attacker's.
        """
        ips = [row.ip for row in self.sessions if not row.is_app]
        ips += [row.ip for row in (*self.sign_ins, *self.failures) if not row.actor]
        return [ClientInfo(ip, "") for ip in dict.fromkeys(ips) if ip]

    @cached_property
    def uses(self) -> list[Use]:
        """The rate limits that count attempts to sign in to the account."""
        if isinstance(self.account, PendingSignup):
            return list(budgets.uses_of_signup(self.account))
        logins = [self.user.username_key, *(row.key for row in self.emails)]
        return list(budgets.uses_of(self.user, logins, self.clients))

    @cached_property
    def levels(self) -> throttle.Levels:
        """How much is left of the rate limits of :attr:`uses`."""
        return throttle.Levels(*(budget for use in self.uses for budget in use.budgets))

    @cached_property
    def used(self) -> list[Use]:
        """The uses whose limits are partly used up and can be reset by staff."""
        return [use for use in self.uses if use.is_own and self.levels.are_used(use.budgets)]


# Later views of the same person within this time are not recorded again.
ONCE = timedelta(hours=1)
# The factor by which more people may be shown to API keys.
OF_KEYS = 7


def record_page_view(user: User, staff: User, actor: Actor) -> None:
    """Record that ``staff`` opened a page about ``user``, at most once an hour.

    ``actor``: the client and the session of ``staff``.

    The event shows the role of ``staff`` to ``user``, and the username to other staff. Nothing is
    recorded if ``staff`` is ``user``.

    Raises:
        RateLimited: ``staff`` was shown too many people.
    """
    if user == staff:
        return
    hit(_budget(staff, actor, 1))
    actor = actor.as_staff(staff)
    if _is_noted(user, actor):
        return
    with transaction.atomic():
        # Without the lock, two requests of the same member of staff could add two rows.
        users.lock_row_as_is(user)
        if not _is_noted(user, actor):
            role = role_of(staff) or ""
            record(user, events.PAGE_OPENED, actor, detail=role)


def note_details(user: User, staff: User, actor: Actor) -> None:
    """Record in both histories that the auditor ``staff`` has seen all details of ``user``.

    ``actor``: the client of ``staff``, with the reason. The event of the user also has the role of
        ``staff``.

    Raises:
        RateLimited: ``staff`` has read the details of too many users.
    """
    hit(STAFF.of("read", staff.pk))
    with transaction.atomic():
        record(staff, events.DETAILS_SEEN, actor, detail=user.username)
        record(user, events.DETAILS_READ, actor.as_staff(staff), detail=role_of(staff) or "")


def record_shown(staff: User, actor: Actor, number: int) -> None:
    """Record in the history of ``staff`` that a list or a bulk act shows ``number`` people.

    ``actor``: the client of ``staff``, and the API key if one is used.

    Raises:
        RateLimited: ``staff`` was shown too many people.
    """
    if number:
        hit(_budget(staff, actor, number))
        record(staff, events.PEOPLE_SHOWN, actor, detail=str(number))


def _budget(staff: User, actor: Actor, number: int) -> Budget:
    one = STAFF_READ.times(OF_KEYS).of("key", staff.pk) if actor.key else STAFF_READ.of(staff.pk)
    # A large bulk act costs at most half of the budget, so that it is possible after a look at
    # lists.
    return one._replace(cost=min(number * one.cost, one.depth // 2))


_NOTED: PreparedQuery[Any] = PreparedQuery(
    lambda: Activity.objects.filter(
        user=P("user"), kind=events.PAGE_OPENED.name, actor=P("actor"), at__gt=P("since")
    ).values("pk")
)


def _is_noted(user: User, actor: Actor) -> bool:
    return _NOTED.count(1, user=user.pk, actor=actor.name, since=clock.now() - ONCE) > 0


# The number of rows that each list on the page shows.
MOST = 20
ATTEMPTS = 10


@dataclass(frozen=True)
class StaffEntry(Entry):
    """An event as staff see it, with the member of staff who caused it.

    ``is_masked``: whether the reader may not see all email addresses.
    ``names``: the current usernames of staff by their id.
    """

    is_masked: bool = False
    names: Mapping[UUID, str] = field(default_factory=dict)

    @property
    def by(self) -> str:
        """Which member of staff caused the event; empty if the owner did."""
        if self.row.actor in {"", OPERATOR} or self.row.directory:
            return super().by
        former = history.in_words(self.row.actor)
        if self.row.actor_id is None and former == self.row.actor:
            # Another person may have this username now.
            return _("By someone who was called %(name)s at the time") % {"name": former}
        name = self.names.get(cast(UUID, self.row.actor_id), former)
        if name != former:
            return _("By %(name)s, formerly %(former)s") % {"name": name, "former": former}
        return _("By %(name)s") % {"name": name}

    @property
    def key(self) -> str:
        return self.row.key

    @property
    def reason(self) -> str:
        return masked(super().reason) if self.is_masked else super().reason

    @property
    def detail(self) -> str:
        """What the event is about; if masked, without the local parts of email addresses."""
        return masked(super().detail) if self.is_masked else super().detail


def email_for(staff: User, account: Account) -> str:
    """Return the address of ``account`` that ``staff`` may see without giving a reason."""
    return account.email if sees_all_emails(staff) else masked(account.email)


_HISTORY = PreparedQuery(lambda: activity.all_of(P("user"))[: PAGE_SIZE + 1])
_ACTORS = PreparedList(lambda ids: User.objects.filter(pk__in=ids).only("username"))


def read(request: HttpRequest, facts: Facts, *, is_masked: bool) -> dict[str, Any]:
    """Return the template context of the page about a user.

    ``is_masked``: whether email addresses are shortened, or hidden if they are secondary.
    """
    user, emails = facts.user, facts.emails[:MOST]
    shown = [row for row in emails if not is_masked or row.email == user.email]
    history_of = partial(_HISTORY.all, user=user.pk)
    page = page_of(request, lambda: activity.all_of(user), first=history_of)
    actors = {row.actor_id for row in (*facts.attempts, *page)} - {None}
    names = {actor.pk: actor.username for actor in _ACTORS.all(actors)}
    as_staff_see = partial(StaffEntry, is_masked=is_masked, names=names)
    label = masked if is_masked else str
    unconfirmed_or_removed = len(facts.pending) + len(facts.removed)
    return {
        "email": label(user.email),
        "directory": users.manager_of(user),
        "emails": [(row, label(row.email)) for row in shown],
        "pending": [] if is_masked else facts.pending,
        "removed": [] if is_masked else facts.removed[:MOST],
        "hidden": len(emails) - len(shown) + (unconfirmed_or_removed if is_masked else 0),
        "held": facts.held,
        "sessions": facts.sessions[:MOST],
        "apps": facts.connections[:MOST],
        "keys": facts.keys[:MOST],
        "identities": [(row, label(row.known_as)) for row in facts.identities],
        "trusted": trusted_browsers.of(user)[:MOST],
        "attempts": [
            as_staff_see(each.rows) for each in history.entries(facts.attempts)[:ATTEMPTS]
        ],
        **_mails(facts, [row.email for row in shown], is_masked=is_masked),
        "page": page,
        "days": [
            history.Day(day.date, [as_staff_see(each.rows) for each in day.entries])
            for day in history.by_days(page)
        ],
    }


def _mails(facts: Facts, addresses: list[str], *, is_masked: bool) -> dict[str, Any]:
    """Return the state of the last emails; if masked, only of emails to ``addresses``."""
    waiting = mail.waiting_for(addresses) if is_masked else facts.waiting
    receipts = mail.receipts_of(addresses) if is_masked else facts.receipts
    return {"waiting": waiting[:ATTEMPTS], "receipts": receipts[:ATTEMPTS]}


_ATTEMPTS = {event for event in EVENTS.values() if event.group is Group.FAILURE}
_ATTEMPTS |= {*events.SIGN_INS, *history.PROGRAM_SIGNED_IN}
