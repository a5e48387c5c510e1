"""Stores the budgets of rate limits in Redis, which several nodes can share.

If Redis does not respond, the budgets in the database are used instead, so that the limits also
apply during an outage of Redis.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache, wraps
from time import monotonic
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from django.conf import settings
from redis import Redis, RedisError
from redis.sentinel import Sentinel

from accounts.common.setting_parsers import SENTINELS
from accounts.throttle import database_store
from accounts.throttle.database_store import SKEW
from accounts.throttle.limits import Budget

log = logging.getLogger(__name__)

HIT = """
local now, after, refused = tonumber(ARGV[1]), {}, {}
for i, key in ipairs(KEYS) do
  local cost, depth = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local latest, kept = now + depth, tonumber(redis.call('GET', key) or '0')
  if kept > latest then
    kept = kept > latest + SKEW and latest - cost or latest
    redis.call('SET', key, string.format('%.0f', kept), 'PX', depth)
  end
  local whole = math.max(kept, now)
  after[i] = whole + cost
  if after[i] > latest then
    table.insert(refused, i)
    table.insert(refused, whole)
  end
end
if #refused > 0 or ARGV[#ARGV] == '0' then return refused end
for i, key in ipairs(KEYS) do
  -- Redis refuses a life of 0, which an unused budget would have without a cost.
  local life = string.format('%.0f', math.max(after[i] - now, 1))
  redis.call('SET', key, string.format('%.0f', after[i]), 'PX', life)
end
return refused
""".replace("SKEW", str(SKEW))
GIVE_BACK = """
for i, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then redis.call('DECRBY', key, ARGV[i]) end
end
"""
TIMEOUT_SECONDS = 0.5
REST_SECONDS = 5.0

# After a failure, Redis is not used until this time of the monotonic clock.
_resting = {"until": 0.0}


def is_in_use() -> bool:
    """Return whether Redis is used: it has not failed in the last few seconds.

    After a failure, Redis is not used for a few seconds, because each attempt would wait for a
    timeout.
    """
    return monotonic() >= _resting["until"]


def _or_in_database[R](function: Callable[..., R]) -> Callable[..., R]:
    """Decorate a function: if Redis fails, its namesake in ``database_store`` is called."""

    @wraps(function)
    def call(*args: Any) -> R:
        try:
            return function(*args)
        except RedisError:
            log.warning("Redis does not answer; the database counts limits for %s s", REST_SECONDS)
            _resting["until"] = monotonic() + REST_SECONDS
            return cast(R, getattr(database_store, function.__name__)(*args))

    return call


@_or_in_database
def hit(budgets: Sequence[Budget], now: int, silent: Sequence[Budget] = ()) -> dict[str, int]:
    """Subtract the cost of an action from all ``budgets``, or from none if one is too small.

    The arguments and the result are the same as for ``database_store.hit``.
    """
    small = _run(budgets, now)
    if small or not silent:
        return small
    small = _run(silent, now)
    # This changes nothing if there was no refusal, and takes equally long.
    _run([budget._replace(cost=0) for budget in silent], now)
    return small


@_or_in_database
def refused(budgets: Sequence[Budget], now: int) -> dict[str, int]:
    """Return which of ``budgets`` are too small, as ``database_store.refused`` does."""
    return _run(budgets, now, takes=False)


def _run(budgets: Sequence[Budget], now: int, *, takes: bool = True) -> dict[str, int]:
    keys = [_key(budget.key) for budget in budgets]
    values = [value for budget in budgets for value in (budget.cost, budget.depth)]
    small = cast("list[int]", _client().eval(HIT, len(keys), *keys, now, *values, int(takes)))
    return {budgets[i - 1].key: moment for i, moment in zip(small[::2], small[1::2], strict=True)}


@_or_in_database
def peek(keys: Collection[str]) -> dict[str, int]:
    """Return the time at which each budget is full again, in milliseconds, by the budget's key.

    Budgets that have never been used are left out.
    """
    values = cast("list[Any]", _client().mget([_key(key) for key in keys]))
    return {key: int(value) for key, value in zip(keys, values, strict=True) if value}


@_or_in_database
def give_back(costs: dict[str, int]) -> None:
    """Add costs back to budgets. ``costs`` maps the keys of the budgets to milliseconds."""
    if costs:
        keys = [_key(key) for key in costs]
        _client().eval(GIVE_BACK, len(keys), *keys, *costs.values())


def can_write() -> bool:
    """Return whether Redis accepts writes; if it does not, log a warning.

    A replica does not, nor does a server without memory for more keys.
    """
    try:
        _client().set(_key("health"), 1, px=1000)
    except RedisError as error:
        log.warning(
            "REDIS_URL: Redis cannot be used (%s); the database counts limits until it can",
            type(error).__name__,
        )
        return False
    return True


def problems() -> Iterator[str]:
    """Yield ``evicts`` if Redis deletes keys when its memory is full.

    Yield ``shared`` if another program, which may delete all keys, uses the same database.
    """
    memory = _client().info("memory")
    if memory.get("maxmemory") and memory.get("maxmemory_policy") != "noeviction":
        yield "evicts"
    _cursor, found = cast("tuple[int, list[bytes]]", _client().scan(count=1000))
    # Releases before 1.1 wrote keys without the origin.
    own = (_key("").encode(), b"budget:")
    if not all(key.startswith(own) for key in found):
        yield "shared"


def _key(name: str) -> str:
    """Return the key of the budget ``name``, with the origin: other sites may use the database."""
    return f"{settings.AUTHSITE.origin}:budget:{name}"


def _client() -> Redis:
    return _connect(settings.AUTHSITE.redis_url)


@lru_cache(maxsize=1)
def _connect(url: str) -> Redis:
    limits: dict[str, Any] = dict.fromkeys(
        ("socket_timeout", "socket_connect_timeout"), TIMEOUT_SECONDS
    )
    found = SENTINELS.fullmatch(url)
    if not found:
        return Redis.from_url(url, **limits)
    hosts = [urlsplit(f"//{host}") for host in found["hosts"].split(",")]
    limits["ssl"] = bool(found["tls"])
    sentinels = [(host.hostname, host.port or 26379) for host in hosts]
    # Each new connection asks the Sentinels which server is the master.
    master = cast(Any, Sentinel)(sentinels, sentinel_kwargs=limits, **limits).master_for(
        found["service"],
        username=unquote(found["user"] or "") or None,
        password=unquote(found["password"] or "") or None,
        db=int(found["db"] or 0),
    )
    return cast(Redis, master)
