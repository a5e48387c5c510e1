"""Checks whether the database has room on its disk."""

import logging
import shutil
import tempfile
from pathlib import Path
from time import monotonic

from django.conf import settings

from accounts.common import outages

log = logging.getLogger(__name__)

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
