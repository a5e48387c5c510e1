"""Enforces rate limits: counts actions, such as sign-in attempts, and refuses too many of them.

For each client, account or email address, a limit has a budget: the number of actions that are
still allowed. All budgets of an action are checked and reduced in one step, so that parallel
requests cannot exceed the limits. The algorithm is GCRA: a budget is stored as the time at which it
is full again. Each action moves this time ahead by the interval of the limit. An action is refused
if the time would then be further ahead than the burst allows.

Call :func:`hit` before a transaction begins, because a rollback would undo the count.

A flood of refused requests must not become a flood of writes. Each process therefore collects its
refusals in memory, and writes them at most every five seconds, when it next refuses an action
openly, or shows the counts. A refusal that the client must not notice causes no write, because the
time would reveal it. If a process is killed, its unwritten refusals are lost.

A mailbox gets at most six emails a day that strangers cause, and at most two that were requested
from the same internet connection (a *line*, see ``throttle.limits``). Clients do not learn when
these limits are reached, because that would reveal which usernames and email addresses share a
mailbox. A client learns only that it has requested too many emails itself. Known browsers and
signed-in users have their own budgets, so that strangers cannot stop the emails to a mailbox for
them.
"""

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, timedelta
from threading import Lock
from types import ModuleType
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Sum
from django.db.models.functions import Trunc

from accounts.common import clock, metrics
from accounts.common.client_info import ClientInfo
from accounts.common.database import P, PreparedQuery
from accounts.common.errors import RateLimited
from accounts.throttle import database_store
from accounts.throttle.limits import (
    MAIL_BOX,
    MAIL_MEMBERS,
    MAIL_SUBSCRIBER,
    REQUEST_EVERYONE,
    REQUEST_NETWORK,
    Budget,
    Limit,
)
from accounts.throttle.models import FamiliarPlace, Refusals
from accounts.users import emails

RECORD_LIFE = timedelta(days=90)
RENEW = timedelta(days=60)

_NOTED = PreparedQuery(lambda: FamiliarPlace.objects.filter(key=P("key"), until__gt=P("now")))


_own: ContextVar[dict[Budget, int] | None] = ContextVar("own budgets", default=None)


def find_record(account: object, source: str) -> FamiliarPlace | None:
    """Return the record of sign-ins to ``account`` from ``source``, or None if there is none.

    ``source`` is any text that identifies a network or client. A record expires 60 to 90 days after
    the last sign-in.
    """
    return _NOTED.first(key=_key(account, source), now=clock.now())


def remember(owner: UUID, account: object, source: str, noted: FamiliarPlace | None) -> None:
    """Record a sign-in of the user with the id ``owner`` to ``account`` from ``source``.

    ``noted``: the result of :func:`find_record`. A record is renewed only if it is older than a
        month, so that most sign-ins need no write.
    """
    if noted is None or noted.until < clock.now() + RENEW:
        until = clock.now() + RECORD_LIFE
        FamiliarPlace.objects.bulk_create(
            [FamiliarPlace(key=_key(account, source), until=until, owner=owner)],
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["until"],
        )


def remember_once(account: UUID, source: str) -> bool:
    """Record a sign-in of ``account`` from ``source``; return False if it was already recorded.

    Of several simultaneous calls, exactly one returns True. The record expires after a day.
    """
    until = clock.now() + timedelta(days=1)
    key = _key(account, source)
    return FamiliarPlace.objects.get_or_create(
        key=key, defaults={"until": until, "owner": account}
    )[1]


def _key(account: object, source: str) -> str:
    return hashlib.sha256(f"{account}\0{source}".encode()).hexdigest()


log = logging.getLogger(__name__)

WRITE_EVERY = timedelta(seconds=5)
LIFE = timedelta(days=400)
# A single statement, so that simultaneous processes lose no refusal.
ADD = """
INSERT INTO accounts_refusals AS r (day, "limit", count) VALUES {rows}
ON CONFLICT (day, "limit") DO UPDATE SET count = r.count + excluded.count
"""

_lock = Lock()
_unwritten: Counter[tuple[date, str]] = Counter()
_written_at = clock.now() - WRITE_EVERY


def note(names: Iterable[str]) -> None:
    """Record in memory that each of the limits ``names`` has just refused an action."""
    day = clock.now().date()
    with _lock:
        _unwritten.update((day, name) for name in names)


def write() -> None:
    """Write the refusals that this process has recorded in memory.

    Call this outside of transactions.
    """
    global _written_at
    with _lock:
        noted, _written_at = dict(_unwritten), clock.now()
        _unwritten.clear()
    if not noted:
        return
    # The order prevents deadlocks between two processes.
    rows = [value for key in sorted(noted) for value in (*key, noted[key])]
    try:
        with connection.cursor() as cursor:
            cursor.execute(ADD.format(rows=", ".join(["(%s, %s, %s)"] * len(noted))), rows)
    except DatabaseError:
        # Counting must not make a request fail.
        log.warning("Refusals could not be written", exc_info=True)
        with _lock:
            _unwritten.update(noted)


def counts(since: date, span: str) -> Iterable[tuple[date, str, int]]:
    """Return the number of refused actions by period and limit, since ``since``.

    Each item contains the first day of the period, the name of the limit and the number.

    ``span``: the length of a period: ``day``, ``week`` or ``month``.
    """
    write()
    start = Trunc("day", span)
    rows = Refusals.objects.filter(day__gte=since).values_list(start, "limit")
    return rows.annotate(Sum("count"))


def prune() -> int:
    """Delete counts that are older than 400 days; return how many were deleted."""
    return Refusals.objects.filter(day__lt=clock.now().date() - LIFE).delete()[0]


def around(limit: Limit, client: ClientInfo, *subject: object) -> list[Budget]:
    """Return the budgets of ``subject`` for all networks around the IP address of ``client``.

    The wider networks have larger limits. A customer of an internet provider who has many IP
    addresses can therefore perform only a few times as many actions as one with a single address.
    """
    return [limit.times(weight).of(*subject, network) for network, weight in client.networks]


def of_sign_up(client: ClientInfo) -> list[Budget]:
    """Return the budgets of a sign-up by ``client``."""
    return [*around(REQUEST_NETWORK, client, "sign-up"), REQUEST_EVERYONE.of("sign-up")]


def check(*budgets: Budget) -> None:
    """Require that :func:`hit` would allow the action now. Nothing is counted.

    Raises:
        RateLimited: at least one of ``budgets`` is used up.
    """
    now = _now_ms()
    _refuse(_note(_store().refused(_distinct(budgets), now), budgets, now))


def hit(*budgets: Budget, silent: Iterable[Budget] = ()) -> bool:
    """Count one action against each of ``budgets``. If one is used up, count nothing.

    ``silent``: further budgets, about which the client must learn nothing, because that would
        reveal something about another person. If one of them is used up, the action is counted
        only against ``budgets``. Both cases take equally long.

    Return False if one of ``silent`` is used up, otherwise True.

    Raises:
        RateLimited: at least one of ``budgets`` is used up.
    """
    now, silent = _now_ms(), _distinct(silent)
    refused = _store().hit(_distinct(budgets), now, silent)
    _note_own(budgets)
    _refuse(_note(refused, budgets, now))
    return not _note(refused, silent, now)


@contextmanager
def own_levels() -> Iterator[dict[Budget, int]]:
    """Return a context manager that collects the own budgets of the caller in :func:`hit`.

    The value of a budget is the time in milliseconds after which it is full again.
    """
    levels: dict[Budget, int] = {}
    token = _own.set(levels)
    try:
        yield levels
    finally:
        _own.reset(token)


def _note_own(budgets: Iterable[Budget]) -> None:
    levels = _own.get()
    if levels is not None:
        own = [budget for budget in budgets if budget.limit.is_own]
        missing = Levels(*own).missing
        levels |= {budget: missing(budget) for budget in own}


def rate_limit_headers(levels: Mapping[Budget, int]) -> dict[str, str]:
    """Return the rate limit headers for ``levels`` (draft-ietf-httpapi-ratelimit-headers-10).

    In ``RateLimit-Policy``, ``q`` is the size of the budget and ``w`` the seconds in which an empty
    one fills up. In ``RateLimit``, ``r`` is the remaining number of actions and ``t`` the seconds
    until the budget is full.
    """
    if not levels:
        return {}
    policies, rests = [], []
    for budget, missing in levels.items():
        name, size = f'"{budget.limit.name}"', budget.depth // budget.cost
        policies.append(f"{name};q={size};w={math.ceil(budget.depth / 1000)}")
        left = max(0, (budget.depth - missing) // budget.cost)
        rests.append(f"{name};r={left};t={math.ceil(missing / 1000)}")
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(rests)}


def _distinct(budgets: Iterable[Budget]) -> list[Budget]:
    return list(dict.fromkeys(budgets))


def _note(refused: dict[str, int], budgets: Iterable[Budget], now: int) -> dict[str, float]:
    """Record in memory which limits of ``budgets`` are reached.

    Return their names, with the seconds until they allow an action.
    """
    reached = {
        budget.limit.name: _seconds(budget, refused[budget.key] - now)
        for budget in budgets
        if budget.key in refused
    }
    note(reached)
    for name in reached:
        metrics.LIMITS_HIT.labels(name).inc()
    return reached


def _refuse(reached: dict[str, float]) -> None:
    if reached:
        if abs(clock.now() - _written_at) >= WRITE_EVERY:
            write()
        raise RateLimited(max(reached.values()))


def wait(*budgets: Budget) -> int:
    """Return the number of seconds until ``budgets`` allow an action; 0 means now.

    Nothing is counted.
    """
    return Levels(*budgets).wait(budgets)


class Levels:
    """The levels of ``budgets``, read with one query. Nothing is counted."""

    def __init__(self, *budgets: Budget) -> None:
        self._now, keys = _now_ms(), {budget.key for budget in budgets}
        self._times: dict[str, int] = _store().peek(keys) if keys else {}

    def missing(self, budget: Budget) -> int:
        """Return the number of milliseconds after which ``budget`` is full again."""
        return max(0, self._times.get(budget.key, 0) - self._now)

    def wait(self, budgets: Iterable[Budget]) -> int:
        """Return the number of seconds after which ``budgets`` allow an action; 0 means now."""
        seconds = [
            _seconds(budget, min(missing, budget.depth))
            for budget in budgets
            if (missing := self.missing(budget)) + budget.cost > budget.depth
        ]
        return math.ceil(max(seconds, default=0))

    def are_used(self, budgets: Iterable[Budget]) -> bool:
        """Return whether one of ``budgets`` is not full."""
        return any(map(self.missing, budgets))


def give_back(*budgets: Budget) -> None:
    """Undo the count of one action against each of ``budgets``."""
    _store().give_back({budget.key: budget.cost for budget in budgets})


def fill(*budgets: Budget) -> None:
    """Reset each of ``budgets`` to its full size."""
    _store().give_back({budget.key: budget.depth for budget in budgets})


def _seconds(budget: Budget, missing: int) -> float:
    until = budget.cost if budget.limit.is_shared else missing + budget.cost - budget.depth
    return until / 1000


def _store() -> ModuleType:
    if not settings.AUTHSITE.redis_url:
        return database_store
    from accounts.throttle import redis_store  # noqa: PLC0415 its library takes 10 MB

    return redis_store if redis_store.is_in_use() else database_store


def _now_ms() -> int:
    return int(clock.now().timestamp() * 1000)


def of_request(key: str, client: ClientInfo) -> Budget:
    """Return the budget of emails to one mailbox that one internet connection may request.

    A client may learn that it is used up, because only requests from the client's own
    internet connection count.

    Args:
        key: the username or email address that the client has typed.
        client: the client that requests the email.
    """
    return MAIL_SUBSCRIBER.of(emails.mailbox(key), client.wide_network)


def may_send(key: str, client: ClientInfo, *, is_known: bool = False) -> bool:
    """Count an email to a mailbox, and return whether the email may be sent.

    Args:
        key: the email address of the recipient. If no account has the username or email address
            that the client has typed, pass the typed text, so that the response takes equally long.
        client: the client that requests the email.
        is_known: whether the owner of the mailbox has signed in with the API client ``client``.
            Then only the budget of its line counts, which strangers elsewhere do not use up.
    """
    of_line, of_box = of_mailbox(key, client)
    return hit(silent=[of_line] if is_known else [of_line, of_box])


def of_person(person: UUID, key: str) -> list[Budget]:
    """Return the rate limits for emails that a signed-in user causes by adding an address.

    The first limit is for ``person``, who may learn that it is reached. The second one is for all
    signed-in users together.

    Args:
        person: the id of the user.
        key: the canonical form of the email address.
    """
    box = emails.mailbox(key)
    return [MAIL_SUBSCRIBER.of("person", person, box), MAIL_MEMBERS.of(box)]


def refund(key: str, client: ClientInfo, *typed: str) -> None:
    """Undo the counts of :func:`may_send` and of a hit of :func:`of_request` for an email.

    Call this if the recipient has used the email, or if it could not be sent.

    Args:
        key: the email address of the recipient.
        client: the client that has used or requested the email.
        typed: the usernames and email addresses with which the email may have been requested.
    """
    give_back(*(of_request(name, client) for name in typed), *of_mailbox(key, client))


def of_mailbox(key: str, client: ClientInfo) -> list[Budget]:
    """Return the budgets of the mailbox ``key`` for emails that ``client`` requests."""
    box = emails.mailbox(key)
    return [MAIL_SUBSCRIBER.of("mailbox", box, client.wide_network), MAIL_BOX.of(box)]
