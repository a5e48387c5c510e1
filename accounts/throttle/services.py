"""Spends budgets. One step decides whether all of them allow an act, so parallel tries can't pass.

The algorithm is GCRA: a budget is the moment at which it would be whole again; an act moves that
moment by its interval, unless it would then lie further ahead than the burst allows. Spend before
a transaction opens: what is counted inside one that fails is lost.
"""

import hashlib
import math
from collections.abc import Iterable
from types import ModuleType

from accounts.common import clock, metrics
from accounts.common.client_info import ClientInfo
from accounts.common.errors import Later
from accounts.throttle import database_store, redis_store
from accounts.throttle.database_store import Cost
from accounts.throttle.limits import Limit

# A limit, and whose budget of it.
type Charge = tuple[Limit, *tuple[object, ...]]


def around(limit: Limit, client: ClientInfo) -> list[Charge]:
    """Return the charges of ``limit`` for ``client``: one for each network around its address.

    So a line gets a few times what one address gets, however many addresses it has.
    """
    return [(limit.times(weight), network) for network, weight in client.networks]


def spend(*charges: Charge) -> None:
    """Take one act from each budget, or from none.

    Raises:
        Later: at least one of the budgets is used up.
    """
    now = _now_ms()
    limits = {_key(limit, subject): limit for limit, *subject in charges}
    costs = [Cost(key, limit.interval_ms, limit.depth_ms) for key, limit in limits.items()]
    refused = _store().spend(costs, now)
    if refused:
        for key in refused:
            metrics.LIMITS_HIT.labels(limits[key].name).inc()
        raise Later(max(_seconds(limits[key], refused[key], now) for key in refused))


def takes(*charges: Charge) -> bool:
    """Spend ``charges``; return whether that was possible.

    For budgets of which nobody may notice that they are used up: it would tell whose they are.
    """
    try:
        spend(*charges)
    except Later:
        # As much is written as otherwise: time must not tell, either.
        _store().give_back({_key(limit, subject): 0 for limit, *subject in charges})
        return False
    return True


def wait(*charges: Charge) -> int:
    """Return the seconds until :func:`spend` may take ``charges``; 0 for now. Spends nothing."""
    return waits(charges)[0]


def waits(*groups: Iterable[Charge]) -> list[int]:
    """As :func:`wait`, for each of several groups of charges, at the cost of one query."""
    now = _now_ms()
    keys = [{_key(limit, subject): limit for limit, *subject in group} for group in groups]
    wanted = {key for group in keys for key in group}
    found = _store().peek(wanted) if wanted else {}
    return [_wait(group, found, now) for group in keys]


def _wait(limits: dict[str, Limit], found: dict[str, int], now: int) -> int:
    seconds = [
        _seconds(limit, min(found[key], now + limit.depth_ms), now)
        for key, limit in limits.items()
        if key in found and found[key] + limit.interval_ms > now + limit.depth_ms
    ]
    return math.ceil(max(seconds, default=0))


def give_back(*charges: Charge) -> None:
    """Return the acts that a success has spent itself, and nothing of what others spent."""
    costs = {_key(limit, subject): limit.interval_ms for limit, *subject in charges}
    _store().give_back(costs)


def _seconds(limit: Limit, whole_at: int, now: int) -> float:
    if limit.is_shared:
        return limit.interval_ms / 1000
    return (whole_at + limit.interval_ms - limit.depth_ms - now) / 1000


def _store() -> ModuleType:
    return redis_store if redis_store.enabled() else database_store


def _now_ms() -> int:
    return int(clock.now().timestamp() * 1000)


def _key(limit: Limit, subject: Iterable[object]) -> str:
    """A digest, since people type passwords into the username field."""
    return hashlib.sha256("\0".join(map(str, (limit.name, *subject))).encode()).hexdigest()
