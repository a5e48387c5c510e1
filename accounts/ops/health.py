"""Health checks, which report within two seconds whether each dependency of this process works.

A dependency that does not answer could block a request for minutes. Therefore a separate thread
runs the checks, and a request waits at most :data:`PATIENCE` seconds for the results. Results are
reused for :data:`FRESH` seconds, so that frequent requests cost little.

:func:`wait` lets a node wait until another process has migrated the database for its code.
"""

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from hmac import compare_digest
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic

from django.apps import apps
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from accounts.common import database as outages
from accounts.common import metrics
from accounts.common.background import Background
from accounts.mail import services as mail
from accounts.ops import measurements
from accounts.tokens import keyring

log = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0

_missing = {"count": 0}


def missing() -> int:
    """Return how many migrations of this release are not applied.

    There may be more applied migrations, because a newer release may have migrated the database.
    """
    return len(_wanted() - MigrationRecorder(connection).applied_migrations().keys())


def is_waiting() -> bool:
    """Return whether this process waits for migrations, and must not answer requests yet."""
    return _missing["count"] > 0


def wait(start: Callable[[], object]) -> None:
    """Call ``start`` when no migration is missing: now, or later in a thread.

    While migrations are missing, :func:`is_waiting` returns True. If the database cannot be
    queried, it returns False, because requests are then refused anyway.
    """

    def look() -> float:
        count = missing()
        if count:
            if count != _missing["count"]:
                log.warning("Waiting for %s migrations. Run: python manage.py migrate", count)
            _missing["count"] = count
            return PAUSE_SECONDS
        _missing["count"] = 0
        thread.stopping.set()
        start()
        return 0.0

    thread = Background("authsite.migrations", look)
    with suppress(DatabaseError):
        look()
    connection.close()
    if not thread.stopping.is_set():
        thread.start()


@cache
def _wanted() -> set[tuple[str, str]]:
    """Return the app and name of every migration of this release."""
    return set(MigrationLoader(None).disk_migrations)


# Free space is low if it is less than both this many bytes and this share of the disk.
LOW_BYTES = 1 << 30
LOW_SHARE = 0.1
# SQLite needs room for at least a few pages of its write-ahead log.
PROBE = bytes(65536)
WARN_EVERY_SECONDS = 600.0

_warned = {"at": float("-inf")}


def check() -> str:
    """Return ``ok``, ``low`` if the disk is almost full, or ``fails`` if it is full.

    The disk of PostgreSQL is on the database server. The site only knows whether a request of this
    process has just failed because that disk is full.
    """
    database = settings.DATABASES["default"]
    if "sqlite3" in database["ENGINE"]:
        return _room(Path(database["NAME"]).parent)
    return "fails" if outages.was_disk_full() else "ok"


def _room(folder: Path) -> str:
    try:
        # Quotas and limits on the size of files do not show in the free space.
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(PROBE)
    except OSError as error:
        reason = error.strerror
        log.error("The database folder cannot be written: %s", reason)  # noqa: TRY400 no traceback
        return "fails"
    usage = shutil.disk_usage(folder)
    if usage.free >= min(LOW_BYTES, LOW_SHARE * usage.total):
        return "ok"
    if monotonic() > _warned["at"] + WARN_EVERY_SECONDS:
        _warned["at"] = monotonic()
        log.warning("The disk of the database is almost full: %s MB are free", usage.free >> 20)
    return "low"


PATIENCE = 1.8
FRESH = 1.0
# After this many seconds, an unfinished thread is abandoned and another one starts. A lost network
# connection may block a thread forever.
LOST = 30.0
LOCK_MILLISECONDS = 300

OK, LATE, DEGRADED, WAITING, FAILS = "ok", "late", "degraded", "waiting", "fails"
MAIL_LATE_SECONDS = 15 * 60


@contextmanager
def _impatient() -> Iterator[None]:
    """Return a context manager in which waiting for a lock fails soon, within ``PATIENCE``."""
    is_postgresql = connection.vendor == "postgresql"
    with transaction.atomic() if is_postgresql else nullcontext(), connection.cursor() as cursor:
        limit = "SET LOCAL lock_timeout" if is_postgresql else "PRAGMA busy_timeout"
        cursor.execute(f"{limit} = {LOCK_MILLISECONDS}")
        yield


@_impatient()
def _database() -> str:
    """Write a row, because reading would also succeed on a standby server or a full disk."""
    measurements.succeeded("health")
    return OK


@_impatient()
def _migrations() -> str:
    if has_left_provider(MigrationRecorder(connection).applied_migrations()):
        return FAILS
    # This process may still refuse requests because it has not noticed yet that the last migration
    # was applied.
    return WAITING if is_waiting() or missing() else OK


@_impatient()
def _signing_key() -> str:
    return OK if keyring.can_sign() else FAILS


@_impatient()
def _mail() -> str:
    found = mail.delays()
    for queue, seconds in found.items():
        metrics.MAILS_OLDEST.labels(queue.name.lower()).set(seconds)
    if mail.refused().exists():
        return DEGRADED
    return LATE if mail.longest_delay(found) > MAIL_LATE_SECONDS else OK


def _limits() -> str:
    """Check Redis. If it is down, requests are answered, and the database counts rate limits."""
    from accounts.throttle import redis_store  # noqa: PLC0415 its library takes 10 MB

    return OK if redis_store.can_write() else DEGRADED


class Inspection:
    """One run of ``checks``, in a thread that starts immediately.

    ``fresh``: the number of seconds for which the results are reused.
    """

    def __init__(self, checks: Mapping[str, Callable[[], str | None]], fresh: float) -> None:
        self.began = monotonic()
        self.over = Event()
        self._checks, self._fresh = checks, fresh
        self._found = dict.fromkeys(checks, FAILS)
        Thread(target=self._look, name="health", daemon=True).start()

    @property
    def is_stale(self) -> bool:
        """Whether the checks must be run again.

        This is so if their results are old, or if the thread has not finished for a long time.
        """
        return monotonic() > self.began + (self._fresh if self.over.is_set() else LOST)

    def found(self) -> dict[str, str]:
        """Return the results; wait for them until :data:`PATIENCE` seconds after the start.

        A check that has not finished counts as failed.
        """
        self.over.wait(max(0.0, self.began + PATIENCE - monotonic()))
        return dict(self._found)

    def _look(self) -> None:
        try:
            for name, check in self._checks.items():
                try:
                    self._found[name] = check() or OK
                except Exception as error:  # the other checks must still run
                    log.warning("Check %s failed: %s", name, type(error).__name__)
                    # Otherwise a migration that waits for a lock would take every node out of
                    # service.
                    if outages.is_locked(error):
                        self._found[name] = DEGRADED
        finally:
            connections.close_all()
            self.over.set()


def inspect() -> dict[str, str]:
    """Return the result of each check.

    It is ``ok``, ``late``, ``low``, ``degraded``, ``waiting`` or ``fails``.
    """
    found = _inspection("readiness", checks(), FRESH).found()
    for name, word in found.items():
        metrics.READY.labels(name).set(word == OK)
    return found


def is_ready(found: dict[str, str]) -> bool:
    """Return whether this process can serve requests, according to the results ``found``.

    It can unless a check has failed or a migration is missing.
    """
    return {FAILS, WAITING}.isdisjoint(found.values())


def checks() -> dict[str, Callable[[], str]]:
    """Return the checks by name. Checks with their own timeout come first."""
    limits = {"limits": _limits} if settings.AUTHSITE.redis_url else {}
    return {
        **limits,
        "storage": check,
        "database": _database,
        "migrations": _migrations,
        "signing_key": _signing_key,
        "mail": _mail,
    }


def has_left_provider(applied: Iterable[tuple[str, str]]) -> bool:
    """Return whether the OpenID Provider is off although the database has its tables.

    These tables refer to users and sessions, which then cannot be deleted.
    """
    return not apps.is_installed("accounts.oauth") and any(app == "oauth" for app, _ in applied)


_lock = Lock()
_last: dict[str, Inspection] = {}


def _inspection(
    name: str, checks: Mapping[str, Callable[[], str | None]], fresh: float
) -> Inspection:
    """Return the last inspection ``name``, or a new one if the last one is stale."""
    with _lock:
        if name not in _last or _last[name].is_stale:
            _last[name] = Inspection(checks, fresh)
        return _last[name]


RETRY_AFTER = 5


@login_not_required
@require_safe
def live(_request: HttpRequest) -> HttpResponse:
    """Return status 200 without any check: the response itself shows that the process runs."""
    return JsonResponse({"process": OK})


@login_not_required
@require_safe
def ready(_request: HttpRequest) -> HttpResponse:
    """Return the results of the health checks, with status 503 if one has failed.

    The page is public, so the names of the checks do not reveal the software that is used.
    """
    found = inspect()
    if is_ready(found):
        return JsonResponse(found)
    return JsonResponse(found, status=503, headers={"Retry-After": str(RETRY_AFTER)})


@login_not_required
@require_safe
def figures(request: HttpRequest) -> HttpResponse:
    """Return the metrics to clients that send ``METRICS_TOKEN``, and status 404 to all others.

    Clients with a loopback IP address need the token, too. If a proxy on the same host sends no
    forwarding header, every client seems to have such an address.
    """
    given = request.headers.get("Authorization", "").encode()
    token = settings.AUTHSITE.metrics_token
    if not token or not compare_digest(given, f"Bearer {token}".encode()):
        return JsonResponse({"detail": "Not Found.", "code": "not_found"}, status=404)
    counting = _inspection("measurements", measurements.CHECKS, measurements.FRESH)
    inspect()
    counting.found()
    return HttpResponse(metrics.text(), content_type=metrics.CONTENT_TYPE)
