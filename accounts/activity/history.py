"""Prepares the security history for display: titles, tags and icons, grouped by days.

Repeated events, such as failed sign-ins, are shown as one entry.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.activity import events
from accounts.activity.events import Event, Group
from accounts.activity.models import OPERATOR, Activity
from accounts.common import proofs
from accounts.common.localization import day_of, listed, without_full_stop
from accounts.common.text import ACCOUNT_ID
from accounts.throttle import limits

FOLD = timedelta(hours=1)
# Events that are equal in these fields are shown as one entry.
ALIKE = ("kind", "ip", "browser", "system", "proof", "actor", "detail", "key", "reason")

PROGRAM_SIGNED_IN = {events.CLIENT_SIGNED_IN, events.CLIENT_SIGNED_IN_NEW}
SIGNED_OUT = {events.SIGNED_OUT, events.CLIENT_SIGNED_OUT}
# The detail of these events is a number of sessions.
COUNTED = {events.OTHERS_ENDED, events.ALL_ENDED}
# The name of a deleted account in events: see ``services.remove_names``.
DELETED = re.compile(rf"^@({ACCOUNT_ID})")
# The roles of staff, which are the detail of ``PAGE_OPENED`` and ``DETAILS_READ``.
ROLES = {
    "staff": gettext_lazy("Staff"),
    "auditor": gettext_lazy("Auditor"),
    "support": gettext_lazy("Support"),
    "manager": gettext_lazy("Manager"),
    "superuser": gettext_lazy("Superuser"),
}
# Anyone can cause these without access to the account.
HARMLESS = {events.SIGN_IN_FAILED}

# The icon of events by the beginning of their names; the first match counts.
ICONS = {
    "out": ("signed_out", "client_signed_out", "session_ended", "others_ended", "all_ended"),
    "terminal": ("client_", "token_exchanged"),
    "in": ("signed_in",),
    "user": ("signed_up", "renamed", "profile_"),
    "lock": ("password_",),
    "mail": ("address_", "primary_", "emailed_codes"),
    "passkey": ("passkey_",),
    "phone": ("factor_",),
    "codes": ("recovery_code",),
    "link": ("provider_",),
    "key": ("key_", "registration_token_"),
    "devices": ("browser_trusted", "trust_ended", "browser_proved"),
    "stop": ("locked_down",),
    "staff": ("rights_", "staff_", "switched_", "superuser_", "details_", "people_"),
    "apps": ("app_",),
}
GROUP_ICONS = {Group.SIGN_IN: "in", Group.FAILURE: "bad", Group.CHANGE: "shield"}


@dataclass(frozen=True)
class Tag:
    """A short note beside the title of an entry. ``tone`` is a class of the stylesheet."""

    text: str
    tone: str = ""


@dataclass(frozen=True)
class Entry:
    """An entry of the history: one event, or several equal events, newest first."""

    rows: list[Activity]

    @property
    def row(self) -> Activity:
        """The newest of the events."""
        return self.rows[0]

    @property
    def event(self) -> Event:
        """The kind of the events."""
        return self.row.event

    @property
    def since(self) -> datetime:
        """When the oldest event of the entry happened."""
        return self.rows[-1].at

    @property
    def is_repeated(self) -> bool:
        """Whether the entry stands for several events."""
        return len(self.rows) > 1

    @property
    def is_long(self) -> bool:
        """Whether the first and the last event happened in different minutes."""
        first, last = (at.replace(second=0, microsecond=0) for at in (self.since, self.row.at))
        return first < last

    @property
    def title(self) -> str:
        """What happened, without a full stop."""
        if self.is_repeated and self.event is events.SIGN_IN_FAILED:
            count = len(self.rows)
            return ngettext("%(n)d failed sign-in", "%(n)d failed sign-ins", count) % {"n": count}
        proof = self.row.proof_words
        if self.event in events.SIGN_INS:
            return _("Signed in with %(proof)s") % {"proof": proof} if proof else _("Signed in")
        if proof and self.event is events.PROOF_GIVEN:
            return _("Confirmed with %(proof)s that it’s you") % {"proof": proof}
        if self.event in PROGRAM_SIGNED_IN:
            return _("A program signed in through the API")
        return without_full_stop(str(self.event.sentence))

    @property
    def tags(self) -> list[Tag]:
        """The notes beside the title, such as the number of repetitions or "New browser"."""
        tags = []
        if self.is_repeated and self.event is not events.SIGN_IN_FAILED:
            count = len(self.rows)
            tags.append(Tag(ngettext("%(n)d time", "%(n)d times", count) % {"n": count}))
        if self.event is events.SIGN_IN_FAILED:
            tags.append(Tag(_("Nobody signed in")))
        new = {
            events.SIGNED_IN_NEW: _("New browser"),
            events.SIGNED_IN_NETWORK: _("New network"),
            events.CLIENT_SIGNED_IN_NEW: _("New network or client"),
        }
        if self.event in new:
            tags.append(Tag(new[self.event], "warn"))
        if self.event is events.RECOVERY_CODE_USED and self.row.detail.isdecimal():
            left = int(self.row.detail)
            tone = "warn" if left <= proofs.FEW_RECOVERY_CODES else ""
            words = ngettext("%(n)s recovery code left", "%(n)s recovery codes left", left)
            tags.append(Tag(words % {"n": left}, tone))
        if by := self.by:
            tags.append(Tag(by, "hot"))
        return tags

    @property
    def by(self) -> str:
        """Who caused the event: "staff", the operator or a directory; empty if the owner did."""
        if not self.row.actor:
            return ""
        if name := self.row.directory:
            return _("By %(name)s") % {"name": name}
        is_operator = self.row.actor == OPERATOR
        return _("By the operator of this site") if is_operator else _("By staff")

    @property
    def detail(self) -> str:
        """What the event is about: a name, an email address or a number of sessions."""
        if self.event in (events.RECOVERY_CODE_USED, *events.SIGN_INS):
            return ""
        if self.event is events.SIGN_IN_FAILED:
            # The detail may be a reason that only a newer release knows.
            return str(events.WORDS.get(self.row.detail, ""))
        if self.event is events.LIMITS_CLEARED:
            kinds = self.row.detail.split()
            return listed(str(limits.WORDS[kind]) for kind in kinds if kind in limits.WORDS)
        if self.event in {events.PAGE_OPENED, events.DETAILS_READ}:
            return str(ROLES.get(self.row.detail, ""))
        if self.event is events.PEOPLE_SHOWN and self.row.detail.isdecimal():
            count = int(self.row.detail)
            return ngettext("%(n)d person shown", "%(n)d people shown", count) % {"n": count}
        if self.event not in COUNTED or not self.row.detail.isdecimal():
            return in_words(self.row.detail)
        count = int(self.row.detail)
        return ngettext("%(n)d device", "%(n)d devices", count) % {"n": count}

    @property
    def key(self) -> str:
        """The API key that caused the event; empty if staff or an operator caused it."""
        return "" if self.row.actor else self.row.key

    @property
    def reason(self) -> str:
        """Why a member of staff caused the event; empty if none did."""
        return self.row.reason

    @property
    def icon(self) -> str:
        """The name of the icon."""
        if self.row.actor:
            return "staff"
        if self.event.group is Group.FAILURE:
            return "bad"
        found = (icon for icon, starts in ICONS.items() if self.event.name.startswith(starts))
        return next(found, GROUP_ICONS[self.event.group])

    @property
    def tone(self) -> str:
        """The class of the stylesheet that colours the icon."""
        if self.row.actor:
            return "hot"
        return "bad" if self.event.group is Group.FAILURE else ""

    @property
    def can_be_disowned(self) -> bool:
        """Whether the page lets the owner report that somebody else caused the event.

        A report makes no sense for a sign-out, for an event that no person caused, and for a failed
        sign-in, which anyone can cause.
        """
        is_harmless = self.event in SIGNED_OUT or self.event in HARMLESS
        return not (is_harmless or self.row.is_by_itself)


def in_words(name: str) -> str:
    """Return ``name`` for display; for the id of a deleted account, return words instead."""
    words = _("a deleted account (%(id)s)")
    return DELETED.sub(lambda found: words % {"id": found[1]}, name)


@dataclass(frozen=True)
class Day:
    """The entries of a day in the time zone of the reader."""

    date: date
    entries: list[Entry]


def entries(rows: Iterable[Activity]) -> list[Entry]:
    """Return the entries for ``rows``, which are newest first.

    Equal events become one entry if they happened on the same day and less than an hour apart.
    Between them there may be other events only if they are failures.
    """
    found: list[Entry] = []
    open_entries: dict[tuple[str, ...], Entry] = {}
    for row in rows:
        key = tuple(getattr(row, name) for name in ALIKE)
        entry = open_entries.get(key)
        is_failure = row.event.group is Group.FAILURE and not row.actor
        if entry and (is_failure or entry is found[-1]) and _are_close(entry.row.at, row.at):
            entry.rows.append(row)
            continue
        open_entries[key] = Entry([row])
        found.append(open_entries[key])
    return found


def by_days(rows: Iterable[Activity]) -> list[Day]:
    """Return the entries for ``rows``, which are newest first, by days of the reader."""
    grouped = groupby(entries(rows), key=lambda entry: day_of(entry.row.at))
    return [Day(date, list(group)) for date, group in grouped]


def _are_close(newest: datetime, oldest: datetime) -> bool:
    return newest - oldest <= FOLD and day_of(newest) == day_of(oldest)
