"""An account, its owner and a thief: every act that the rule of recovery allows."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

from accounts.recovery import rule
from accounts.recovery.rule import Kind, Lock, Opening, Outcome, Ownership, Thing

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WAIT, DECISION = 3 * DAY, 4 * DAY
START = datetime(2026, 1, 1, tzinfo=UTC)
OWNER, THIEF = "owner", "thief"
P, M, F = Kind


@dataclass(frozen=True)
class Request:
    by: str
    shown: frozenset[Thing]
    due: datetime

    @property
    def kinds(self):
        return rule.kinds(self.shown)


@dataclass(frozen=True)
class World:
    """The state of the account. An act returns the next state, or None if it is not possible.

    ``has``: who can show which thing, by the key of the thing.
    ``inside``: who is signed in.
    ``wrong_at``: the first change by the thief, which the owner names.
    ``at_support``: who has asked Support.
    ``decided_at``: when Support decides about a locked account or a request, at the latest. What it
        decides is beyond the rule.
    """

    things: frozenset[Thing]
    has: frozenset[tuple[str, str]] = frozenset()
    now: datetime = START
    created: datetime = START - 100 * DAY
    is_staff: bool = False
    inside: frozenset[str] = frozenset()
    lock: Lock | None = None
    locked_alone: frozenset[tuple[str, datetime]] = frozenset()
    opened: Opening | None = None
    request: Request | None = None
    stopped: tuple[frozenset[Kind], datetime] | None = None
    at_support: frozenset[str] = frozenset()
    decided_at: datetime | None = None
    wrong_at: datetime | None = None

    @cached_property
    def present(self):
        return frozenset(thing for thing in self.things if thing.until is None)

    @cached_property
    def ownership(self):
        return Ownership(self.things, self.lock, self.is_staff, self.opening)

    @property
    def opening(self):
        return self.opened if self.opened and self.now < self.opened.at + rule.MONTH else None

    def of(self, who):
        """Return all that ``who`` can show, whether or not the account still has it."""
        return self._held[who]

    @cached_property
    def _held(self):
        return {
            who: frozenset(thing for thing in self.things if (who, thing.key) in self.has)
            for who in (OWNER, THIEF)
        }

    def shown_by(self, who):
        return self.ownership.counting & self.of(who)

    def outcome(self, who):
        return self.ownership.outcome(self.of(who))

    @cached_property
    def asked(self):
        """The request, if all that it showed still counts."""
        keys = {thing.key for thing in self.ownership.counting}
        is_valid = self.request and {thing.key for thing in self.request.shown} <= keys
        return self.request if is_valid else None

    def wait(self):
        return replace(self, now=self.now + DAY)

    # What somebody who is signed in can do.

    def add(self, who, kind):
        return self._with(who, kind) if who in self.inside else None

    def remove(self, who, kind):
        """Remove what only the other one has. A factor is needed to remove a factor."""
        mine = self.of(who) & self.present
        gone = frozenset(t for t in self.present - mine if t.kind is kind)
        may = kind is not Kind.FACTOR or Kind.FACTOR in rule.kinds(mine)
        if who not in self.inside or not gone or not may:
            return None
        return replace(self._without(gone)._noted(who), inside=frozenset({who}))

    def set_password(self, who):
        return self._new_password(who) if who in self.inside else None

    # What everybody can do.

    def enter(self, who):
        """Sign in, or reset the password by email. A factor is needed where one is held."""
        mine = rule.kinds(self.of(who) & self.present)
        lacks_factor = Kind.FACTOR in rule.kinds(self.present) and Kind.FACTOR not in mine
        if self.lock or who in self.inside or lacks_factor:
            return None
        if Kind.PASSWORD in mine:
            return replace(self, inside=self.inside | {who})
        return self._new_password(who) if Kind.MAILBOX in mine else None

    def lock_account(self, who, wrong_at):
        lock = self._lock_naming(wrong_at)
        if self.lock:
            if lock.horizon >= self.lock.horizon:
                return None
            lock = replace(lock, at=self.lock.at)
        ownership = replace(self.ownership, lock=lock)
        since = self.now - rule.MONTH
        alone_by = {key for key, at in self.locked_alone if at > since}
        counted = ownership.counting & self.of(who)
        if not ownership.may_lock(counted, alone_by, is_inside=who in self.inside):
            return None
        alone = self.locked_alone
        if len(rule.kinds(counted)) == 1:
            alone |= {(thing.key, self.now) for thing in counted if thing.kind is Kind.MAILBOX}
        young = frozenset(t for t in self.present if t.since and t.since > lock.horizon)
        return replace(
            self._without(young),
            lock=lock,
            inside=frozenset(),
            locked_alone=alone,
            request=self.request if self.lock else None,
        )._taken_up()

    def open_account(self, who):
        number = len(rule.kinds(self.shown_by(who)))
        is_closed = self.lock or self.asked
        is_equal = any(number <= len(rule.kinds(self.shown_by(o))) for o in self.at_support - {who})
        if self.outcome(who) is not Outcome.OPEN or not is_closed or is_equal:
            return None
        after = self._without_request()._reviewed(who)._new_password(who)
        return after._opened(who, self.ownership, self.of(who)) if self.lock else after

    def ask(self, who):
        shown = self.shown_by(who)
        kinds = rule.kinds(shown)
        if self.outcome(who) is not Outcome.WAIT or self.at_support:
            return None
        stopped, stopped_at = self.stopped or (frozenset(), self.now - rule.MONTH)
        if self.now < stopped_at + rule.MONTH and not kinds > stopped:
            return None
        if self.asked and not rule.outweighs(kinds, self.asked.kinds):
            return None
        request = Request(who, shown, self.now + WAIT)
        return replace(self._without_request(), request=request)

    def finish(self, who):
        asked = self.asked
        if self.at_support or not asked or asked.by != who or self.now < asked.due:
            return None
        if not {t.key for t in asked.shown} <= {t.key for t in self.shown_by(who)}:
            return None
        factors = frozenset(t for t in self.present if t.kind is Kind.FACTOR)
        after = replace(self._without(factors), request=None)._reviewed(who)._new_password(who)
        return after._opened(who, self.ownership, asked.shown)

    def ask_support(self, who):
        """Show Support what counts now, or would count after a lock."""
        ownership = replace(self.ownership, lock=self._lock_naming(self.wrong_at or self.now))
        outcomes = {self.outcome(who), ownership.outcome(self.of(who))}
        if who in self.inside | self.at_support or outcomes == {Outcome.NOTHING}:
            return None
        return replace(self, at_support=self.at_support | {who})._taken_up()

    # Steps of the acts.

    def _taken_up(self):
        has_case = self.at_support and (self.lock or self.asked or OWNER in self.at_support)
        is_new = has_case and not self.decided_at
        return replace(self, decided_at=self.now + DECISION) if is_new else self

    def _lock_naming(self, wrong_at):
        wrong_at = max(wrong_at, self.now - rule.MONTH)
        return rule.lock_of(self.now, wrong_at, self.created, self.opening)

    def _noted(self, who):
        return self if self.wrong_at or who == OWNER else replace(self, wrong_at=self.now)

    def _with(self, who, kind):
        thing = Thing(kind, f"{kind} {len(self.things)}", self.now)
        has = self.has | {(who, thing.key)}
        return replace(self, things=self.things | {thing}, has=has)._noted(who)

    def _without(self, gone):
        ended = frozenset(replace(thing, until=self.now) for thing in gone)
        return replace(self, things=self.things - gone | ended)

    def _new_password(self, who):
        old = frozenset(thing for thing in self.present if thing.kind is Kind.PASSWORD)
        after = self._without(old)._with(who, Kind.PASSWORD)
        return replace(after, inside=frozenset({who}), lock=None)

    def _without_request(self):
        if not self.asked:
            return replace(self, request=None)
        return replace(self, stopped=(self.asked.kinds, self.now), request=None)

    def _reviewed(self, who):
        """Put back what ``who`` had at the horizon, and remove what only the other one has."""
        mine, kinds = self.of(who), {Kind.MAILBOX, Kind.FACTOR}
        others = frozenset(t for t in self.present - mine if t.kind in kinds)
        lost = frozenset(t for t in self.shown_by(who) if t.until and t.kind in kinds)
        after = self._without(others)
        back = {replace(thing, until=None) for thing in lost}
        return replace(after, things=after.things - lost | back)

    def _opened(self, who, ownership, shown):
        opened = ownership.opened(self.now, shown)
        wrong_at = self.wrong_at or self.now if who == THIEF else None
        after = replace(
            self, opened=opened, wrong_at=wrong_at, at_support=frozenset(), decided_at=None
        )
        return replace(after, now=self.now + HOUR)


def come_back(world):
    """Return the world after the owner has done what the pages suggest."""
    for _ in range(8):
        is_calm = not world.lock and not world.asked
        others = world.present - world.of(OWNER)
        if is_calm and world.inside == {OWNER} and not others:
            return replace(world, at_support=frozenset(), decided_at=None)
        after = None
        if world.asked and not world.lock:
            after = world.open_account(OWNER)
        if after is None and world.wrong_at:
            after = world.lock_account(OWNER, world.wrong_at)
        after = after or world.open_account(OWNER) or world.finish(OWNER)
        if after is None and is_calm:
            after = world.enter(OWNER) or world.remove(OWNER, M) or world.remove(OWNER, F)
            if after is None and THIEF in world.inside:
                after = world.set_password(OWNER)
        if after is None and OWNER in world.inside:
            break
        if after is None and not (world.asked and world.asked.by == OWNER):
            after = world.ask(OWNER) or world.ask_support(OWNER)
        if after is None:
            break
        world = after
    return world


THIEFS_ACTS = {
    "enter": lambda world: world.enter(THIEF),
    "set a password": lambda world: world.set_password(THIEF),
    "add a mailbox": lambda world: world.add(THIEF, M),
    "add a factor": lambda world: world.add(THIEF, F),
    "remove a mailbox": lambda world: world.remove(THIEF, M),
    "remove a factor": lambda world: world.remove(THIEF, F),
    "lock": lambda world: world.lock_account(THIEF, world.now),
    "lock, naming a change of 30 days ago": lambda world: world.lock_account(
        THIEF, world.now - rule.MONTH
    ),
    "open": lambda world: world.open_account(THIEF),
    "ask": lambda world: world.ask(THIEF),
    "finish": lambda world: world.finish(THIEF),
    "ask Support": lambda world: world.ask_support(THIEF),
}
WAITS = {1: "wait a day", 4: "wait four days", 8: "wait eight days"}


def next_worlds(world, away, back):
    """Yield (act, world, back) after each act of the thief, and the owner's acts that follow it.

    ``away``: for how many days the owner does not act; ``back``: when the owner does, or None if
    there was no reason to yet.
    """
    if world.decided_at and world.now >= world.decided_at:
        return
    for name, act in THIEFS_ACTS.items():
        if (after := act(world)) is not None:
            yield name, *_with_owner(after, away, back)
    after = world
    for day in range(1, max(WAITS) + 1):
        if not after.decided_at or after.now < after.decided_at:
            after, back = _with_owner(after.wait(), away, back)
        if day in WAITS:
            yield WAITS[day], after, back


def _with_owner(world, away, back):
    if back is None and (world.wrong_at or world.lock or world.asked):
        back = world.now + away * DAY
    is_back = back is not None and world.now >= back
    return (come_back(world) if is_back else world), back


def end_of(world):
    """Return how a history ends, and the last world.

    The end is who is signed in: "owner", "thief", "both" or "nobody"; or "support", if Support must
    decide.
    """
    for _day in range(12):
        is_decided = world.decided_at and world.now >= world.decided_at
        world = world if is_decided else come_back(world)
        if OWNER in world.inside and not world.lock and not world.asked:
            if THIEF not in world.inside:
                return OWNER, world
            if world.wrong_at is None:
                return "both", world
        if is_decided:
            break
        for act in ("open", "finish", "ask"):
            world = THIEFS_ACTS[act](world) or world
        world = world.wait()
    if world.at_support:
        return "support", world
    return " and ".join(sorted(world.inside)) or "nobody", world
