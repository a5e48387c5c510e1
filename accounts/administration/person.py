"""Collects what the page about a person shows to staff. It contains no secret and no digest."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.core.paginator import Page
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.activity import history
from accounts.activity import services as activity
from accounts.activity.events import EVENTS
from accounts.activity.history import Entry
from accounts.activity.kinds import Group
from accounts.activity.models import OPERATOR, Activity
from accounts.administration.blocks import Block
from accounts.administration.explanation import explain
from accounts.administration.steps import Account
from accounts.apikeys import services as apikeys
from accounts.apikeys.models import APIKey
from accounts.common.paging import page_of
from accounts.emails import services as emails
from accounts.emails.models import PendingEmail
from accounts.mail import services as mail
from accounts.mail.models import MailReceipt, OutgoingMail
from accounts.sessions import connected
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.twofactor import services as twofactor
from accounts.twofactor import trusted_browsers
from accounts.twofactor.models import TrustedBrowser
from accounts.twofactor.services import Held
from accounts.users import former_credentials, identities
from accounts.users.emails import masked
from accounts.users.identities import Identity
from accounts.users.models import EmailAddress, FormerCredential, User
from accounts.users.rights import sees_all_emails
from accounts.users.rows import emails_of

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
    held = identities.of(user)
    return [(row, masked(row.known_as) if is_masked else row.known_as) for row in held]


def _days(rows: Iterable[Activity], is_masked: bool) -> list[history.Day]:
    days = history.by_days(rows)
    return [history.Day(day.date, _for_staff(day.entries, is_masked)) for day in days]


def _for_staff(entries: Iterable[Entry], is_masked: bool) -> list[Entry]:
    return [StaffEntry(entry.rows, is_masked) for entry in entries]
