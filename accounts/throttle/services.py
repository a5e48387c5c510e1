"""Enforces rate limits: counts actions, such as sign-in attempts, and refuses too many of them.

For each client, account or email address, a limit has a budget: the number of actions that are
still allowed. All budgets of an action are checked and reduced in one step, so that parallel
requests cannot exceed the limits. The algorithm is GCRA: a budget is stored as the time at which it
is full again. Each action moves this time ahead by the interval of the limit. An action is refused
if the time would then be further ahead than the burst allows.

Call :func:`spend` before a transaction begins, because a rollback would undo the count.
"""

import math
from collections.abc import Iterable
from types import ModuleType

from django.conf import settings

from accounts.common import clock, metrics
from accounts.common.client_info import ClientInfo
from accounts.common.errors import RateLimited
from accounts.throttle import database_store, refusals
from accounts.throttle.limits import REQUEST_EVERYONE, REQUEST_NETWORK, Budget, Limit


def around(limit: Limit, client: ClientInfo, *subject: object) -> list[Budget]:
    """Return the budget of ``subject`` in each network that contains the IP address of ``client``.

    The wider networks have larger limits. A customer of an internet provider who has many IP
    addresses can therefore perform only a few times as many actions as one with a single address.
    """
    return [limit.times(weight).of(*subject, network) for network, weight in client.networks]


def of_sign_up(client: ClientInfo) -> list[Budget]:
    """Return the budgets of a sign-up by ``client``."""
    return [*around(REQUEST_NETWORK, client, "sign-up"), REQUEST_EVERYONE.of("sign-up")]


def check(*budgets: Budget) -> None:
    """Refuse the action if :func:`spend` would refuse it now. Nothing is counted.

    Raises:
        RateLimited: at least one of ``budgets`` is used up.
    """
    now = _now_ms()
    _refuse(_note(_store().refused(_distinct(budgets), now), budgets, now))


def spend(*budgets: Budget, silent: Iterable[Budget] = ()) -> bool:
    """Count one action against each of ``budgets``. If one is used up, count nothing.

    ``silent``: further budgets, about which the client must learn nothing, because that would
        reveal something about another person. The action is counted against all of them or none.
        Both take equally long.

    Return False if one of ``silent`` is used up, otherwise True.

    Raises:
        RateLimited: at least one of ``budgets`` is used up.
    """
    now, silent = _now_ms(), _distinct(silent)
    refused = _store().spend(_distinct(budgets), now, silent)
    _refuse(_note(refused, budgets, now))
    return not _note(refused, silent, now)


def _distinct(budgets: Iterable[Budget]) -> list[Budget]:
    return list(dict.fromkeys(budgets))


def _note(refused: dict[str, int], budgets: Iterable[Budget], now: int) -> dict[str, float]:
    """Note in memory which limits of ``budgets`` are reached.

    Return their names, with the seconds until they accept an action.
    """
    reached = {
        budget.limit.name: _seconds(budget, refused[budget.key], now)
        for budget in budgets
        if budget.key in refused
    }
    refusals.note(reached)
    for name in reached:
        metrics.LIMITS_HIT.labels(name).inc()
    return reached


def _refuse(reached: dict[str, float]) -> None:
    if reached:
        refusals.write_if_due()
        raise RateLimited(max(reached.values()))


def wait(*budgets: Budget) -> int:
    """Return the seconds after which :func:`spend` would accept an action; 0 means now.

    Nothing is counted.
    """
    return waits(budgets)[0]


def waits(*groups: Iterable[Budget]) -> list[int]:
    """Return the seconds after which :func:`spend` would accept each group of budgets.

    The result has one number for each group, in the same order; 0 means now. One query reads the
    budgets of all groups. Nothing is counted.
    """
    now, lists = _now_ms(), [list(group) for group in groups]
    keys = {budget.key for group in lists for budget in group}
    times = _store().peek(keys) if keys else {}
    return [_wait(group, times, now) for group in lists]


def _wait(budgets: list[Budget], times: dict[str, int], now: int) -> int:
    seconds = [
        _seconds(budget, min(times[budget.key], now + budget.depth), now)
        for budget in budgets
        if times.get(budget.key, 0) + budget.cost > now + budget.depth
    ]
    return math.ceil(max(seconds, default=0))


def give_back(*budgets: Budget) -> None:
    """Undo the count of one action against each of ``budgets``."""
    _store().give_back({budget.key: budget.cost for budget in budgets})


def are_used(*budgets: Budget) -> bool:
    """Return whether one of ``budgets`` is not full."""
    times = _store().peek({budget.key for budget in budgets})
    return max(times.values(), default=0) > _now_ms()


def fill(*budgets: Budget) -> None:
    """Fill ``budgets``."""
    _store().give_back({budget.key: budget.depth for budget in budgets})


def _seconds(budget: Budget, whole_at: int, now: int) -> float:
    until = budget.cost if budget.limit.is_shared else whole_at + budget.cost - budget.depth - now
    return until / 1000


def _store() -> ModuleType:
    if not settings.AUTHSITE.redis_url:
        return database_store
    from accounts.throttle import redis_store  # noqa: PLC0415 its library takes 10 MB

    return redis_store if redis_store.is_in_use() else database_store


def _now_ms() -> int:
    return int(clock.now().timestamp() * 1000)
