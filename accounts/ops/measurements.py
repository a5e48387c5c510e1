"""Metrics of the database, which all nodes share.

A scrape counts no rows: a thread counts them at most once in :data:`FRESH` seconds.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from django.conf import settings
from django.db import connection

from accounts.common import clock, metrics
from accounts.exports import services as exports
from accounts.mail import services as mail
from accounts.ops.models import LastSuccess
from accounts.sessions import services as sessions

FRESH = 60.0
PRUNE, BACKUP, VERIFY = "prune", "backup", "backup --verify"
# Stands for the last success of a command that has never succeeded, or that has failed since.
NEVER = datetime.fromtimestamp(0, UTC)

# In these views, the site's role sees that other connections exist, but not what they do.
_CONNECTIONS = """
SELECT 'server', (SELECT sum(numbackends) FROM pg_stat_database),
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
  - coalesce(current_setting('reserved_connections', true)::int, 0)
UNION ALL SELECT 'database', numbackends, datconnlimit
  FROM pg_database JOIN pg_stat_database USING (datname)
  WHERE datname = current_database() AND datconnlimit >= 0
UNION ALL SELECT 'role', (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user),
  rolconnlimit FROM pg_roles WHERE rolname = current_user AND rolconnlimit >= 0
"""


class Connections(NamedTuple):
    """The number of open connections, and ``most``, the number that PostgreSQL allows.

    ``limit``: the limit that applies: ``server``, ``database`` or ``role``.
    """

    limit: str
    used: int
    most: int


def connections() -> list[Connections]:
    """Return the connections for each limit of PostgreSQL; an empty list for SQLite."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(_CONNECTIONS)
        return [Connections(limit, int(used), most) for limit, used, most in cursor.fetchall()]


def succeeded(command: str) -> None:
    """Record that ``command`` has just succeeded completely."""
    _store(command, clock.now())


def failed(command: str) -> None:
    """Record that ``command`` has failed, and forget its earlier successes."""
    _store(command, NEVER)


def _store(command: str, at: datetime) -> None:
    row = LastSuccess(command=command, at=at)
    LastSuccess.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["command"], update_fields=["at"]
    )


def successes() -> dict[str, datetime]:
    """Return the time of the last success of each command that must run daily."""
    scheduled = (PRUNE, BACKUP, VERIFY) if settings.AUTHSITE.backup_days else (PRUNE,)
    found = dict(LastSuccess.objects.values_list("command", "at"))
    return {command: found.get(command, NEVER) for command in scheduled}


def count_sessions() -> None:
    """Set the metrics of live sessions by kind."""
    for kind, number in sessions.count_live().items():
        metrics.SESSIONS.labels(kind).set(number)


def count_mails() -> None:
    """Set the metrics of waiting emails by queue, and of refused emails."""
    metrics.MAILS_REFUSED.set(mail.refused().count())
    for queue, number in mail.lengths().items():
        metrics.MAILS_WAITING.labels(queue.name.lower()).set(number)


def count_exports() -> None:
    """Set the metrics of exports that wait to be made: their number, and the age of the oldest."""
    waiting, oldest = exports.QUEUE.waiting()
    metrics.EXPORTS_WAITING.set(waiting)
    metrics.EXPORTS_OLDEST.set(oldest)


def read_successes() -> None:
    """Set the metrics of the last successes of scheduled commands."""
    for command, at in successes().items():
        metrics.LAST_SUCCESS.labels(command).set(at.timestamp())


def count_connections() -> None:
    """Set the metrics of used and allowed connections to PostgreSQL."""
    for limit, used, most in connections():
        metrics.CONNECTIONS.labels(limit).set(used)
        metrics.MOST_CONNECTIONS.labels(limit).set(most)


_ALL = (count_sessions, count_mails, count_exports, read_successes, count_connections)
CHECKS: dict[str, Callable[[], None]] = {each.__name__: each for each in _ALL}
