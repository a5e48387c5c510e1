"""Recognises the errors that mean that the database cannot be used at the moment.

Requests that fail with such an error are answered with 503, because they may succeed later.
"""

import logging
from time import monotonic

from django.db import InterfaceError, InternalError, OperationalError

log = logging.getLogger(__name__)

# Django raises ``InternalError`` for these. PostgreSQL has ended an idle transaction, because this
# process was paused during it, or PostgreSQL has become a standby server, which is read-only.
PASSING = {"25P03", "25006"}
# The error codes of a full disk: that of PostgreSQL, and those of SQLite.
FULL = {"53100", "SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"}
# The seconds for which a full disk is reported after the last error.
REMEMBERED_SECONDS = 4.0

_full = {"until": 0.0}


def is_outage(error: BaseException | None) -> bool:
    """Return whether ``error`` means that the database cannot be used at the moment."""
    if isinstance(error, InternalError):
        return _code(error) in PASSING
    return isinstance(error, OperationalError | InterfaceError)


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether ``error`` means that the disk of the database is full."""
    return _code(error) in FULL


def report(error: BaseException) -> None:
    """Log the cause of an outage in one line, without the statement and its values."""
    cause = next(iter(str(error).splitlines()), "") or type(error).__name__
    if is_disk_full(error):
        _full["until"] = monotonic() + REMEMBERED_SECONDS
        log.error("The disk of the database is full: %s", cause)
    else:
        log.warning("The database cannot be used: %s", cause)


def was_disk_full() -> bool:
    """Return whether this process has reported a full disk within ``REMEMBERED_SECONDS``."""
    return monotonic() < _full["until"]


def _code(error: BaseException | None) -> str:
    cause = error.__cause__ if error else None
    return str(getattr(cause, "sqlstate", "") or getattr(cause, "sqlite_errorname", ""))
