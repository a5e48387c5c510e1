"""Stores the budgets of rate limits in the database, where all processes of the site share them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db import connection

# Raw SQL, because the ORM would account for most of the time that it takes to refuse a request.
PEEK = "SELECT key, whole_at FROM accounts_budget WHERE key IN ({keys})"
# Changes a row only if its budget allows the cost, and returns the keys of the changed rows.
SPEND = """
INSERT INTO accounts_budget AS b (key, whole_at) VALUES {rows}
ON CONFLICT (key) DO UPDATE
SET whole_at = CASE WHEN b.whole_at > %s THEN b.whole_at - %s ELSE 0 END + excluded.whole_at
WHERE b.whole_at <= CASE b.key {latest} END
RETURNING key
"""
# Corrects a time that is too far ahead for the budget, because a node with a wrong clock wrote it.
# Nobody knows how much of the budget was used.
CLAMP = "UPDATE accounts_budget SET whole_at = %s WHERE key = %s AND whole_at > %s"
# The milliseconds by which the clocks of nodes may differ. A time further ahead was written before
# a clock was set right. One action is then possible at once, so that nobody stays blocked for a day
# by a limit of one action a day. Within this difference, a corrected budget has room for nothing:
# otherwise a client that alternates between two nodes could exceed the limit.
SKEW = 300_000
# A missing row is created with a time in the distant past, which means a full budget.
GIVE_BACK = """
INSERT INTO accounts_budget AS b (key, whole_at) VALUES {rows}
ON CONFLICT (key) DO UPDATE SET whole_at = b.whole_at + excluded.whole_at
"""


class Cost(NamedTuple):
    """What one action costs in one budget.

    Attributes:
        key: the key of the budget.
        cost: the cost of the action in milliseconds.
        depth: the size of the full budget in milliseconds.
    """

    key: str
    cost: int
    depth: int


def spend(costs: Sequence[Cost], now: int, quiet: Sequence[Cost] = ()) -> dict[str, int]:
    """Take all ``costs`` from their budgets, or none if one budget is too small.

    Args:
        costs: the costs of an action, at most one for each budget.
        now: the current time in milliseconds.
        quiet: further costs of the action. If ``costs`` are taken, then all of these are taken, or
            none if one budget is too small. Both take equally long.

    Returns:
        An empty dict if all costs were taken. Otherwise, a dict that maps the key of each budget
        that is too small to the time, in milliseconds, at which that budget is full again. If it
        contains keys of ``costs``, it contains no others.
    """
    # Read first, so that refusing a flood of requests costs no write.
    times = refused([*costs, *quiet], now)
    if loud := {cost.key: times[cost.key] for cost in costs if cost.key in times}:
        return loud
    if times:
        # Write as much as after a success, so that the time does not reveal the refusal.
        quiet = [cost._replace(cost=0) for cost in quiet]
    taken = _take([*costs, *quiet], now)
    # Other processes may have used up some of the budgets in the meantime.
    for part, undone in ((costs, [*costs, *quiet]), (quiet, quiet)):
        if lost := [cost for cost in part if cost.key not in taken]:
            give_back({cost.key: cost.cost for cost in undone if cost.key in taken})
            later = peek(cost.key for cost in lost)
            return {cost.key: min(later.get(cost.key, now), now + cost.depth) for cost in lost}
    return times


def _take(costs: Iterable[Cost], now: int) -> set[str]:
    """Take each cost for which its budget is large enough; return the keys of these budgets."""
    # Sorted, so that two transactions cannot deadlock.
    ordered = sorted(costs)
    rows = [value for cost in ordered for value in (cost.key, now + cost.cost)]
    latest = [value for cost in ordered for value in (cost.key, now + cost.depth - cost.cost)]
    statement = SPEND.format(
        rows=", ".join(["(%s, %s)"] * len(ordered)),
        latest=" ".join(["WHEN %s THEN %s"] * len(ordered)),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*rows, now, now, *latest])
        return {key for (key,) in cursor.fetchall()}


def refused(costs: Sequence[Cost], now: int) -> dict[str, int]:
    """Return the budgets that are too small for ``costs``, as :func:`spend` does.

    Nothing is taken.
    """
    times, small = peek(cost.key for cost in costs), {}
    for cost in costs:
        whole_at, latest = times.get(cost.key, now), now + cost.depth
        if whole_at > latest:
            whole_at = latest - cost.cost if whole_at > latest + SKEW else latest
            with connection.cursor() as cursor:
                cursor.execute(CLAMP, [whole_at, cost.key, latest])
        if whole_at + cost.cost > latest:
            small[cost.key] = whole_at
    return small


def peek(keys: Iterable[str]) -> dict[str, int]:
    """Return the time at which each budget is full again, in milliseconds, by the budget's key.

    Budgets that have never been used are left out.
    """
    wanted = list(keys)
    statement = PEEK.format(keys=", ".join(["%s"] * len(wanted)))
    with connection.cursor() as cursor:
        cursor.execute(statement, wanted)
        return dict(cursor.fetchall())


def give_back(costs: dict[str, int]) -> None:
    """Give ``costs`` back to the budgets. It maps budget keys to costs in milliseconds."""
    if not costs:
        return
    rows = [value for key in sorted(costs) for value in (key, -costs[key])]
    statement = GIVE_BACK.format(rows=", ".join(["(%s, %s)"] * len(costs)))
    with connection.cursor() as cursor:
        cursor.execute(statement, rows)
