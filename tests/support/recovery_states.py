"""Merges the states of an account that have the same future, so that long histories are few."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from accounts.recovery import rule
from accounts.recovery.rule import Kind, Lock, Opening, Thing
from tests.support.recovery_world import DAY, HOUR, OWNER, START, THIEF, Request, World

# Kind, since, until, whether owner, thief and request have it, and when it locked alone.
type Item = tuple[Kind, datetime | None, datetime | None, bool, bool, bool, datetime | None]
# The midnight before the times that :func:`_moved` returns.
MIDNIGHT = START - DAY / 2


def merged(world: World, back: datetime | None = None) -> tuple[World, datetime | None]:
    """Return ``world`` and ``back`` as they are for every world with the same future.

    It is :data:`START`, equal things are one, and what no later act can reach is forgotten.
    """
    month = world.now - rule.MONTH
    lowest = min(month - rule.BEFORE, world.lock.horizon if world.lock else world.now)
    created = world.created if world.created + rule.AT_CREATION > lowest else None
    stopped = world.stopped if world.stopped and world.stopped[1] > month else None
    opened, lock, asked = world.opening, world.lock, world.asked
    due = max(asked.due, world.now) if asked else None
    wrong_at = max(world.wrong_at, month) if world.wrong_at else None
    back = max(back, world.now) if back else None
    decided_at = max(world.decided_at, world.now) if world.decided_at else None
    found = _items(world, lowest, month)
    times = {world.now, back, created, due, wrong_at, decided_at, opened and opened.at}
    times |= {stopped and stopped[1], lock and lock.at, lock and lock.horizon}
    to = _moved(times.union(*((i[1], i[2], i[6]) for i in found)), world.now)
    items = sorted(((k, to[s], to[u], o, t, r, to[a]) for k, s, u, o, t, r, a in found), key=str)
    things = [Thing(i[0], f"{i[0]} {n}", i[1], i[2]) for n, i in enumerate(items)]
    pairs = list(zip(things, items, strict=True))
    owners = [(OWNER, t.key) for t, i in pairs if i[3]]
    return World(
        frozenset(things),
        frozenset(owners + [(THIEF, t.key) for t, i in pairs if i[4]]),
        START,
        to[created] or World.created,
        world.is_staff,
        world.inside,
        lock and Lock(to[lock.at], to[lock.horizon]),
        frozenset((t.key, i[6]) for t, i in pairs if i[6]),
        opened and Opening(to[opened.at], opened.kinds),
        asked and Request(asked.by, frozenset(t for t, i in pairs if i[5]), to[due]),
        stopped and (stopped[0], to[stopped[1]]),
        world.at_support,
        to[decided_at],
        to[wrong_at],
    ), to[back]


def _items(world: World, lowest: datetime, month: datetime) -> set[Item]:
    """Return the things that count at ``lowest`` or later; those from before are without a date."""
    has, asked = world.has, {t.key for t in world.asked.shown} if world.asked else set()
    alone = {key: at for key, at in world.locked_alone if at > month}
    return {
        (
            t.kind,
            t.since if t.since and t.since > lowest else None,
            t.until,
            (OWNER, t.key) in has,
            (THIEF, t.key) in has,
            t.key in asked,
            alone.get(t.key),
        )
        for t in world.things
        if not t.until or t.until >= lowest
    }


def _moved(times: Iterable[datetime | None], now: datetime) -> Mapping[datetime | None, Any]:
    """Map each of ``times`` to one that compares to the others as before: ``now`` to START.

    Only whole days are added to times before they are compared, and hours pass only at an opening.
    So the days between two times count, and which one is later in its day.
    """
    parts = {each: divmod(each - MIDNIGHT, DAY) for each in times if each}
    hours = sorted({rest // HOUR for _day, rest in parts.values()})
    today = parts[now][0]
    return {None: None} | {
        each: START
        + (day - today) * DAY
        + (hours.index(rest // HOUR) - len(hours) + 1) * HOUR
        + rest % HOUR
        for each, (day, rest) in parts.items()
    }
