"""Backs up the database while the site runs, and verifies backups by restoring them.

A backup consists of three files: the database, a copy of ``DELETION_LOG``, and a manifest, which
contains the digest of the database file and the number of rows of each table.
"""

import json
import logging
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from hashlib import file_digest
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.backends.postgresql.client import DatabaseClient

from accounts.common import clock
from accounts.common.config import Config
from accounts.deletion import erasure
from accounts.deletion.models import Erasure
from accounts.ops import measurements

log = logging.getLogger(__name__)

NAME = re.compile(r"authsite-\d{8}-\d{6}\.(sqlite3|dump)")
# The scratch database into which a backup of PostgreSQL is restored.
SCRATCH, LONGEST_NAME = "verified_backup_of_{}", 63
# The names of unfinished backups and of folders for verification. Older ones than this belong to
# commands that were killed.
UNFINISHED, ABANDONED = ("authsite-*.part*", "authsite-scratch-*"), timedelta(days=1)
# The maximum number of differences that the message about a failed verification names.
NAMED = 5
TABLES = {
    "sqlite": r"""SELECT '"' || name || '"' FROM sqlite_schema
        WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'""",
    "postgresql": """SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
        WHERE schemaname NOT IN ('pg_catalog', 'information_schema')""",
}

type Counts = dict[str, int]


class BackupFailed(Exception):
    """A backup could not be made or verified. The message says why, and contains no secret."""


def back_up(folder: Path) -> Path:
    """Write the database into a new file of ``folder`` that only this user can read.

    The file gets its name when it is complete, so that a failed backup is not taken for a good one.
    A copy of ``DELETION_LOG`` gets the same name with the ending ``.deletions.log``, and the
    manifest with the ending ``.json``.

    Raises:
        BackupFailed: the folder or the database cannot be used.
    """
    is_sqlite = connection.vendor == "sqlite"
    ending = "sqlite3" if is_sqlite else "dump"
    file = folder / f"authsite-{clock.now():%Y%m%d-%H%M%S}.{ending}"
    part = file.with_suffix(f".{ending}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(part, "")
        counts = _copy_sqlite(part) if is_sqlite else _dump_postgresql(part)
        # Copied after the database, so that it contains each account that the database lacks.
        erasure.append_to_log(Erasure.objects.values_list("pk", flat=True))
        shutil.copy(erasure.log_file(), deletions_beside(file))
        _write_manifest(file, {"sha256": digest_of(part), "verified_at": None, "tables": counts})
        part.rename(file)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"The backup failed: {error}") from None
    finally:
        part.unlink(missing_ok=True)
    _note(measurements.succeeded, measurements.BACKUP)
    return file


def verify(path: Path) -> tuple[Path, Counts]:
    """Restore a backup into a scratch database, and compare it with its manifest.

    Return the path of the backup and the number of rows of each table.

    ``path``: the backup, or a folder, whose newest backup is verified.

    Raises:
        BackupFailed: the backup is damaged, or it cannot be restored here.
    """
    try:
        file = _newest(path) if path.is_dir() else path
        manifest = manifest_of(file)
        if digest_of(file) != manifest["sha256"]:
            raise BackupFailed(f"{file} was changed: its SHA-256 digest is not the recorded one.")
        counts = _restored_sqlite(file) if file.suffix == ".sqlite3" else _restored_postgresql(file)
        _compare(manifest["tables"], counts)
        _write_manifest(file, manifest | {"verified_at": clock.now().isoformat()})
    except (BackupFailed, OSError, sqlite3.Error, DatabaseError) as error:
        _note(measurements.failed, measurements.VERIFY)
        raise BackupFailed(f"The verification failed: {error}") from None
    _note(measurements.succeeded, measurements.VERIFY)
    return file, counts


def drop_old(made: Path, keep: int) -> list[Path]:
    """Delete old backups in the folder of ``made``, the newest backup; return their paths.

    The newest ``keep`` backups are kept, and the newest one that has passed its verification.
    Copies of the database that killed commands have left are deleted, too.
    """
    files = _backups_in(made.parent)
    verified = next((file for file in files if _is_verified(file)), made)
    old = [file for file in files[keep:] if file not in {made, verified}]
    for file in old:
        for part in (file, deletions_beside(file), manifest_beside(file)):
            part.unlink(missing_ok=True)
    return old + _drop_abandoned(made.parent)


def _drop_abandoned(folder: Path) -> list[Path]:
    """Delete files in ``folder`` that no running command can have written; return their paths."""
    since = (clock.now() - ABANDONED).timestamp()
    found = chain.from_iterable(map(folder.glob, UNFINISHED))
    left = [path for path in found if path.stat().st_mtime < since]
    for path in left:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return left


def deletions_beside(file: Path) -> Path:
    """Return the path of the copy of ``DELETION_LOG`` that belongs to the backup ``file``."""
    return file.with_suffix(".deletions.log")


def manifest_beside(file: Path) -> Path:
    """Return the path of the manifest that belongs to the backup ``file``."""
    return file.with_suffix(".json")


def _backups_in(folder: Path) -> list[Path]:
    """Return the backups in ``folder``, newest first."""
    return sorted((f for f in folder.iterdir() if NAME.fullmatch(f.name)), reverse=True)


def _newest(folder: Path) -> Path:
    if files := _backups_in(folder):
        return files[0]
    raise BackupFailed(f"There is no backup in {folder}.")


def _write(path: Path, text: str) -> None:
    """Write a file that only this user can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)


def _write_manifest(file: Path, manifest: dict[str, Any]) -> None:
    path = manifest_beside(file)
    _write(part := path.with_suffix(".json.part"), json.dumps(manifest, indent=1))
    part.rename(path)


def manifest_of(file: Path) -> dict[str, Any]:
    """Return the manifest of the backup ``file``.

    Raises:
        BackupFailed: the manifest is missing or damaged.
    """
    path = manifest_beside(file)
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        digest, verified_at, tables = (found[n] for n in ("sha256", "verified_at", "tables"))
        return {"sha256": digest, "verified_at": verified_at, "tables": dict(tables)}
    except FileNotFoundError:
        raise BackupFailed(f"{path} is missing: it says what the backup contains.") from None
    except (ValueError, TypeError, KeyError):
        raise BackupFailed(f"{path} is damaged.") from None


def _is_verified(file: Path) -> bool:
    try:
        return bool(manifest_of(file)["verified_at"])
    except BackupFailed:
        return False


def _note(result: Callable[[str], None], command: str) -> None:
    """Store the result of ``command`` for metrics and ``doctor``."""
    try:
        result(command)
    except DatabaseError as error:
        # A backup may be made before the migration that creates the table.
        log.warning("The result of %s can't be noted: %s", command, type(error).__name__)


def _count(cursor: Any, vendor: str) -> Counts:
    cursor.execute(TABLES[vendor])
    counts = {}
    for (table,) in sorted(cursor.fetchall()):
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 no input
        (counts[table.replace('"', "")],) = cursor.fetchone()
    return counts


def _compare(expected: Counts, found: Counts) -> None:
    different = [
        f"{table}: {expected.get(table, 'no table')} recorded, {found.get(table, 'no table')} found"
        for table in sorted(expected.keys() | found.keys())
        if expected.get(table) != found.get(table)
    ]
    if different:
        raise BackupFailed("; ".join(different[:NAMED]))


def _copy_sqlite(part: Path) -> Counts:
    """Copy the database in one read transaction, during which others can write (WAL).

    Return the number of rows of each table in this transaction.
    """
    name = settings.DATABASES["default"]["NAME"]
    with (
        closing(sqlite3.connect(f"{Path(name).as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(part)) as target,
    ):
        source.execute("BEGIN")
        counts = _count(source.cursor(), "sqlite")
        source.backup(target)
        # Without a write-ahead log, the copy is a single file.
        target.execute("PRAGMA journal_mode = DELETE")
        _check_integrity(target)
    return counts


def _check_integrity(database: sqlite3.Connection) -> None:
    (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise BackupFailed(f"The database is damaged: {verdict}")


def _restored_sqlite(file: Path) -> Counts:
    with TemporaryDirectory(dir=file.parent, prefix="authsite-scratch-") as folder:
        copy = shutil.copy(file, folder)
        with closing(sqlite3.connect(copy)) as database:
            _check_integrity(database)
            return _count(database.cursor(), "sqlite")


def _dump_postgresql(part: Path) -> Counts:
    """Dump the database; return the number of rows of each table in the snapshot of the dump."""
    arguments, env = _arguments()
    with _snapshot(connection.settings_dict["NAME"]) as cursor:
        counts = _count(cursor, "postgresql")
        cursor.execute("SELECT pg_export_snapshot(), pg_backend_pid()")
        snapshot, pid = cursor.fetchone()
        # If PgBouncer shares the connection, the settings of ``pg_dump``, such as an empty
        # search_path, would affect other clients.
        if pid != cursor.connection.info.backend_pid:
            raise BackupFailed(
                "DATABASE_URL leads to a pooler such as PgBouncer. Run this command with the URL "
                "of PostgreSQL itself in DATABASE_URL."
            )
        options = ["--format=custom", f"--snapshot={snapshot}", f"--file={part}"]
        _run(["pg_dump", *options, *arguments], env)
    _run(["pg_restore", "--list", str(part)], env)
    return counts


def _restored_postgresql(file: Path) -> Counts:
    if connection.vendor != "postgresql":
        raise BackupFailed(f"{file} needs a PostgreSQL server, which DATABASE_URL must name.")
    (*server, own), env = _arguments()
    scratch = SCRATCH.format(own)[:LONGEST_NAME]
    # The site's role may be allowed to connect only to its own database.
    names = [*server, f"--maintenance-db={own}", scratch]
    # A verification that was killed has left its database. The command fails if a running one uses
    # it.
    _run(["dropdb", "--if-exists", *names], env)
    try:
        _run(["createdb", "--template=template0", "--encoding=UTF8", "--locale=C", *names], env)
    except BackupFailed as error:
        hint = "A superuser can allow it: ALTER ROLE the_role_of_the_site CREATEDB"
        raise BackupFailed(f"{error} {hint}") from None
    try:
        options = ["--exit-on-error", "--no-owner", "--no-privileges", f"--dbname={scratch}"]
        _run(["pg_restore", *options, *server, str(file)], env)
        with _snapshot(scratch) as cursor:
            return _count(cursor, "postgresql")
    finally:
        _run(["dropdb", "--force", *names], env)


def _arguments() -> tuple[list[str], dict[str, str]]:
    """Return the arguments and the environment for PostgreSQL's programs.

    The last argument is the name of the database. The password is in the environment, because every
    user can read the arguments of a process.
    """
    from psycopg.pq import Conninfo  # noqa: PLC0415 only some sites need the library

    arguments, env = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, [])
    # Django ignores most options of the URL, including those that verify the server's identity.
    given = connection.settings_dict["OPTIONS"]
    known = [(each.keyword.decode(), each.envvar) for each in Conninfo.get_defaults()]
    own = {
        variable.decode(): str(given[name])
        for name, variable in known
        if variable and name in given
    }
    return arguments[1:], (env or {}) | own


@contextmanager
def _snapshot(name: str) -> Iterator[Any]:
    """Return a cursor that reads the current state of the database ``name`` for any time."""
    database = connection.copy()
    database.settings_dict["NAME"] = name
    try:
        database.set_autocommit(autocommit=False)
        with database.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield cursor
    finally:
        database.close()


def _run(command: list[str], env: dict[str, str]) -> None:
    if not shutil.which(command[0]):
        raise BackupFailed(f"{command[0]} is not installed: it comes with PostgreSQL's client.")
    done = subprocess.run(
        command, check=False, capture_output=True, env=os.environ | env, text=True
    )
    if done.returncode:
        # Further lines of PostgreSQL's messages may contain values of rows, such as hashes.
        lines = [line for line in done.stderr.splitlines() if line.startswith(f"{command[0]}: ")]
        raise BackupFailed(f"{command[0]} failed: {' '.join(lines)}")


def digest_of(file: Path) -> str:
    """Return the SHA-256 digest of ``file`` in hexadecimal."""
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()


def secrets_to_keep() -> list[dict[str, str]]:
    """Return the names of the settings that a restore needs, and where their values are stored.

    They must not be stored together with the backup.
    """
    config: Config = settings.AUTHSITE
    names = ["SECRET_KEY", "SECRET_KEY_FALLBACKS", "ENCRYPTION_KEYS"]
    files = {"SECRET_KEY": "secret_key", "ENCRYPTION_KEYS": "encryption_key"}
    return [
        {"name": name, "kept_in": _kept_in(name, config.data_dir / files.get(name, name))}
        for name in names
        if getattr(config, name.lower())
    ]


def _kept_in(name: str, generated: Any) -> str:
    """Return where the value of the setting ``name`` comes from."""
    if path := os.environ.get(f"{name}_FILE"):
        return path
    if os.environ.get(name):
        return "the environment"
    return str(generated) if settings.AUTHSITE.development and generated.exists() else ".env"
