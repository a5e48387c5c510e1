"""Backs up the database while the site runs."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.client import DatabaseClient

from accounts.common import clock
from accounts.common.config import Config
from accounts.deletion import erasure
from accounts.deletion.models import Erasure


class BackupFailed(Exception):
    """The database cannot be backed up. The message says why, and contains no secret."""


def back_up(folder: Path) -> Path:
    """Write the database into a new file of ``folder``, which only this user can read.

    The file gets its name when it is complete, so nobody mistakes a failed backup for a good one.
    A copy of ``DELETION_LOG`` gets the same name with the ending ``.deletions.log``.

    Raises:
        BackupFailed: the folder or the database cannot be used.
    """
    is_sqlite = connection.vendor == "sqlite"
    ending = "sqlite3" if is_sqlite else "dump"
    file = folder / f"authsite-{clock.now():%Y%m%d-%H%M%S}.{ending}"
    part = file.with_suffix(f".{ending}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _copy_sqlite(part) if is_sqlite else _dump_postgresql(part)
        # After the database, so that the copy contains each account that the database lacks.
        erasure.append_to_log(Erasure.objects.values_list("pk", flat=True))
        shutil.copy(erasure.log_file(), deletions_beside(file))
        part.rename(file)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"The backup failed: {error}") from None
    finally:
        part.unlink(missing_ok=True)
    return file


def deletions_beside(file: Path) -> Path:
    """Return the path of the copy of ``DELETION_LOG`` that belongs to the backup ``file``."""
    return file.with_suffix(".deletions.log")


def _copy_sqlite(part: Path) -> None:
    """Copy the database in one read transaction, which lets others write meanwhile (WAL)."""
    name = settings.DATABASES["default"]["NAME"]
    with (
        closing(sqlite3.connect(f"{Path(name).as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(part)) as target,
    ):
        source.backup(target)
        # Without a write-ahead log, the copy is a single file.
        target.execute("PRAGMA journal_mode = DELETE")
        (verdict,) = target.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise BackupFailed(f"The database is damaged: {verdict}")


def _dump_postgresql(part: Path) -> None:
    # The password goes into the environment: every user can read the arguments of a process.
    arguments, env = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, [])
    _run(["pg_dump", "--format=custom", f"--file={part}", *arguments[1:]], env)
    _run(["pg_restore", "--list", str(part)], env)


def _run(command: list[str], env: dict[str, str] | None) -> None:
    if not shutil.which(command[0]):
        raise BackupFailed(f"{command[0]} is not installed: it comes with PostgreSQL's client.")
    done = subprocess.run(
        command, check=False, capture_output=True, env=os.environ | (env or {}), text=True
    )
    if done.returncode:
        raise BackupFailed(f"{command[0]} failed: {done.stderr.strip()}")


def digest_of(file: Path) -> str:
    """Return the SHA-256 digest of ``file`` in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def secrets_to_keep() -> list[dict[str, str]]:
    """Return the names of the settings that a restore needs, and where their values are kept.

    They must not be stored beside the backup.
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
