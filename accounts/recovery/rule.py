"""Decides who may lock or unlock an account: a pure function of the credentials it has and had.

A *lock* names the first change that was wrong. The *horizon* is seven days before that change, or
at the creation of a younger account. While an account is locked, only credentials that it had at
the horizon *count*. An account that is not locked has no horizon: all its present credentials
count. An *opening* is the unlocking of an account. A *thing* is a credential.

Three kinds of credentials prove ownership: the password, a mailbox, and a second factor. Several of
one kind count as one. A credential that was removed at most seven days before the lock counts as
still there. One that was removed earlier counts only together with one that is still there.

=====================================================  ==========================================
Credentials shown                                      Outcome
=====================================================  ==========================================
two, or the mailbox alone if the account is not        open: the account is unlocked at once locked;
if it had a factor, the factor must be shown a mailbox, with or without the password
wait: it is unlocked after a waiting period anything else
Support decides none that is still there                               nothing
=====================================================  ==========================================

To unlock an account again within 30 days, more kinds must be shown than unlocked it before; with
the same number, Support decides. Members of staff never wait: Support decides.
"""

from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from functools import cached_property

from accounts.common.proofs import OpenEnum

# A credential counts if the account had it this long before the first wrong change.
BEFORE = timedelta(days=7)
# The maximum age of the first wrong change, and how long openings, locks and stopped requests
# matter.
MONTH = timedelta(days=30)
# Credentials that are added within this time after the creation of an account count as old as the
# account.
AT_CREATION = timedelta(minutes=1)


class Kind(OpenEnum):
    """The kinds of credentials that prove ownership."""

    PASSWORD = "password"  # noqa: S105 the name of a kind
    # A connected provider counts as a mailbox if the account had no email address.
    MAILBOX = "mailbox"
    FACTOR = "factor"


class Outcome(Enum):
    """What a person can do with the credentials that they have shown."""

    OPEN = "open"
    WAIT = "wait"
    SUPPORT = "support"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Thing:
    """A credential that an account has or had.

    ``key``: distinguishes credentials of the same kind.
    ``since``: None if it is as old as the account.
    ``until``: None if the account still has it.
    ``name``: shown to the owner; nothing depends on it.
    ``is_provider``: whether it is a provider that replaces a mailbox.
    """

    kind: Kind
    key: str = ""
    since: datetime | None = None
    until: datetime | None = None
    name: str = field(default="", compare=False)
    is_provider: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Lock:
    """A lock of an account, and its horizon: only things from before that time count."""

    at: datetime
    horizon: datetime

    def counts(self, thing: Thing) -> bool:
        """Return whether the account had ``thing`` at the horizon."""
        is_old = thing.since is None or thing.since <= self.horizon
        return is_old and (thing.until is None or thing.until >= self.horizon)

    def is_there(self, thing: Thing) -> bool:
        """Return whether ``thing`` counts as still there, although it may have been removed."""
        return thing.until is None or thing.until >= self.at - BEFORE


@dataclass(frozen=True)
class Opening:
    """The last unlocking of an account, and the number of kinds that were shown for it."""

    at: datetime
    kinds: int


def lock_of(
    at: datetime, wrong_at: datetime, created_at: datetime, opening: Opening | None
) -> Lock:
    """Return the lock, made at ``at``, that names ``wrong_at`` as the first wrong change.

    ``opening``: the last unlocking within 30 days. Unless ``wrong_at`` is before it, it replaces
        the creation of the account: credentials that the account had then count.
    """
    first = opening.at if opening and opening.at < wrong_at else created_at
    return Lock(at, min(at, max(first + AT_CREATION, wrong_at - BEFORE)))


def kinds(things: Iterable[Thing]) -> frozenset[Kind]:
    """Return the kinds of ``things``."""
    return frozenset(thing.kind for thing in things)


@dataclass(frozen=True)
class Ownership:
    """The facts about an account on which the outcome depends.

    ``things``: the credentials that the account has, and those that it had.
    ``opening``: the last unlocking within 30 days, or None.
    """

    things: frozenset[Thing]
    lock: Lock | None = None
    is_staff: bool = False
    opening: Opening | None = None

    @cached_property
    def counting(self) -> frozenset[Thing]:
        """The credentials that count: at the horizon, or now if the account is not locked."""
        lock = self.lock
        if lock is None:
            return frozenset(thing for thing in self.things if thing.until is None)
        return frozenset(filter(lock.counts, self.things))

    def outcome(self, shown: frozenset[Thing]) -> Outcome:
        """Return the outcome for a person who has shown the credentials ``shown``."""
        lock, counted = self.lock, shown & self.counting
        if not any(lock is None or lock.is_there(thing) for thing in counted):
            return Outcome.NOTHING
        proved = kinds(counted)
        enough = len(proved) >= 2 or (lock is None and Kind.MAILBOX in proved)
        if enough and (Kind.FACTOR in proved or Kind.FACTOR not in kinds(self.counting)):
            is_open = lock is None or len(proved) >= self.needed
            return Outcome.OPEN if is_open else Outcome.SUPPORT
        if Kind.MAILBOX in proved and not self.is_staff:
            return Outcome.WAIT
        return Outcome.SUPPORT

    @property
    def needed(self) -> int:
        """The number of kinds that are needed to unlock the account."""
        return max(2, self._undone.kinds + 1) if self._undone else 2

    @property
    def _undone(self) -> Opening | None:
        """The earlier unlocking that unlocking the account now would undo, or None."""
        is_behind = self.lock and self.opening and self.lock.horizon < self.opening.at
        return self.opening if is_behind else None

    def opened(self, at: datetime, shown: frozenset[Thing]) -> Opening:
        """Return the opening to store after the account was unlocked at ``at`` with ``shown``.

        An opening that was not undone is kept. Otherwise a thief could unlock the account a second
        time with what the first opening gave, and so increase the number of kinds that the owner
        needs.
        """
        if self.opening and not self._undone:
            return self.opening
        return Opening(at, len(kinds(shown & self.counting)))

    @property
    def has_address(self) -> bool:
        """Whether an email address counts."""
        return any(t.kind is Kind.MAILBOX and not t.is_provider for t in self.counting)

    def may_lock(
        self,
        shown: frozenset[Thing],
        locked_alone_by: Collection[str] = (),
        *,
        is_inside: bool = False,
    ) -> bool:
        """Return whether ``shown`` is sufficient to make ``lock``.

        ``locked_alone_by``: the keys of the mailboxes that locked it alone in the last 30 days.
        ``is_inside``: whether a signed-in user locks the account. Two kinds are then sufficient,
            even if Support has unlocked it.
        """
        counted = shown & self.counting
        proved = kinds(counted)
        most = 2 if is_inside else len(Kind)
        if self.opening and len(proved) < min(most, self.opening.kinds):
            return False
        if self.outcome(shown) is Outcome.NOTHING:
            return False
        alone = any(t.kind is Kind.MAILBOX and t.key not in locked_alone_by for t in counted)
        return len(proved) >= 2 or alone or not self.has_address


def outweighs(shown: Set[Kind], other: Set[Kind]) -> bool:
    """Return whether ``shown`` has all kinds of ``other`` and more, and so stops its request."""
    return shown > other
