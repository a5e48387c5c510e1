"""Enforces rate limits: counts actions, such as sign-in attempts, and refuses too many of them.

For each client, account or email address, a limit has a budget: the number of actions that are
still allowed. All budgets of an action are checked and reduced in one step, so that parallel
requests cannot exceed the limits. The algorithm is GCRA: a budget is stored as the time at which it
is full again. Each action moves this time ahead by the interval of the limit. An action is refused
if the time would then be further ahead than the burst allows.

Call :func:`spend` before a transaction begins, because a rollback would undo the count.
"""

import hashlib
import math
from collections.abc import Iterable
from types import ModuleType

from django.conf import settings

from accounts.common import clock, metrics
from accounts.common.client_info import ClientInfo
from accounts.common.errors import RateLimited
from accounts.throttle import database_store, refusals
from accounts.throttle.database_store import Cost
from accounts.throttle.limits import Limit

# A limit, followed by the subject that is charged, such as a network or an account.
type Charge = tuple[Limit, *tuple[object, ...]]


def around(limit: Limit, client: ClientInfo) -> list[Charge]:
    """Return a charge of ``limit`` for each network that contains the IP address of ``client``.

    The wider networks have larger limits. A customer of an internet provider who has many IP
    addresses can therefore perform only a few times as many actions as one with a single address.
    """
    return [(limit.times(weight), network) for network, weight in client.networks]


def spend(*charges: Charge) -> None:
    """Count one action against each of the limits ``charges``. If one is reached, count nothing.

    Raises:
        RateLimited: at least one of the limits is reached.
    """
    if reached := _reached(*charges):
        refusals.write_if_due()
        raise RateLimited(max(reached.values()))


def try_spend(*charges: Charge) -> bool:
    """Count one action against each of the limits ``charges``; return False if one is reached.

    In that case, nothing is counted. A refusal takes as long as a success. Use this function
    instead of :func:`spend` if the client must not learn whether a limit is reached, because that
    would reveal something about another person.
    """
    if _reached(*charges):
        # Write as much as after a success, so that the time does not reveal the refusal.
        _store().give_back({_key(limit, subject): 0 for limit, *subject in charges})
        return False
    return True


def _reached(*charges: Charge) -> dict[str, float]:
    """Count one action as :func:`spend` does, or note its refusal in memory.

    Return the limits that are reached, by name, with the seconds until they accept an action.
    """
    now = _now_ms()
    limits = {_key(limit, subject): limit for limit, *subject in charges}
    costs = [Cost(key, limit.interval_ms, limit.depth_ms) for key, limit in limits.items()]
    refused = _store().spend(costs, now)
    reached = {limits[key].name: _seconds(limits[key], refused[key], now) for key in refused}
    refusals.note(reached)
    for name in reached:
        metrics.LIMITS_HIT.labels(name).inc()
    return reached


def wait(*charges: Charge) -> int:
    """Return the seconds after which :func:`spend` would accept ``charges``.

    The result is 0 if ``spend`` would accept them now. Nothing is counted.
    """
    return waits(charges)[0]


def waits(*groups: Iterable[Charge]) -> list[int]:
    """Return the seconds after which :func:`spend` would accept each group of charges.

    The result has one number for each group, in the same order; 0 means now. One query reads the
    budgets of all groups. Nothing is counted.
    """
    now = _now_ms()
    keys = [{_key(limit, subject): limit for limit, *subject in group} for group in groups]
    wanted = {key for group in keys for key in group}
    times = _store().peek(wanted) if wanted else {}
    return [_wait(group, times, now) for group in keys]


def _wait(limits: dict[str, Limit], times: dict[str, int], now: int) -> int:
    seconds = [
        _seconds(limit, min(times[key], now + limit.depth_ms), now)
        for key, limit in limits.items()
        if key in times and times[key] + limit.interval_ms > now + limit.depth_ms
    ]
    return math.ceil(max(seconds, default=0))


def give_back(*charges: Charge) -> None:
    """Undo the count of one action against each of the limits ``charges``."""
    costs = {_key(limit, subject): limit.interval_ms for limit, *subject in charges}
    _store().give_back(costs)


def are_used(*charges: Charge) -> bool:
    """Return whether a budget of ``charges`` is not full."""
    now = _now_ms()
    times = _store().peek({_key(limit, subject) for limit, *subject in charges})
    return any(whole_at > now for whole_at in times.values())


def fill(*charges: Charge) -> None:
    """Fill the budgets of ``charges``."""
    _store().give_back({_key(limit, subject): limit.depth_ms for limit, *subject in charges})


def _seconds(limit: Limit, whole_at: int, now: int) -> float:
    if limit.is_shared:
        return limit.interval_ms / 1000
    return (whole_at + limit.interval_ms - limit.depth_ms - now) / 1000


def _store() -> ModuleType:
    if not settings.AUTHSITE.redis_url:
        return database_store
    from accounts.throttle import redis_store  # noqa: PLC0415 its library takes 10 MB

    return redis_store if redis_store.is_in_use() else database_store


def _now_ms() -> int:
    return int(clock.now().timestamp() * 1000)


def _key(limit: Limit, subject: Iterable[object]) -> str:
    # A digest, because people type passwords into the username field.
    return hashlib.sha256("\0".join(map(str, (limit.name, *subject))).encode()).hexdigest()
