"""Budgets in the database: exact across processes and nodes that share it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection

# By hand: of the work that refusing a flood takes, the ORM would do most.
PEEK = "SELECT key, whole_at FROM accounts_budget WHERE key IN ({keys})"
# A row is changed only while its budget allows it, and is returned only when changed.
SPEND = """
INSERT INTO accounts_budget AS b (key, whole_at) VALUES {rows}
ON CONFLICT (key) DO UPDATE
SET whole_at = CASE WHEN b.whole_at > %s THEN b.whole_at - %s ELSE 0 END + excluded.whole_at
WHERE b.whole_at <= CASE b.key {latest} END
RETURNING key
"""
# Further ahead than any budget can be: a node's clock was ahead when it was written.
CLAMP = "UPDATE accounts_budget SET whole_at = %s WHERE key = %s AND whole_at > %s"
# A row that isn't there gets a moment that is long past: a whole budget.
GIVE_BACK = """
INSERT INTO accounts_budget AS b (key, whole_at) VALUES {rows}
ON CONFLICT (key) DO UPDATE SET whole_at = b.whole_at + excluded.whole_at
"""


@dataclass(frozen=True, order=True)
class Cost:
    """What one act costs the budget ``key``, and how much may be owed there, in milliseconds."""

    key: str
    cost: int
    depth: int


def spend(costs: Sequence[Cost], now: int) -> dict[str, int]:
    """Take all of ``costs``, or none.

    Return the keys that refused, each with the moment at which it is whole; empty if all is taken.
    """
    # Reading first: what a flood is refused by costs no write.
    if refused := _refused(costs, now):
        return refused
    # In one order, so that two of these never wait for each other.
    ordered = sorted(costs)
    rows = [value for cost in ordered for value in (cost.key, now + cost.cost)]
    latest = [value for cost in ordered for value in (cost.key, now + cost.depth - cost.cost)]
    statement = SPEND.format(
        rows=", ".join(["(%s, %s)"] * len(ordered)),
        latest=" ".join(["WHEN %s THEN %s"] * len(ordered)),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*rows, now, now, *latest])
        taken = {key for (key,) in cursor.fetchall()}
    lost = [cost for cost in ordered if cost.key not in taken]
    if not lost:
        return {}
    # Somebody else was faster at some of them.
    give_back({cost.key: cost.cost for cost in ordered if cost.key in taken})
    found = peek(cost.key for cost in lost)
    return {cost.key: min(found.get(cost.key, now), now + cost.depth) for cost in lost}


def _refused(costs: Sequence[Cost], now: int) -> dict[str, int]:
    found, refused = peek(cost.key for cost in costs), {}
    for cost in costs:
        whole_at, latest = found.get(cost.key, now), now + cost.depth
        if whole_at > latest:
            with connection.cursor() as cursor:
                cursor.execute(CLAMP, [latest, cost.key, latest])
        if whole_at + cost.cost > latest:
            refused[cost.key] = min(whole_at, latest)
    return refused


def peek(keys: Iterable[str]) -> dict[str, int]:
    """Return the moment at which each budget is whole, leaving out those never spent from."""
    wanted = list(keys)
    statement = PEEK.format(keys=", ".join(["%s"] * len(wanted)))
    with connection.cursor() as cursor:
        cursor.execute(statement, wanted)
        return dict(cursor.fetchall())


def give_back(costs: dict[str, int]) -> None:
    """Undo a spend of so many milliseconds on each key, in one statement."""
    if not costs:
        return
    rows = [value for key in sorted(costs) for value in (key, -costs[key])]
    statement = GIVE_BACK.format(rows=", ".join(["(%s, %s)"] * len(costs)))
    with connection.cursor() as cursor:
        cursor.execute(statement, rows)
