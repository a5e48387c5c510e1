"""Budgets in Redis, for several nodes. If Redis doesn't answer, the database counts instead:
a limit that is lost with its store would be no limit."""

import logging
from functools import lru_cache
from time import monotonic
from typing import cast

from django.conf import settings
from redis import Redis, RedisError

from accounts.throttle import database

log = logging.getLogger(__name__)

SPEND = """
local now, latest = tonumber(ARGV[1]), ARGV[1] + ARGV[3]
local kept = tonumber(redis.call('GET', KEYS[1]) or '0')
local whole = math.max(math.min(kept, latest), now)
if kept > latest then
  redis.call('SET', KEYS[1], string.format('%.0f', latest), 'PX', ARGV[3])
end
local after = whole + tonumber(ARGV[2])
if after > latest then return whole end
local life = string.format('%.0f', after - now)
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', life)
return false
"""
GIVE_BACK = """
for i, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then redis.call('DECRBY', key, ARGV[i]) end
end
"""
TIMEOUT_SECONDS = 0.5


REST_SECONDS = 5.0

# Until when Redis is left alone, on the monotonic clock.
_resting = {"until": 0.0}


def enabled() -> bool:
    """Whether a Redis is configured, and has not just failed: each try would cost its timeout."""
    return bool(settings.AUTHSITE.redis_url) and monotonic() >= _resting["until"]


def spend(key: str, now: int, cost: int, depth: int) -> int | None:
    """As :func:`accounts.throttle.database.spend`."""
    try:
        verdict = _client().eval(SPEND, 1, f"budget:{key}", now, cost, depth)
    except RedisError:
        _rest()
        return database.spend(key, now, cost, depth)
    return cast("int | None", verdict)


def peek(key: str) -> int | None:
    """As :func:`accounts.throttle.database.peek`."""
    try:
        whole_at = _client().get(f"budget:{key}")
    except RedisError:
        _rest()
        return database.peek(key)
    return int(whole_at) if whole_at else None


def give_back(costs: dict[str, int]) -> None:
    """As :func:`accounts.throttle.database.give_back`."""
    keys = [f"budget:{key}" for key in costs]
    try:
        _client().eval(GIVE_BACK, len(keys), *keys, *costs.values())
    except RedisError:
        _rest()
        database.give_back(costs)


def ping() -> None:
    """``RedisError`` if Redis doesn't answer."""
    _client().ping()


def _rest() -> None:
    log.warning("Redis does not answer; the database counts for %s s", REST_SECONDS)
    _resting["until"] = monotonic() + REST_SECONDS


def _client() -> Redis:
    return _connect(settings.AUTHSITE.redis_url)


@lru_cache(maxsize=1)
def _connect(url: str) -> Redis:
    return Redis.from_url(
        url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
    )
