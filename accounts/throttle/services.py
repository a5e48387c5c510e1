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
from collections.abc import Iterable, Sequence
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


def check(*charges: Charge) -> None:
    """Refuse the action if :func:`spend` would refuse it now. Nothing is counted.

    Raises:
        RateLimited: at least one of the limits ``charges`` is reached.
    """
    now, costs = _now_ms(), _costs(charges)
    _refuse(_note(_store().refused(costs, now), charges, now))


def spend(*charges: Charge) -> None:
    """Count one action against each of the limits ``charges``. If one is reached, count nothing.

    Raises:
        RateLimited: at least one of the limits is reached.
    """
    try_spend(beside=charges)


def try_spend(*charges: Charge, beside: Sequence[Charge] = ()) -> bool:
    """Count one action against each of the limits ``charges``; return False if one is reached.

    In that case, nothing is counted against them. A refusal takes as long as a success. Use this
    function instead of :func:`spend` if the client must not learn whether a limit is reached,
    because that would reveal something about another person.

    ``beside``: further limits, of which the client may learn. The same statement counts the action
        against them, as :func:`spend` does.

    Raises:
        RateLimited: at least one of the limits ``beside`` is reached. Nothing is counted.
    """
    now = _now_ms()
    refused = _store().spend(_costs(beside), now, _costs(charges))
    _refuse(_note(refused, beside, now))
    return not _note(refused, charges, now)


def _costs(charges: Iterable[Charge]) -> list[Cost]:
    limits = {_key(limit, subject): limit for limit, *subject in charges}
    return [Cost(key, *limit.sizes_ms) for key, limit in limits.items()]


def _note(refused: dict[str, int], charges: Iterable[Charge], now: int) -> dict[str, float]:
    """Note in memory which limits of ``charges`` are reached.

    Return their names, with the seconds until they accept an action.
    """
    if not refused:
        return {}
    limits = {_key(limit, subject): limit for limit, *subject in charges}
    reached = {
        limit.name: _seconds(limit, refused[key], now)
        for key, limit in limits.items()
        if key in refused
    }
    refusals.note(reached)
    for name in reached:
        metrics.LIMITS_HIT.labels(name).inc()
    return reached


def _refuse(reached: dict[str, float]) -> None:
    if reached:
        refusals.write_if_due()
        raise RateLimited(max(reached.values()))


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
