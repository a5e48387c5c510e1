"""Health checks, which report within two seconds whether each dependency of this process works.

A dependency that does not answer could block a request for minutes. Therefore a separate thread
runs the checks, and a request waits at most :data:`PATIENCE` seconds for the results. Results are
reused for :data:`FRESH` seconds, so that frequent requests cost little.
"""

import logging
from collections.abc import Callable, Iterable
from functools import cache
from threading import Event, Lock, Thread
from time import monotonic

from django.apps import apps
from django.conf import settings
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from accounts.common import metrics
from accounts.mail import services as mail
from accounts.ops import storage
from accounts.tokens import keyring

log = logging.getLogger(__name__)

PATIENCE = 1.8
FRESH = 1.0
# The seconds after which an unfinished thread is abandoned and another one starts. A lost network
# may block a thread forever.
LOST = 30.0

OK, LATE, DEGRADED, FAILS = "ok", "late", "degraded", "fails"
MAIL_LATE_SECONDS = 15 * 60


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


def _migrations() -> str:
    """Check that all migrations of this version of the site are applied.

    More migrations may be applied, because a newer version may have migrated the database already.
    """
    applied = MigrationRecorder(connection).applied_migrations().keys()
    return OK if _wanted() <= applied and not has_left_provider(applied) else FAILS


def _mail() -> str:
    found = mail.waiting()
    for queue, (waiting, oldest) in found.items():
        metrics.MAILS_WAITING.labels(queue.name.lower()).set(waiting)
        metrics.MAILS_OLDEST.labels(queue.name.lower()).set(oldest)
    return LATE if max(oldest for _, oldest in found.values()) > MAIL_LATE_SECONDS else OK


def _signing_key() -> str:
    return OK if keyring.can_sign() else FAILS


def _limits() -> str:
    """Check Redis. Without it, requests are answered as usual, and the database counts limits."""
    from accounts.throttle import redis_store  # noqa: PLC0415 its library takes 10 MB

    return OK if redis_store.answers() else DEGRADED


class Inspection:
    """One run of all checks, in a thread that starts immediately."""

    def __init__(self) -> None:
        self.began = monotonic()
        self.over = Event()
        self._found: dict[str, str] = dict.fromkeys(checks(), FAILS)
        Thread(target=self._look, name="health", daemon=True).start()

    @property
    def is_stale(self) -> bool:
        """Whether the checks must be run again.

        They must be if their results are old, or if the thread has not finished for a long time.
        """
        return monotonic() > self.began + (FRESH if self.over.is_set() else LOST)

    def found(self) -> dict[str, str]:
        """Return the results; wait for them until :data:`PATIENCE` seconds after the start.

        A check that has not finished counts as failed.
        """
        self.over.wait(max(0.0, self.began + PATIENCE - monotonic()))
        return dict(self._found)

    def _look(self) -> None:
        try:
            for name, check in checks().items():
                try:
                    self._found[name] = check()
                except Exception as error:  # the other checks must still run
                    log.warning("Readiness check %s failed: %s", name, type(error).__name__)
        finally:
            connections.close_all()
            self.over.set()


def inspect() -> dict[str, str]:
    """Return the result of each check: ``ok``, ``late``, ``low``, ``degraded`` or ``fails``."""
    with _lock:
        if not _last or _last[0].is_stale:
            _last[:] = [Inspection()]
        inspection = _last[0]
    found = inspection.found()
    for name, word in found.items():
        metrics.READY.labels(name).set(word == OK)
    return found


def is_ready(found: dict[str, str]) -> bool:
    """Return whether this process can serve requests, according to the results ``found``.

    No check may have failed. With any other result, the process can serve requests.
    """
    return FAILS not in found.values()


def checks() -> dict[str, Callable[[], str]]:
    """Return the checks by name. Checks that have their own timeout come first."""
    limits = {"limits": _limits} if settings.AUTHSITE.redis_url else {}
    return {
        **limits,
        "storage": storage.check,
        "database": _database,
        "migrations": _migrations,
        "signing_key": _signing_key,
        "mail": _mail,
    }


def has_left_provider(applied: Iterable[tuple[str, str]]) -> bool:
    """Return whether the OpenID Provider is off, but the database has its tables.

    These tables refer to users and sessions, which can then not be deleted.
    """
    return not apps.is_installed("accounts.oauth") and any(app == "oauth" for app, _ in applied)


@cache
def _wanted() -> set[tuple[str, str]]:
    """Return the app and name of every migration of this code."""
    return set(MigrationLoader(None).disk_migrations)


_lock = Lock()
_last: list[Inspection] = []
