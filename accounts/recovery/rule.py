"""Decides who may open, lock or take back an account: a pure function of what the account had.

A *lock* names the first change that was wrong. The *horizon* lies seven days before that change,
or at the creation of a younger account. While an account is locked, only what it had at the
horizon counts. An account that is not locked has no horizon: all that it has now counts.

Three kinds of things prove ownership: the password, a mailbox, and a second factor. Several things
of one kind are one. What was removed at most seven days before the lock counts as still there;
what was removed earlier counts only beside something that is still there.

=====================================================  ==========================================
Things shown                                           Outcome
=====================================================  ==========================================
two, or the mailbox alone if the account is not        open: the account is open at once
locked; if it had a factor, the factor must be shown
a mailbox, with or without the password                wait: the account is open after the wait
anything else                                          Support decides
nothing that is still there                            nothing
=====================================================  ==========================================

Whoever opens within 30 days of an opening must show more things than opened the account before;
with as many, Support decides. Members of staff never wait: Support decides.
"""

from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from functools import cached_property

from accounts.common.proofs import OpenEnum

# How long before the first wrong change the account must have had a thing.
BEFORE = timedelta(days=7)
# How old the first wrong change may be, and how long openings, locks and stops are remembered.
MONTH = timedelta(days=30)
# What is added within this time after an account was created counts as old as the account.
AT_CREATION = timedelta(minutes=1)


class Kind(OpenEnum):
    """The kinds of things that prove ownership."""

    PASSWORD = "password"  # noqa: S105 the name of a kind
    # A connected provider counts as a mailbox if the account had no email address.
    MAILBOX = "mailbox"
    FACTOR = "factor"


class Outcome(Enum):
    """What somebody can do with the things that they have shown."""

    OPEN = "open"
    WAIT = "wait"
    SUPPORT = "support"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Thing:
    """A credential that an account has or had.

    ``key`` distinguishes things of the same kind. ``since`` is None if the thing is as old as the
    account; ``until`` is None if the account still has it. ``name`` is shown to the owner, and
    nothing depends on it. ``is_provider``: whether it is a provider that stands for a mailbox.
    """

    kind: Kind
    key: str = ""
    since: datetime | None = None
    until: datetime | None = None
    name: str = field(default="", compare=False)
    is_provider: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Lock:
    """A lock of an account, and the horizon: the moment before which things count."""

    at: datetime
    horizon: datetime

    def counts(self, thing: Thing) -> bool:
        """Return whether the account had ``thing`` at the horizon."""
        is_old = thing.since is None or thing.since <= self.horizon
        return is_old and (thing.until is None or thing.until >= self.horizon)

    def is_there(self, thing: Thing) -> bool:
        """Return whether ``thing`` counts as still there."""
        return thing.until is None or thing.until >= self.at - BEFORE


@dataclass(frozen=True)
class Opening:
    """The last opening of an account, and the number of kinds that were shown for it."""

    at: datetime
    kinds: int


def lock_of(
    at: datetime, wrong_at: datetime, created_at: datetime, opening: Opening | None
) -> Lock:
    """Return the lock, made at ``at``, that names ``wrong_at`` as the first wrong change.

    ``opening``: the last opening within 30 days. Unless the lock reaches behind the opening, what
        the account had at the opening counts, as if the account had been created then.
    """
    first = opening.at if opening and opening.at < wrong_at else created_at
    return Lock(at, min(at, max(first + AT_CREATION, wrong_at - BEFORE)))


def kinds(things: Iterable[Thing]) -> frozenset[Kind]:
    """Return the kinds of ``things``."""
    return frozenset(thing.kind for thing in things)


@dataclass(frozen=True)
class Ownership:
    """The facts of an account on which the outcome depends.

    ``things``: what the account has, and what it had.
    ``opening``: the last opening within 30 days, or None.
    """

    things: frozenset[Thing]
    lock: Lock | None = None
    is_staff: bool = False
    opening: Opening | None = None

    @cached_property
    def counting(self) -> frozenset[Thing]:
        """The things that count: at the horizon, or now if the account is not locked."""
        lock = self.lock
        if lock is None:
            return frozenset(thing for thing in self.things if thing.until is None)
        return frozenset(filter(lock.counts, self.things))

    def outcome(self, shown: frozenset[Thing]) -> Outcome:
        """Return what somebody can do who has shown ``shown``."""
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
        """How many kinds open a locked account."""
        return max(2, self._undone.kinds + 1) if self._undone else 2

    @property
    def _undone(self) -> Opening | None:
        """The opening that opening the account would undo, or None."""
        is_behind = self.lock and self.opening and self.lock.horizon < self.opening.at
        return self.opening if is_behind else None

    def opened(self, at: datetime, shown: frozenset[Thing]) -> Opening:
        """Return the opening to remember after ``shown`` has opened the account at ``at``.

        An opening that was not undone stays, or a thief could open the account a second time with
        what the first opening gave, and so raise the number that the owner must exceed.
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
        """Return whether ``shown`` is enough to make ``lock``.

        ``locked_alone_by``: the keys of the mailboxes that locked it alone in the last 30 days.
        ``is_inside``: whether a signed-in user locks the account. Two things are then enough, even
            if Support has opened it.
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
    """Return whether a request that shows ``shown`` stops one that showed ``other``."""
    return shown > other
