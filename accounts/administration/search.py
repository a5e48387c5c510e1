"""Finds users and pending sign-ups for staff.

A search looks up whole keys and the beginning of a username in indexes, so that it is as fast among
a million users as among a hundred. It is never split into words.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import F, Q, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.apikeys.models import PREFIX, APIKey
from accounts.common import clock
from accounts.common.key_text import ID_LENGTH
from accounts.emails.models import PendingEmail
from accounts.recovery.models import Recovery
from accounts.sessions import connected
from accounts.sessions.models import LoginSession
from accounts.users.models import (
    IS_LOCKED,
    LONGEST_SUBJECT,
    EmailAddress,
    FormerCredential,
    Identity,
    PendingSignup,
    User,
    Username,
)
from accounts.users.services import login_key

# The number of users that a list contains at most.
MOST = 200
# Pages show that many characters of the id of an API key. Fewer would find other people's keys.
SHOWN_OF_KEY = 4


@dataclass(frozen=True)
class State:
    """A state of accounts by which staff filter the list: its name, and how to select it."""

    label: Promise
    select: Callable[[QuerySet[User]], QuerySet[User]]


UNCONFIRMED = "unconfirmed"
# Pending sign-ups are unconfirmed, too: see :func:`search_signups`.
STATES = {
    UNCONFIRMED: State(_("Email not confirmed"), lambda users: users.filter(email="")),
    "no_factor": State(
        _("No second factor"),
        lambda users: users.filter(has_factor=False),
    ),
    "locked": State(_("Locked"), lambda users: users.filter(IS_LOCKED)),
    "switched_off": State(_("Deactivated"), lambda users: users.filter(is_active=False)),
    "deletion": State(_("To be deleted"), lambda users: users.filter(deletion_due__isnull=False)),
    "staff": State(_("Staff"), lambda users: users.filter(Q(is_staff=True) | Q(is_superuser=True))),
    "never_seen": State(_("Never signed in"), lambda users: users.filter(last_login=None)),
    "recovery": State(
        _("Waiting for recovery"),
        lambda users: users.filter(pk__in=Recovery.current().values("user")),
    ),
}


def search_users(query: str, state: str = "", *, all_emails: bool = True) -> QuerySet[User]:
    """Return the users in ``state`` that ``query`` names; all of them if ``query`` is empty.

    ``query``: the beginning of a username or of an API key, or the whole of a former username, an
        email address, the id of a user or session, or the id of a person at a provider. Case is
        ignored in names and email addresses.
    ``state``: a key of ``STATES``; empty for all users.
    ``all_emails``: whether other email addresses than the primary one are searched.
    """
    users = User.objects.all()
    if state:
        users = STATES[state].select(users) if state in STATES else users.none()
    return search(users, query, all_emails=all_emails) if query.strip() else users


def search(users: QuerySet[User], query: str, *, all_emails: bool) -> QuerySet[User]:
    """Return those of ``users`` that ``query`` names: see :func:`search_users`."""
    text = _clean(query)
    if not text:
        return users.none()
    named = users.filter(_begins("username_key", login_key(text))).order_by("username_key")
    first, *others = _owners(text, all_emails=all_emails)
    # Two statements, because a database would not use the indexes for one condition with OR.
    ids = {*named.values_list("pk", flat=True)[:MOST], *first.union(*others)}
    return users.filter(pk__in=ids)


def search_signups(query: str) -> QuerySet[PendingSignup]:
    """Return the pending sign-ups that ``query`` names by username, email address or id."""
    text = _clean(query)
    if not text:
        return PendingSignup.objects.none()
    key = login_key(text)
    named = Q(email_key=key) if "@" in key else _begins("username_key", key)
    if signup_id := _uuid(text):
        named |= Q(pk=signup_id)
    return unconfirmed_signups().filter(named)


def unconfirmed_signups() -> QuerySet[PendingSignup]:
    """Return all pending sign-ups, by username."""
    return PendingSignup.objects.filter(expires_at__gt=clock.now()).order_by("username_key")


def find_account(text: str) -> User | PendingSignup:
    """Return the user or the pending sign-up with this id.

    Raises:
        Http404: there is none.
    """
    pk = _uuid(text)
    if pk is None:
        raise Http404
    user = User.objects.filter(pk=pk).first()
    return user or get_object_or_404(unconfirmed_signups(), pk=pk)


def _owners(text: str, *, all_emails: bool) -> list[QuerySet[Any, Any]]:
    """Return queries for the ids of the users to whom something with the key ``text`` belongs."""
    key = login_key(text)
    if "@" in key:
        addresses = EmailAddress.objects.filter(key=key)
        if not all_emails:
            return [addresses.filter(email=F("user__email")).values_list("user", flat=True)]
        former = FormerCredential.objects.filter(kind=FormerCredential.Kind.EMAIL, key=key)
        of_emails = [addresses, PendingEmail.objects.filter(key=key), former]
        return [rows.order_by().values_list("user", flat=True) for rows in of_emails]
    found = [
        Username.objects.filter(key=key, former__isnull=False).values_list("former", flat=True),
        Identity.objects.filter(subject=text).values_list("user", flat=True),
    ]
    key_id = text.lower().removeprefix(PREFIX)[:ID_LENGTH]
    if text.lower().startswith(PREFIX) and len(key_id) >= SHOWN_OF_KEY:
        found.append(APIKey.objects.filter(_begins("pk", key_id)).values_list("user", flat=True))
    if row_id := _uuid(text):
        found.append(User.objects.filter(pk=row_id).values_list("pk", flat=True))
        found.append(LoginSession.objects.filter(pk=row_id).values_list("user", flat=True))
        found += connected.apps().users_known_as(row_id)
    return found


def _clean(query: str) -> str:
    """Return what to search for; empty if no key can be equal to it."""
    text = query.strip()
    # The database cannot store NUL, and a text of 1,500 words is no key.
    return text if text.isprintable() and len(text) <= LONGEST_SUBJECT else ""


def _begins(field: str, prefix: str) -> Q:
    """Return the condition that ``field`` begins with ``prefix``, for which an index is used."""
    if connection.vendor == "postgresql":
        return Q(**{f"{field}__startswith": prefix})
    # SQLite compares the code points, and uses no index for the LIKE of Django.
    return Q(**{f"{field}__gte": prefix, f"{field}__lt": prefix + chr(0x10FFFF)})


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
