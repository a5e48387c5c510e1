"""Stores the budgets of rate limits in the database, where all processes of the site share them."""

from collections.abc import Iterable, Sequence

from django.db import connection

from accounts.throttle.limits import Budget

# Raw SQL, because the ORM would take most of the time that is needed to refuse a request.
PEEK = "SELECT key, whole_at FROM accounts_storedbudget WHERE key IN ({keys})"
# Changes a row only if its budget allows the cost; returns the keys of the changed rows.
HIT = """
INSERT INTO accounts_storedbudget AS b (key, whole_at) VALUES {rows}
ON CONFLICT (key) DO UPDATE
SET whole_at = CASE WHEN b.whole_at > %s THEN b.whole_at - %s ELSE 0 END + excluded.whole_at
WHERE b.whole_at <= CASE b.key {latest} END
RETURNING key
"""
# Corrects a time that is too far ahead for the budget, because the clock of the node that wrote it
# was wrong. It is unknown how much of the budget was used.
CLAMP = "UPDATE accounts_storedbudget SET whole_at = %s WHERE key = %s AND whole_at > %s"
# The maximum difference in milliseconds between the clocks of nodes. A time further ahead was
# written before a clock was corrected. One action is then allowed at once, so that a limit of one
# action a day does not block anybody for a day. Within this difference, a corrected budget allows
# no action. Otherwise a client that alternates between two nodes could exceed the limit.
SKEW = 300_000
# A missing row is created with a time in the distant past, which means a full budget.
GIVE_BACK = """
INSERT INTO accounts_storedbudget AS b (key, whole_at) VALUES {rows}
ON CONFLICT (key) DO UPDATE SET whole_at = b.whole_at + excluded.whole_at
"""


def hit(budgets: Sequence[Budget], now: int, silent: Sequence[Budget] = ()) -> dict[str, int]:
    """Subtract the cost of an action from all ``budgets``, or from none if one is too small.

    Args:
        budgets: the budgets of the action, without duplicates.
        now: the current time in milliseconds.
        silent: further budgets of the action. If ``budgets`` are large enough, the cost is
            subtracted from all of these, or from none if one is too small. Both take equally
            long.

    Returns:
        An empty dict if the action was counted everywhere. Otherwise, a dict that maps the key of
        each budget that is too small to the time, in milliseconds, at which that budget is full
        again at the latest. If it contains keys of ``budgets``, it contains no others.
    """
    # Reading first means that refusing a flood of requests costs no writes.
    times = refused([*budgets, *silent], now)
    if told := {budget.key: times[budget.key] for budget in budgets if budget.key in times}:
        return told
    if times:
        # Write as much as in the case of success, so that the time does not reveal the refusal.
        silent = [budget._replace(cost=0) for budget in silent]
    taken = _take([*budgets, *silent], now)
    # Other processes may have used up some of the budgets in the meantime.
    for part, undone in ((budgets, [*budgets, *silent]), (silent, silent)):
        if lost := [budget for budget in part if budget.key not in taken]:
            give_back({budget.key: budget.cost for budget in undone if budget.key in taken})
            return {budget.key: now + budget.depth for budget in lost}
    return times


def _take(budgets: Iterable[Budget], now: int) -> set[str]:
    """Subtract the cost from each budget that is large enough; return the keys of these budgets."""
    # The order prevents deadlocks between two transactions.
    ordered = sorted(budgets)
    rows = [value for budget in ordered for value in (budget.key, now + budget.cost)]
    latest = [value for b in ordered for value in (b.key, now + b.depth - b.cost)]
    statement = HIT.format(
        rows=", ".join(["(%s, %s)"] * len(ordered)),
        latest=" ".join(["WHEN %s THEN %s"] * len(ordered)),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*rows, now, now, *latest])
        return {key for (key,) in cursor.fetchall()}


def refused(budgets: Sequence[Budget], now: int) -> dict[str, int]:
    """Return which of ``budgets`` are too small for the action; subtract nothing.

    The result maps their keys to the times, in milliseconds, at which they are full again.
    """
    times, small = peek(budget.key for budget in budgets), {}
    for budget in budgets:
        whole_at, latest = times.get(budget.key, now), now + budget.depth
        if whole_at > latest:
            whole_at = latest - budget.cost if whole_at > latest + SKEW else latest
            with connection.cursor() as cursor:
                cursor.execute(CLAMP, [whole_at, budget.key, latest])
        if whole_at + budget.cost > latest:
            small[budget.key] = whole_at
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
    """Add costs back to budgets. ``costs`` maps the keys of the budgets to milliseconds."""
    if not costs:
        return
    rows = [value for key in sorted(costs) for value in (key, -costs[key])]
    statement = GIVE_BACK.format(rows=", ".join(["(%s, %s)"] * len(costs)))
    with connection.cursor() as cursor:
        cursor.execute(statement, rows)
