"""Lets a node wait until another process has migrated the database for the code of the node."""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import cache

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from accounts.common.background import Background

log = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0

_missing = {"count": 0}


def missing() -> int:
    """Return how many migrations of this code are not applied.

    More migrations may be applied, because a newer version may have migrated the database already.
    """
    return len(_wanted() - MigrationRecorder(connection).applied_migrations().keys())


def is_waiting() -> bool:
    """Return whether this process waits for migrations, and must not answer requests yet."""
    return _missing["count"] > 0


def wait(start: Callable[[], object]) -> None:
    """Call ``start`` once no migration is missing: now, or later in a thread.

    While migrations are missing, :func:`is_waiting` returns True. It does not if the database
    cannot be asked, because requests are then refused for that reason.
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
    """Return the app and name of every migration of this code."""
    return set(MigrationLoader(None).disk_migrations)
