"""Erases accounts: first all rows in one transaction, then data outside of the rows.

The transaction writes a row of ``Erasure``, which is deleted when no data is left. If the process
is killed, the next run continues with the accounts that still have such a row.
"""

import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, OperationalError, connection, transaction

from accounts.activity import events
from accounts.activity import services as activity
from accounts.activity.services import Actor
from accounts.common import clock
from accounts.common.database import report
from accounts.common.personal_data import TABLES
from accounts.common.text import ACCOUNT_ID
from accounts.deletion.models import Erasure
from accounts.users import services as users
from accounts.users.models import PendingSignup, User

log = logging.getLogger(__name__)

# The maximum size in bytes of an SQLite database that ``prune`` rewrites. Rewriting 100 MB takes 2
# s, and blocks all other writes.
LARGEST_REWRITTEN = 100_000_000
_ID = re.compile(ACCOUNT_ID)


def erase_due() -> int:
    """Erase the accounts whose deletion is due; return how many were erased."""
    due = User.objects.filter(deletion_due__lte=clock.now()).values_list("pk", flat=True)
    return sum(map(_erased, list(due)))


def _erased(user_id: UUID) -> bool:
    try:
        return erase(user_id)
    except DatabaseError as error:
        # The message may contain values of a row.
        log.error("Account %s could not be erased: %s", user_id, type(error).__name__)  # noqa: TRY400 no traceback, which has values
        return False


@transaction.atomic
def erase(user_id: UUID, *, is_restored: bool = False) -> bool:
    """Delete all rows with personal data of an account; return whether it was erased.

    An account whose deletion is not due is not changed.

    ``is_restored``: erase the account even if its deletion is not due, because it was erased
        before, and a backup has restored it.
    """
    rows = User.objects.select_for_update().filter(pk=user_id)
    user = (rows if is_restored else rows.filter(deletion_due__lte=clock.now())).first()
    if user is None:
        return False
    person = users.person_of(user, is_erased=True)
    activity.remove_names(user)
    users.delete_signups(PendingSignup.objects.filter(email_key__in=person.emails))
    for table in TABLES.values():
        if not (table.is_cascading or table.remains):
            apps.get_model(table.label).objects.filter(table.of(person)).delete()
    users.block_names(user, person.names)
    # Recorded before the deletion, because the groups decide which webhooks send the event.
    activity.record(None, events.ERASED, Actor(), detail=str(user_id))
    user.delete()
    Erasure.objects.get_or_create(pk=user_id)
    log.info("Account %s was erased", user_id)
    return True


def erase_restored(user_ids: Iterable[UUID]) -> int:
    """Erase accounts that were erased before a backup restored them; return how many."""
    return sum(erase(user_id, is_restored=True) for user_id in user_ids)


def clean_up(*, is_large_allowed: bool = False) -> int:
    """Delete data of erased accounts outside of their rows; return how many still have such data.

    SQLite keeps deleted values in unused parts of the file, some even with ``secure_delete``, so
    the file is rewritten.

    ``is_large_allowed``: rewrite the file even if it is larger than ``LARGEST_REWRITTEN``.
    """
    done = list(Erasure.objects.values_list("pk", flat=True))
    append_to_log(done)
    if done and (connection.vendor != "sqlite" or _rewrite(is_large_allowed=is_large_allowed)):
        Erasure.objects.filter(pk__in=done).delete()
        return 0
    return len(done)


def _rewrite(*, is_large_allowed: bool) -> bool:
    """Rewrite the SQLite database, and empty its write-ahead log; return whether both succeeded."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        if cursor.fetchone()[0] > LARGEST_REWRITTEN and not is_large_allowed:
            return False
        try:
            cursor.execute("VACUUM")
        except OperationalError as error:
            # Another process was writing for too long, or the disk is full.
            report(error)
            return False
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (is_busy, *_pages) = cursor.fetchone()
    return not is_busy


def append_to_log(user_ids: Iterable[UUID]) -> None:
    """Append the ids that are not in ``DELETION_LOG`` yet, and wait until they are on the disk.

    The file is created if it does not exist.
    """
    path = log_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = dict.fromkeys(user_ids).keys() - (set(read_log(path)) if path.exists() else set())
    lines = "".join(f"{clock.now():%Y-%m-%dT%H:%M:%SZ} {user_id}\n" for user_id in new)
    with os.fdopen(os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def read_log(path: Path) -> list[UUID]:
    """Return the ids in a copy of ``DELETION_LOG``, without an incomplete last line."""
    return [UUID(text) for text in dict.fromkeys(_ID.findall(path.read_text()))]


def log_file() -> Path:
    """Return the path of ``DELETION_LOG``."""
    return Path(settings.AUTHSITE.deletion_log or settings.AUTHSITE.data_dir / "deletions.log")
