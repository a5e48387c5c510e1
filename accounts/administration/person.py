"""Collects what the page about a person shows to staff. It contains no secret and no digest."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from django.contrib.auth.models import Group as UserGroup
from django.core.paginator import Page
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.activity import history
from accounts.activity import services as activity
from accounts.activity.events import EVENTS
from accounts.activity.history import Entry
from accounts.activity.kinds import Group
from accounts.activity.models import OPERATOR, Activity
from accounts.administration import roles
from accounts.administration.explanation import Block, explain
from accounts.administration.reads import live_sessions
from accounts.apikeys import services as apikeys
from accounts.apikeys.models import APIKey
from accounts.common.paging import page_of
from accounts.common.reading import fetch_together
from accounts.emails import services as emails
from accounts.emails.models import PendingEmail
from accounts.mail import services as mail
from accounts.mail.models import MailReceipt, OutgoingMail
from accounts.recovery.models import Recovery
from accounts.sessions import known_browsers
from accounts.sessions.models import LoginSession
from accounts.sessions.sign_out_reasons import last_stopped
from accounts.twofactor import services as twofactor
from accounts.twofactor import trusted_browsers
from accounts.twofactor.models import TrustedBrowser
from accounts.twofactor.services import Held
from accounts.users import former_credentials, identities
from accounts.users.identities import Identity
from accounts.users.models import EmailAddress, FormerCredential, User
from accounts.users.rights import permissions_of
from accounts.users.rows import emails_of

# How many rows of a list the page shows.
MOST = 20
ATTEMPTS = 10
LOCAL_PART = re.compile(r"([^\s@])[^\s@]*@")


@dataclass(frozen=True)
class Person:
    """A user with everything that the page about the user shows.

    ``emails`` and ``removed``: without hidden addresses; ``hidden`` is their number.
    ``identities``: each with the name that the reader may see.
    ``attempts``: the last sign-ins and failures.
    ``waiting``: the emails in the outbox to the shown addresses.
    ``receipts``: what became of earlier emails to these addresses.
    ``page``: a page of the history, and ``days`` its entries.
    """

    user: User
    blocks: list[Block]
    emails: list[EmailAddress]
    pending: list[PendingEmail]
    removed: list[FormerCredential]
    hidden: int
    held: Held
    sessions: list[LoginSession]
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
    def detail(self) -> str:
        """What the event is about, without the local parts of email addresses if masked."""
        return masked(super().detail) if self.is_masked else super().detail


def sees_all_emails(staff: User) -> bool:
    """Return whether ``staff`` may see the secondary email addresses of users.

    Staff who may only view users see the primary addresses.
    """
    return roles.role_of(staff) in roles.ACTING


def masked(text: str) -> str:
    """Return ``text`` with only the first letter of the local part of each email address."""
    return LOCAL_PART.sub(r"\1…@", text)


def read(request: HttpRequest, user: User, *, is_masked: bool) -> Person:
    """Return what the page about ``user`` shows.

    Call this in a block of ``reading``.

    ``is_masked``: whether secondary email addresses are hidden from the reader.
    """
    attempts = _fetch(user, cast(User, request.user))
    held_emails = emails_of(user)[:MOST]
    pending, removed = list(emails.pending(user)), list(former_credentials.recent_emails(user))
    shown = [row for row in held_emails if not is_masked or row.email == user.email]
    addresses = [row.email for row in shown]
    if not is_masked:
        addresses += [row.email for row in pending]
    page = page_of(request, activity.of(user))
    receipts = mail.receipts_of(addresses)[:ATTEMPTS]
    waiting = mail.waiting_for(addresses)[:ATTEMPTS]
    rows = cast(QuerySet[Activity], page.object_list)
    fetch_together(receipts, mail.last_receipt(user.email), waiting, rows)
    return Person(
        user=user,
        blocks=explain(user),
        emails=shown,
        pending=[] if is_masked else pending,
        removed=[] if is_masked else removed[:MOST],
        hidden=len(held_emails) - len(shown) + (len(pending) + len(removed) if is_masked else 0),
        held=twofactor.held(user),
        sessions=list(live_sessions(user)[:MOST]),
        keys=list(apikeys.of(user)[:MOST]),
        identities=_identities(user, is_masked),
        trusted=list(trusted_browsers.of(user)[:MOST]),
        attempts=_for_staff(history.entries(attempts), is_masked)[:ATTEMPTS],
        waiting=list(waiting),
        receipts=list(receipts),
        page=page,
        days=[
            history.Day(day.date, _for_staff(day.entries, is_masked))
            for day in history.by_days(page)
        ],
    )


def _fetch(user: User, reader: User) -> QuerySet[Activity]:
    """Read what the page and the explanation need; return the last sign-ins and failures."""
    attempts = activity.of(user).filter(kind__in=_ATTEMPTS)[:MOST]
    groups = UserGroup.objects.filter(user=user)
    fetch_together(
        attempts,
        groups,
        permissions_of(user),
        permissions_of(reader),
        emails_of(user),
        emails.pending(user),
        former_credentials.recent_emails(user),
        *twofactor.rows_of(user),
        live_sessions(user),
        last_stopped(user),
        apikeys.of(user),
        identities.rows_of(user),
        trusted_browsers.of(user),
        known_browsers.of(user),
        Recovery.current_of(user),
        activity.last_failures(user),
    )
    user.group_names = sorted(group.name for group in groups)
    return attempts


_ATTEMPTS = [
    event.name
    for event in EVENTS.values()
    if event.group is Group.FAILURE or event in history.SIGNED_IN | history.PROGRAM_SIGNED_IN
]


def _identities(user: User, is_masked: bool) -> list[tuple[Identity, str]]:
    held = identities.of(user)
    return [(row, masked(row.known_as) if is_masked else row.known_as) for row in held]


def _for_staff(entries: Iterable[Entry], is_masked: bool) -> list[Entry]:
    return [StaffEntry(entry.rows, is_masked) for entry in entries]
