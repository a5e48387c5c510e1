"""Spending budgets: one statement each, whose answer is the verdict, so parallel tries can't pass.

The algorithm is GCRA: a budget is the moment at which it would be whole again; an act moves that
moment by its interval, unless it would then lie further ahead than the burst allows. Spend before
a transaction opens: what is counted inside one that fails is lost.
"""

import hashlib
import math
from collections.abc import Iterable
from types import ModuleType

from accounts.kernel import clock, metrics
from accounts.kernel.errors import Later
from accounts.throttle import database, shared
from accounts.throttle.limits import Limit

# A limit, and whose budget of it: what :func:`spend` takes.
type Charge = tuple[Limit, *tuple[object, ...]]


def spend(limit: Limit, *subject: object) -> None:
    """Take one act from the budget of ``subject``; :class:`Later` when it is used up."""
    now = _now_ms()
    whole_at = _store().spend(_key(limit, subject), now, limit.interval_ms, limit.depth_ms)
    if whole_at is not None:
        metrics.LIMITS_HIT.labels(limit.name).inc()
        raise Later(_seconds(limit, whole_at, now))


def wait(limit: Limit, *subject: object) -> int:
    """Whole seconds until the next act is allowed; 0 for now. Spends nothing."""
    now = _now_ms()
    whole_at = min(_store().peek(_key(limit, subject)) or now, now + limit.depth_ms)
    return max(0, math.ceil(_seconds(limit, whole_at, now)))


def give_back(*charges: Charge) -> None:
    """Return the acts that a success has spent itself, and nothing of what others spent."""
    costs = {_key(limit, subject): limit.interval_ms for limit, *subject in charges}
    _store().give_back(costs)


def _seconds(limit: Limit, whole_at: int, now: int) -> float:
    return (whole_at + limit.interval_ms - limit.depth_ms - now) / 1000


def _store() -> ModuleType:
    return shared if shared.enabled() else database


def _now_ms() -> int:
    return int(clock.now().timestamp() * 1000)


def _key(limit: Limit, subject: Iterable[object]) -> str:
    """A digest, since people type passwords into the username field."""
    return hashlib.sha256("\0".join(map(str, (limit.name, *subject))).encode()).hexdigest()
