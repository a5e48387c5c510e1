"""Run a private PostgreSQL and a private Redis on free ports, with temporary data.

Tests neither use nor stop other servers on the machine.
"""

import os
import pwd
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Self

import psycopg
import redis

from tests.support.missing import find, missing
from tests.support.process import Process, free_port, listening, run, run_as


class Service:
    """A server program on a free port, with its data in a temporary folder."""

    name: str
    programs: tuple[str, ...]
    folders: list[Path] = []
    process: Process
    owner: str | None = None
    # SIGQUIT stops PostgreSQL at once, but lets it free its shared memory.
    stop_signal = signal.SIGQUIT

    def __init__(self) -> None:
        self.program = find(*self.programs, also_in=self.folders) or missing(self.name)
        self.folder = Path(tempfile.mkdtemp(prefix="authsite-service-"))
        self.port = free_port()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def command(self) -> list[str | Path]:
        """Return the command that starts the server in the foreground."""
        raise NotImplementedError

    def answers(self) -> bool:
        return listening(self.port)

    def start(self) -> None:
        """Start the server, also after ``stop``, on the same port."""
        log = self.folder / "log"
        self.process = Process(self.command(), log, cwd=self.folder, owner=self.owner)
        self.process.wait_until(self.answers, self.name)

    def stop(self) -> None:
        self.process.stop(self.stop_signal)


class Postgres(Service):
    """A PostgreSQL cluster; ``database()`` creates a new, empty database at each call."""

    name = "PostgreSQL"
    programs = ("initdb",)
    # Debian keeps the programs of each version in a folder that is not on PATH.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda f: -float(f.parent.name))
    databases = 0

    def __enter__(self) -> Self:
        self.owner = _unprivileged()
        if self.owner:
            shutil.chown(self.folder, self.owner, self.owner)
        options = f"--pgdata={self.folder}/data --username=postgres --auth=trust"
        options += " --encoding=UTF8 --locale=C --no-sync"
        run(self.program, *options.split(), cwd=self.folder, **run_as(self.owner))
        return super().__enter__()

    def follow(self, primary: "Postgres") -> None:
        """Copy ``primary``, and start as its standby server."""
        self.process.kill()
        shutil.rmtree(self.folder / "data")
        options = f"-D {self.folder}/data -R -c fast -d {primary.url('postgres')}"
        program = self.program.resolve().with_name("pg_basebackup")
        run(program, *options.split(), cwd=self.folder, **run_as(self.owner))
        self.start()

    def command(self) -> list[str | Path]:
        options = f"-D {self.folder}/data -p {self.port} -h 127.0.0.1 -F -N 200 -k"
        return [self.program.resolve().with_name("postgres"), *options.split(), ""]

    def url(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        self.databases += 1
        name = f"test{self.databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


class PgBouncer(Service):
    """PgBouncer in front of a PostgreSQL cluster, as Debian configures it, in transaction mode."""

    name = "PgBouncer"
    programs = ("pgbouncer",)
    folders = [Path("/usr/sbin")]
    stop_signal = signal.SIGINT

    def __init__(self, postgres: Postgres, pool: int) -> None:
        super().__init__()
        self.owner = postgres.owner
        config = self.folder / "pgbouncer.ini"
        config.write_text(
            f"""[databases]
* = host=127.0.0.1 port={postgres.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool}
"""
        )
        for path in (self.folder, config):
            path.chmod(0o755)

    def command(self) -> list[str | Path]:
        return [self.program, self.folder / "pgbouncer.ini"]

    def url(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"


class Redis(Service):
    """A Redis server that stores nothing on disk and is empty after each start."""

    name = "Redis"
    programs = ("redis-server", "valkey-server")
    stop_signal = signal.SIGKILL

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str | Path]:
        options = f"--bind 127.0.0.1 --port {self.port} --appendonly no --save"
        return [self.program, *options.split(), ""]

    def flush(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()


class Sentinel(Redis):
    """A Redis Sentinel that alone decides when the replica of ``master`` takes its place."""

    name = "Redis Sentinel"

    def __init__(self, master: Redis) -> None:
        super().__init__()
        (self.folder / "sentinel.conf").write_text(
            f"""port {self.port}
bind 127.0.0.1
sentinel monitor limits 127.0.0.1 {master.port} 1
sentinel down-after-milliseconds limits 500
"""
        )

    def command(self) -> list[str | Path]:
        return [self.program, self.folder / "sentinel.conf", "--sentinel"]


def _unprivileged() -> str | None:
    """Return the user to run PostgreSQL as if this process is root, which it refuses."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
