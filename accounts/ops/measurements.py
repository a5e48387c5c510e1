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
# The time of the last success of a command that has never succeeded, or that has failed since.
NEVER = datetime.fromtimestamp(0, UTC)

# The role of the site sees the connections of others in these views, but not what they do.
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
    """How many connections are open, of the ``most`` that one limit of PostgreSQL allows.

    ``limit``: whose limit it is: ``server``, ``database`` or ``role``.
    """

    limit: str
    used: int
    most: int


def connections() -> list[Connections]:
    """Return the numbers for each limit of PostgreSQL; nothing for SQLite, which has none."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(_CONNECTIONS)
        return [Connections(limit, int(used), most) for limit, used, most in cursor.fetchall()]


def succeeded(command: str) -> None:
    """Note that ``command`` has done all its work now."""
    _store(command, clock.now())


def failed(command: str) -> None:
    """Note that ``command`` has failed, and that its earlier successes prove nothing any longer."""
    _store(command, NEVER)


def _store(command: str, at: datetime) -> None:
    row = LastSuccess(command=command, at=at)
    LastSuccess.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["command"], update_fields=["at"]
    )


def successes() -> dict[str, datetime]:
    """Return when each of the commands that must run daily has last succeeded."""
    scheduled = (PRUNE, BACKUP, VERIFY) if settings.AUTHSITE.backup_days else (PRUNE,)
    found = dict(LastSuccess.objects.values_list("command", "at"))
    return {command: found.get(command, NEVER) for command in scheduled}


def count_sessions() -> None:
    """Set the number of live sessions of each kind."""
    for kind, number in sessions.count_live().items():
        metrics.SESSIONS.labels(kind).set(number)


def count_mails() -> None:
    """Set the number of waiting emails in each queue, and of those that were refused."""
    metrics.MAILS_REFUSED.set(mail.refused().count())
    for queue, number in mail.lengths().items():
        metrics.MAILS_WAITING.labels(queue.name.lower()).set(number)


def count_exports() -> None:
    """Set the number of exports that wait to be made, and the age of the oldest."""
    waiting, oldest = exports.QUEUE.waiting()
    metrics.EXPORTS_WAITING.set(waiting)
    metrics.EXPORTS_OLDEST.set(oldest)


def read_successes() -> None:
    """Set the times at which scheduled commands have last succeeded."""
    for command, at in successes().items():
        metrics.LAST_SUCCESS.labels(command).set(at.timestamp())


def count_connections() -> None:
    """Set how many connections to PostgreSQL are used, and how many there may be."""
    for limit, used, most in connections():
        metrics.CONNECTIONS.labels(limit).set(used)
        metrics.MOST_CONNECTIONS.labels(limit).set(most)


_ALL = (count_sessions, count_mails, count_exports, read_successes, count_connections)
CHECKS: dict[str, Callable[[], None]] = {each.__name__: each for each in _ALL}
