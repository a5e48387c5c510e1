"""Finds users and pending sign-ups for staff.

A search looks up keys, and parts of names and email addresses, in indexes. If nothing matches, it
looks for names and email addresses that differ by one typing error. A search is not split into
words. On PostgreSQL, trigram indexes serve these searches: see ``docs/decisions/0036-search.md``.
Other databases read all rows.
"""

import re
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import BooleanField, F, Func, Q, QuerySet, TextField, Value
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.apikeys.models import PREFIX, APIKey
from accounts.common import clock
from accounts.common.database import P, PreparedQuery
from accounts.common.secrets import ID_LENGTH
from accounts.common.text import fold
from accounts.emails.models import PendingEmail
from accounts.recovery.models import Recovery
from accounts.sessions import connected
from accounts.sessions.models import LoginSession
from accounts.users import support_code, usernames
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
from accounts.users.services import find_by_id, login_key

# A shorter part has no trigram, so no index finds it.
SHORTEST = 3
# The number of letters that a search ignores at a time to find rows with one error.
GAP = 4
# Longer searches find no errors, because the time grows with the square of the length.
LONGEST = 64
# The maximum number of rows that are compared with a search.
MOST_COMPARED = 2000


def _words(*fields: str) -> Func:
    return Func(
        *fields,
        template="LOWER(%(expressions)s)",
        arg_joiner=" || ' ' || ",
        output_field=TextField(),
    )


# The names of a user, in the order of the index ``users_by_trigram``.
NAMES = _words("username_key", "display_name", "given_name", "family_name")
# The key of an email address has the index ``emails_by_trigram``.
KEY = F("key")
# Few sign-ups are pending, so they need no index.
SIGNUP = _words("username_key", "email_key")


def containing(rows: QuerySet[Any], text: Func | F, *parts: str) -> QuerySet[Any]:
    """Return the rows whose ``text`` contains all ``parts``. One of them has three letters or more.

    PostgreSQL reads all rows if ``text`` has no index of its trigrams.
    """
    rows = rows.alias(searched=text)
    for part in parts:
        if connection.vendor == "postgresql" and len(part) >= SHORTEST:
            rows = rows.filter(_shares_trigrams(text, part))
        rows = rows.filter(searched__contains=part)
    return rows


def similar(rows: QuerySet[Any], text: Func | F, wanted: str, pk: str) -> set[Any]:
    """Return the values of ``pk`` of the rows whose ``text`` contains ``wanted`` with one error.

    The error is a letter too many, a missing letter, another letter, or two letters in the wrong
    order. Of a short ``wanted``, only errors beside a trigram are found.
    """
    if len(wanted) > LONGEST:
        return set()
    pattern = re.compile("|".join(_with_one_error(wanted)), re.DOTALL)
    candidates = [
        containing(rows, text, *parts).order_by().values_list(pk, text)
        for parts in _around_gaps(wanted)
    ]
    if not candidates:
        return set()
    compared = candidates[0].union(*candidates[1:], all=True)[:MOST_COMPARED]
    return {key for key, value in compared if pattern.search(value)}


def _shares_trigrams(text: Func | F, part: str) -> Func:
    trigrams = (Func(each, function="accounts_trigrams") for each in (text, Value(part)))
    return Func(
        *trigrams, template="%(expressions)s", arg_joiner=" @> ", output_field=BooleanField()
    )


def _around_gaps(wanted: str) -> Iterator[list[str]]:
    """Yield the parts of ``wanted`` before and after each gap. An error is always inside a gap.

    The gaps overlap by one letter, because two letters in the wrong order must be in one gap.
    """
    for start in range(0, len(wanted), GAP - 1):
        parts = [wanted[:start], wanted[start + GAP :]]
        if max(map(len, parts)) >= SHORTEST:
            yield [part for part in parts if part]


def _with_one_error(wanted: str) -> Iterator[str]:
    """Yield regular expressions that match ``wanted`` with one error."""
    for place, letter in enumerate(wanted):
        before, after = re.escape(wanted[:place]), wanted[place + 1 :]
        yield f"{before}.?{re.escape(after)}"
        yield f"{before}.{re.escape(letter + after)}"
        yield f"{before}{re.escape(after[:1] + letter + after[1:])}"


# The maximum number of users that the staff API lists.
MOST = 200
# Pages show this many characters of the id of an API key. Fewer would find other people's keys.
SHOWN_OF_KEY = 4


@dataclass(frozen=True)
class State:
    """A state of accounts by which staff filter the list.

    ``label``: its name.
    ``condition``: which users are in the state. If it depends on the time, it is a function of
        :meth:`Recovery.since` and :meth:`Recovery.disputed_since`.
    ``tone``: how the pages show that a user is in the state; None if they show it otherwise.
    """

    label: Promise
    condition: Q | Callable[..., Q]
    tone: str | None = ""

    def select(self, users: QuerySet[User], *since: P) -> QuerySet[User]:
        """Return the users who are in the state. ``since``: only for a prepared query."""
        condition = self.condition
        return users.filter(condition if isinstance(condition, Q) else condition(*since))


# The columns by which the staff API sorts users.
ORDERS = {"username": "username_key", "created": "date_joined", "updated": "updated_at"}
ORDERS |= {f"-{name}": f"-{column}" for name, column in ORDERS.items()}

UNCONFIRMED = "unconfirmed"
# Pending sign-ups are unconfirmed, too: see :func:`search_signups`.
STATES = {
    "locked": State(_("Locked"), IS_LOCKED, "warn"),
    "switched_off": State(_("Deactivated"), Q(is_active=False), "bad"),
    "deletion": State(_("To be deleted"), Q(deletion_due__isnull=False), "bad"),
    "dispute": State(
        _("Asks support to decide"),
        lambda _asked=None, since=None: Q(pk__in=Recovery.disputed(since).values("user")),
        "warn",
    ),
    "recovery": State(
        _("Waiting for recovery"),
        lambda since=None, _disputed=None: Q(pk__in=Recovery.current(since).values("user")),
        "warn",
    ),
    UNCONFIRMED: State(_("Email not confirmed"), Q(email=""), "warn"),
    "no_factor": State(_("No second factor"), Q(has_factor=False), "quiet"),
    "staff": State(_("Staff"), Q(is_staff=True) | Q(is_superuser=True)),
    "never_seen": State(_("Never signed in"), Q(last_login=None), None),
}


def _states(users: QuerySet[User], *since: P) -> QuerySet[Any, Any]:
    first, *others = (
        state.select(users.order_by(), *since).values_list("pk", Value(name))
        for name, state in STATES.items()
        if state.tone is not None
    )
    return first.union(*others, all=True)


_STATES: PreparedQuery[Any] = PreparedQuery(
    lambda: _states(User.objects.filter(pk=P("id")), P("asked"), P("disputed"))
)


def states_of(ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[State]]:
    """Return the states that pages show, by the id of the user, in the order of ``STATES``."""
    found = set(_states(User.objects.filter(pk__in=ids)))
    return {pk: [state for name, state in STATES.items() if (pk, name) in found] for pk in ids}


def states_of_one(user: User) -> list[State]:
    """Return the states of ``user``, as :func:`states_of` does, with a prepared query."""
    asked, disputed = Recovery.since(), Recovery.disputed_since()
    found = {name for _pk, name in _STATES.rows(id=user.pk, asked=asked, disputed=disputed)}
    return [state for name, state in STATES.items() if name in found]


def search_users(query: str, state: str = "", *, all_emails: bool = True) -> QuerySet[User]:
    """Return the users in ``state`` who match ``query``; all of them if ``query`` is empty.

    ``query``: a part of a name or email address, the beginning of an API key, or a whole former
        username, support code, id of a user or session, or id of a person at a provider. Case is
        ignored in names, email addresses and support codes.
    ``state``: a key of ``STATES``; empty for all users.
    ``all_emails``: whether all email addresses are searched. Otherwise only a whole primary address
        is found, because parts would reveal a shortened address letter by letter.
    """
    users = User.objects.all()
    if state:
        users = STATES[state].select(users) if state in STATES else users.none()
    return search(users, query, all_emails=all_emails) if query.strip() else users


def search(users: QuerySet[User], query: str, *, all_emails: bool) -> QuerySet[User]:
    """Return the users who match ``query``: see :func:`search_users`."""
    text = _clean(query)
    if not text:
        return users.none()
    owners, parts = _owners(text, all_emails=all_emails), _parts(text, all_emails=all_emails)
    if len(text) < SHORTEST and not owners[0].union(*owners[1:]).exists():
        return users.filter(_begins("username_key", login_key(text)))
    # A text with "@" is first tried as a whole address, even if it is also a part of others.
    for first, *others in [owners, parts] if "@" in text else [[*owners, *parts]]:
        ids = first.union(*others)
        if few := list(ids[: MOST + 1]):
            return users.filter(pk__in=few if len(few) <= MOST else ids)
    return users.filter(pk__in=_similar(text, all_emails=all_emails))


@dataclass(frozen=True)
class Filters:
    """The exact conditions by which the staff API filters users. None: the condition is not used.

    ``email``: one of the confirmed addresses. ``username``: the current one. Case is ignored in
        both. ``group``: the name of a group.
    """

    email: str | None = None
    username: str | None = None
    group: str | None = None
    created_after: datetime | None = None
    updated_after: datetime | None = None

    def select(self, users: QuerySet[User], *, all_emails: bool) -> QuerySet[User]:
        """Return the users who fulfil all conditions.

        ``all_emails``: whether ``email`` may be an address that is not primary.
        """
        if self.email is not None:
            addresses = _addresses(login_key(self.email), all_emails=all_emails)
            users = users.filter(pk__in=addresses.order_by().values("user"))
        if self.username is not None:
            users = users.filter(username_key=usernames.key(self.username))
        if self.group is not None:
            users = users.filter(groups__name=self.group)
        if self.created_after:
            users = users.filter(date_joined__gt=self.created_after)
        if self.updated_after:
            users = users.filter(updated_at__gt=self.updated_after)
        return users


def search_signups(query: str, *, all_emails: bool = True) -> QuerySet[PendingSignup]:
    """Return the pending sign-ups whose username, email address or id matches ``query``.

    ``all_emails``: see :func:`search_users`.
    """
    text, signups = _clean(query), unconfirmed_signups()
    if not text:
        return signups.none()
    key = login_key(text)
    named = Q(email_key=key) if "@" in key else _begins("username_key", key)
    if signup_id := _uuid(text):
        named |= Q(pk=signup_id)
    found = signups.filter(named)
    if all_emails and len(text) >= SHORTEST and not found.exists():
        words = fold(text)
        found = containing(signups, SIGNUP, words)
        if not found.exists():
            found = signups.filter(pk__in=similar(signups, SIGNUP, words, "pk"))
    return found


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
    user = find_by_id(str(pk))
    return user or get_object_or_404(unconfirmed_signups(), pk=pk)


def _addresses(key: str, *, all_emails: bool) -> QuerySet[EmailAddress]:
    rows = EmailAddress.objects.filter(key=key)
    return rows if all_emails else rows.filter(email=F("user__email"))


def _owners(text: str, *, all_emails: bool) -> list[QuerySet[Any, Any]]:
    """Return queries for the ids of users who own something with the key ``text``."""
    key = login_key(text)
    if "@" in key:
        addresses = _addresses(key, all_emails=all_emails)
        if not all_emails:
            return [addresses.values_list("user", flat=True)]
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
    found += [
        User.objects.filter(pk__range=ends).values_list("pk", flat=True)
        for ends in support_code.accounts_of(text)
    ]
    if row_id := _uuid(text):
        found.append(User.objects.filter(pk=row_id).values_list("pk", flat=True))
        found.append(LoginSession.objects.filter(pk=row_id).values_list("user", flat=True))
        found += connected.apps().users_known_as(row_id)
    return found


def _parts(text: str, *, all_emails: bool) -> list[QuerySet[Any, Any]]:
    """Return queries for the ids of users whose name or email address contains ``text``."""
    users, key = User.objects.order_by(), login_key(text)
    if len(text) < SHORTEST:
        return [users.filter(_begins("username_key", key)).values_list("pk", flat=True)]
    found = [
        containing(users, NAMES, words).values_list("pk", flat=True)
        for words in {text.lower(), fold(text)}
    ]
    if all_emails:
        found += [
            containing(rows.objects.order_by(), KEY, fold(text)).values_list("user", flat=True)
            for rows in (EmailAddress, PendingEmail)
        ]
    return found


def _similar(text: str, *, all_emails: bool) -> set[Any]:
    """Return the ids of users whose name or email address contains ``text`` with one error."""
    found = similar(User.objects.all(), NAMES, text.lower(), "pk")
    if all_emails:
        found |= similar(EmailAddress.objects.all(), KEY, fold(text), "user")
    return found


def _clean(query: str) -> str:
    """Return the normalized search text; empty if nothing can match it."""
    text = query.strip()
    # The database cannot store NUL, and nobody has a name of 1,500 words.
    return text if text.isprintable() and len(text) <= LONGEST_SUBJECT else ""


def _begins(field: str, prefix: str) -> Q:
    """Return the condition that ``field`` begins with ``prefix``, in a form that uses an index."""
    if connection.vendor == "postgresql":
        return Q(**{f"{field}__startswith": prefix})
    # SQLite compares the code points, and uses no index for the LIKE of Django.
    return Q(**{f"{field}__gte": prefix, f"{field}__lt": prefix + chr(0x10FFFF)})


def _uuid(text: str) -> uuid.UUID | None:
    try:
        # Somebody may have read the id aloud in groups of digits.
        return uuid.UUID("".join(text.split()))
    except ValueError:
        return None
