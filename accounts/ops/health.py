"""Whether this process can do its work, dependency by dependency, told in two seconds.

What doesn't answer may hang whoever asks it for minutes. So a thread of its own asks, one at a
time, and requests wait for it no longer than :data:`PATIENCE`: a database that is frozen holds up
no more of them than one that is down. What was found just now is told again, so that strangers
who ask all the time cost little.
"""

import logging
from collections.abc import Callable
from functools import cache
from threading import Event, Lock, Thread
from time import monotonic

from django.conf import settings
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from accounts.common import metrics
from accounts.mail import services as mail
from accounts.throttle import redis_store
from accounts.tokens import keyring

log = logging.getLogger(__name__)

PATIENCE = 1.8
FRESH = 1.0
# A thread that is out for so long may never return: its network went away without a word.
LOST = 30.0

OK, LATE, FAILS = "ok", "late", "fails"
MAIL_LATE_SECONDS = 15 * 60


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


def _migrations() -> str:
    """Whether the database has what this code wants. It may have more, during an upgrade."""
    applied = MigrationRecorder(connection).applied_migrations()
    return OK if _wanted() <= applied.keys() else FAILS


def _mail() -> str:
    found = mail.waiting()
    for queue, (waiting, oldest) in found.items():
        metrics.MAILS_WAITING.labels(queue.name.lower()).set(waiting)
        metrics.MAILS_OLDEST.labels(queue.name.lower()).set(oldest)
    return LATE if max(oldest for _, oldest in found.values()) > MAIL_LATE_SECONDS else OK


def _signing_key() -> str:
    return OK if keyring.can_sign() else FAILS


def _limits() -> str:
    redis_store.ping()
    return OK


class Inspection:
    """One look at everything, by a thread that begins when this is made."""

    def __init__(self) -> None:
        self.began = monotonic()
        self.over = Event()
        self._found: dict[str, str] = dict.fromkeys(checks(), FAILS)
        Thread(target=self._look, name="health", daemon=True).start()

    @property
    def is_stale(self) -> bool:
        """Whether another look is due: this one is old, or its thread is lost."""
        return monotonic() > self.began + (FRESH if self.over.is_set() else LOST)

    def found(self) -> dict[str, str]:
        """What was found until :data:`PATIENCE` was over; what wasn't reached by then fails."""
        self.over.wait(max(0.0, self.began + PATIENCE - monotonic()))
        return dict(self._found)

    def _look(self) -> None:
        try:
            for name, check in checks().items():
                try:
                    self._found[name] = check()
                except Exception as error:  # whatever it is, the others are looked at
                    log.warning("Readiness check %s failed: %s", name, type(error).__name__)
        finally:
            connections.close_all()
            self.over.set()


def inspect() -> dict[str, str]:
    """Each dependency, and ``ok``, ``late`` or ``fails``."""
    with _lock:
        if not _last or _last[0].is_stale:
            _last[:] = [Inspection()]
        inspection = _last[0]
    found = inspection.found()
    for name, word in found.items():
        metrics.READY.labels(name).set(word == OK)
    return found


def is_ready(found: dict[str, str]) -> bool:
    """Whether requests may be sent here. Late mails are no reason not to: they keep."""
    return FAILS not in found.values()


def checks() -> dict[str, Callable[[], str]]:
    """Who bounds its own time comes first."""
    limits = {"limits": _limits} if settings.AUTHSITE.redis_url else {}
    return {
        **limits,
        "database": _database,
        "migrations": _migrations,
        "signing_key": _signing_key,
        "mail": _mail,
    }


@cache
def _wanted() -> set[tuple[str, str]]:
    """Every migration of this code: apps and names."""
    return set(MigrationLoader(None).disk_migrations)


_lock = Lock()
_last: list[Inspection] = []
