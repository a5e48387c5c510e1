"""Budgets in the database: exact across processes and nodes that share it."""

from django.db import connection

from accounts.throttle.models import Budget

# The row is changed only while the budget allows it, and is returned only when changed.
SPEND = """
INSERT INTO accounts_budget AS b (key, whole_at) VALUES (%(key)s, %(now)s + %(cost)s)
ON CONFLICT (key) DO UPDATE
SET whole_at = CASE WHEN b.whole_at > %(now)s THEN b.whole_at ELSE %(now)s END + %(cost)s
WHERE b.whole_at + %(cost)s <= %(now)s + %(depth)s
RETURNING whole_at
"""
# Further ahead than any budget can be: a node's clock was ahead when it was written.
CLAMP = "UPDATE accounts_budget SET whole_at = %s WHERE key = %s AND whole_at > %s"
GIVE_BACK = """
UPDATE accounts_budget SET whole_at = whole_at - CASE key {cases} END WHERE key IN ({keys})
"""


def spend(key: str, now: int, cost: int, depth: int) -> int | None:
    """None when spent; else the moment at which the budget is whole. All in milliseconds."""
    with connection.cursor() as cursor:
        cursor.execute(SPEND, {"key": key, "now": now, "cost": cost, "depth": depth})
        if cursor.fetchone():
            return None
        whole_at, latest = peek(key) or now, now + depth
        if whole_at > latest:
            cursor.execute(CLAMP, [latest, key, latest])
    return min(whole_at, latest)


def peek(key: str) -> int | None:
    """The moment at which the budget is whole, if it was ever spent from."""
    return Budget.objects.values_list("whole_at", flat=True).filter(key=key).first()


def give_back(costs: dict[str, int]) -> None:
    """Undo a spend of so many milliseconds on each key, in one statement."""
    cases, keys = " ".join(["WHEN %s THEN %s"] * len(costs)), ", ".join(["%s"] * len(costs))
    values = [value for charge in costs.items() for value in charge]
    with connection.cursor() as cursor:
        cursor.execute(GIVE_BACK.format(cases=cases, keys=keys), [*values, *costs])
