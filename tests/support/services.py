"""A private PostgreSQL and a private Redis: throw-away, on a free port, stopped by their pid.

What runs on the machine already is left alone, and no test depends on it.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import psycopg
import pytest
import redis

from tests.support.missing import find, missing
from tests.support.process import Process, free_port, listening, run_as


class Postgres:
    """A PostgreSQL cluster of its own; ``database()`` is a new, empty database each time."""

    def __init__(self) -> None:
        # Debian keeps the server's programs, by version, off PATH.
        folders = sorted(
            Path("/usr/lib/postgresql").glob("*/bin"), key=lambda bin_: -float(bin_.parent.name)
        )
        initdb = find("initdb", also_in=folders) or missing("PostgreSQL")
        self._programs = initdb.resolve().parent
        self._owner = _unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="authsite-postgres-"))
        self._databases = 0
        self.port = free_port()
        self.process: Process | None = None

    def __enter__(self) -> Self:
        if self._owner:
            shutil.chown(self._folder, self._owner, self._owner)
        options = f"--pgdata={self._folder}/data --username=postgres --auth=trust"
        options += " --encoding=UTF8 --locale=C --no-sync"
        initdb = subprocess.run(
            [self._programs / "initdb", *options.split()],
            check=False,
            capture_output=True,
            cwd=self._folder,
            text=True,
            **run_as(self._owner),
        )
        if initdb.returncode:
            pytest.fail(f"initdb failed:\n{initdb.stdout}{initdb.stderr}", pytrace=False)
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start the server; also anew, on the same port, after ``stop``."""
        settings = {
            "fsync": "off",
            "listen_addresses": "127.0.0.1",
            "max_connections": "200",
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        self.process = Process(
            [
                self._programs / "postgres",
                *("-D", self._folder / "data"),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            self._folder / "log",
            cwd=self._folder,
            owner=self._owner,
        )
        self.process.wait_until(self._answers, "PostgreSQL")

    def stop(self) -> None:
        """Stop the server at once; it still frees its shared memory."""
        if self.process:
            self.process.stop(signal.SIGQUIT)

    def url(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The DATABASE_URL of a new, empty database."""
        self._databases += 1
        name = f"test{self._databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


class Redis:
    """A Redis of its own that keeps nothing on disk."""

    def __init__(self) -> None:
        self._program = find("redis-server", "valkey-server") or missing("Redis")
        self._folder = Path(tempfile.mkdtemp(prefix="authsite-redis-"))
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start the server; also anew, on the same port and empty, after ``stop``."""
        settings = {
            "appendonly": "no",
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "port": str(self.port),
            "save": "",
        }
        self.process = Process(
            [
                self._program,
                *(word for name, value in settings.items() for word in (f"--{name}", value)),
            ],
            self._folder / "log",
        )
        self.process.wait_until(lambda: listening(self.port), "Redis")

    def stop(self) -> None:
        if self.process:
            self.process.kill()

    def flush(self) -> None:
        """Forget everything, as between two tests."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()


def _unprivileged() -> str | None:
    """Who PostgreSQL runs as: it refuses root."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
