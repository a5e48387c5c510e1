"""Collects what the page about a person shows to staff. It contains no secret and no digest."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.paginator import Page
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.activity import events, history
from accounts.activity import services as activity
from accounts.activity.events import EVENTS, Group
from accounts.activity.history import Entry
from accounts.activity.models import OPERATOR, Activity
from accounts.activity.services import Actor, record
from accounts.administration.explanation import Block, explain
from accounts.administration.steps import Account
from accounts.apikeys import services as apikeys
from accounts.apikeys.models import APIKey
from accounts.common import clock
from accounts.common.api import page_of
from accounts.emails import services as emails
from accounts.emails.models import PendingEmail
from accounts.mail import services as mail
from accounts.mail.models import MailReceipt, OutgoingMail
from accounts.sessions import connected
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.throttle.limits import STAFF
from accounts.throttle.services import hit
from accounts.twofactor import services as twofactor
from accounts.twofactor import trusted_browsers
from accounts.twofactor.models import TrustedBrowser
from accounts.twofactor.services import Held
from accounts.users import former_credentials
from accounts.users import models as users_models
from accounts.users import services as users
from accounts.users.emails import masked
from accounts.users.models import EmailAddress, FormerCredential, Identity, User
from accounts.users.rights import role_of, sees_all_emails
from accounts.users.services import emails_of

# Later views of the same person are part of the same conversation.
ONCE = timedelta(hours=1)


def record_page_view(user: User, staff: User, actor: Actor) -> None:
    """Record that ``staff`` opened a page about ``user``, at most once an hour.

    ``actor``: the client and the session of ``staff``.

    The row names the role of ``staff`` for ``user``, and the username for other staff. Nothing is
    recorded if people look at their own page or if ``STAFF_VIEWS_SHOWN`` is ``off``.
    """
    actor = replace(actor, name=staff.username)
    if settings.AUTHSITE.staff_views_shown == "off" or user == staff or _is_noted(user, actor):
        return
    with transaction.atomic():
        # Two requests of the same member of staff must not add two rows.
        users.lock_row_as_is(user)
        if not _is_noted(user, actor):
            role = role_of(staff) or ""
            record(user, events.PAGE_OPENED, actor, detail=role)


def note_details(user: User, staff: User, actor: Actor) -> None:
    """Record in both histories that the auditor ``staff`` has seen all details of ``user``.

    ``actor``: the client of ``staff``, with the reason. The row of the user also has the role of
    ``staff``. If ``STAFF_VIEWS_SHOWN`` is ``off``, only ``staff`` gets a row.

    Raises:
        RateLimited: ``staff`` has read too many users.
    """
    hit(STAFF.of("read", staff.pk))
    with transaction.atomic():
        record(staff, events.DETAILS_SEEN, actor, detail=user.username)
        if settings.AUTHSITE.staff_views_shown == "on":
            by_staff = replace(actor, name=staff.username)
            record(user, events.DETAILS_READ, by_staff, detail=role_of(staff) or "")


def _is_noted(user: User, actor: Actor) -> bool:
    rows = activity.of(user).filter(kind=events.PAGE_OPENED.name, actor=actor.name)
    return rows.filter(at__gt=clock.now() - ONCE).exists()


# How many rows of a list the page shows.
MOST = 20
ATTEMPTS = 10


@dataclass(frozen=True)
class Person:
    """A user with everything that the page about the user shows.

    ``email``: the primary address as the reader may see it.
    ``emails`` and ``removed``: without hidden addresses; ``hidden`` is their number.
    ``identities``: each with the name that the reader may see.
    ``attempts``: the last sign-ins and failures.
    ``waiting``: the emails in the outbox to the shown addresses.
    ``receipts``: what became of earlier emails to these addresses.
    ``page``: a page of the history, and ``days`` its entries.
    """

    user: User
    email: str
    blocks: list[Block]
    emails: list[tuple[EmailAddress, str]]
    pending: list[PendingEmail]
    removed: list[FormerCredential]
    hidden: int
    held: Held
    sessions: list[LoginSession]
    apps: list[Any]
    keys: list[APIKey]
    identities: list[tuple[Identity, str]]
    trusted: list[TrustedBrowser]
    attempts: list[Entry]
    waiting: list[OutgoingMail]
    receipts: list[MailReceipt]
    page: Page[Any]
    days: list[history.Day]


@dataclass(frozen=True)
class StaffEntry(Entry):
    """An event as staff see it: they read which member of staff caused it.

    ``is_masked``: whether the reader may not see all email addresses.
    """

    is_masked: bool = False

    @property
    def by(self) -> str:
        """Which member of staff caused the event; empty if the owner did."""
        if self.row.actor in {"", OPERATOR}:
            return super().by
        return _("By %(name)s") % {"name": self.row.actor}

    @property
    def key(self) -> str:
        return self.row.key

    @property
    def reason(self) -> str:
        return masked(super().reason) if self.is_masked else super().reason

    @property
    def detail(self) -> str:
        """What the event is about, without the local parts of email addresses if masked."""
        return masked(super().detail) if self.is_masked else super().detail


def email_for(staff: User, account: Account) -> str:
    """Return the address of ``account`` as ``staff`` may see it without giving a reason."""
    return account.email if sees_all_emails(staff) else masked(account.email)


def blocks_for(account: Account, *, is_masked: bool) -> list[Block]:
    """Return why nobody can sign in to ``account``, without whole addresses if masked."""
    blocks = explain(account)
    if not is_masked:
        return blocks
    return [
        replace(block, sentence=masked(block.sentence), advice=masked(block.advice))
        for block in blocks
    ]


def read(request: HttpRequest, user: User, *, is_masked: bool) -> Person:
    """Return what the page about ``user`` shows.

    ``is_masked``: whether email addresses are shortened, or hidden if they are secondary.
    """
    attempts = activity.of(user).filter(kind__in=_ATTEMPTS)[:MOST]
    held_emails = emails_of(user)[:MOST]
    pending, removed = list(emails.pending(user)), list(former_credentials.recent_emails(user))
    shown = [row for row in held_emails if not is_masked or row.email == user.email]
    addresses = [row.email for row in shown]
    if not is_masked:
        addresses += [row.email for row in pending]
    page = page_of(request, activity.of(user))
    receipts = mail.receipts_of(addresses)[:ATTEMPTS]
    waiting = mail.waiting_for(addresses)[:ATTEMPTS]
    return Person(
        user=user,
        email=masked(user.email) if is_masked else user.email,
        blocks=blocks_for(user, is_masked=is_masked),
        emails=[(row, masked(row.email) if is_masked else row.email) for row in shown],
        pending=[] if is_masked else pending,
        removed=[] if is_masked else removed[:MOST],
        hidden=len(held_emails) - len(shown) + (len(pending) + len(removed) if is_masked else 0),
        held=twofactor.held(user),
        sessions=connected.fetch(sessions.live(user))[:MOST],
        apps=list(connected.apps().connections_of(user))[:MOST],
        keys=list(apikeys.of(user)[:MOST]),
        identities=_identities(user, is_masked),
        trusted=list(trusted_browsers.of(user)[:MOST]),
        attempts=_for_staff(history.entries(attempts), is_masked)[:ATTEMPTS],
        waiting=list(waiting),
        receipts=list(receipts),
        page=page,
        days=_days(page, is_masked),
    )


_ATTEMPTS = [
    event.name
    for event in EVENTS.values()
    if event.group is Group.FAILURE or event in history.SIGNED_IN | history.PROGRAM_SIGNED_IN
]


def _identities(user: User, is_masked: bool) -> list[tuple[Identity, str]]:
    held = users_models.of(user)
    return [(row, masked(row.known_as) if is_masked else row.known_as) for row in held]


def _days(rows: Iterable[Activity], is_masked: bool) -> list[history.Day]:
    days = history.by_days(rows)
    return [history.Day(day.date, _for_staff(day.entries, is_masked)) for day in days]


def _for_staff(entries: Iterable[Entry], is_masked: bool) -> list[Entry]:
    return [StaffEntry(entry.rows, is_masked) for entry in entries]
