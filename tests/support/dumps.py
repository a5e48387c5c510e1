"""Write and restore the databases of releases in ``tests/upgrade/``.

``python -m tests.support.dumps`` writes those of this version, once, when a release is cut. The
accounts in them have used every feature that leaves something behind (``tests.support.release``).
"""

import gzip
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from tests.support.env import clean
from tests.support.missing import find, missing
from tests.support.process import run
from tests.support.services import Postgres

RELEASES = Path(__file__).resolve().parents[1] / "upgrade"
VERSIONS = sorted(folder.name for folder in RELEASES.iterdir() if folder.name[0].isdigit())
ORIGIN = "http://localhost:8000"


def main() -> None:
    """Write the dumps of both engines, in a process for each."""
    if len(sys.argv) > 1:
        write(sys.argv[1])
        return
    run(sys.executable, "-m", "tests.support.dumps", "", seconds=300)
    with Postgres() as postgres:
        run(sys.executable, "-m", "tests.support.dumps", postgres.database(), seconds=300)


def write(url: str) -> None:
    """Make a site with the database at ``url``, by default SQLite, and write what it holds."""
    import django

    with tempfile.TemporaryDirectory(prefix="authsite-dump-") as folder:
        secrets = {"SECRET_KEY": os.urandom(32).hex(), "ORIGIN": ORIGIN}
        os.environ.update(clean(Path(folder)) | secrets | {"DATABASE_URL": url})
        os.environ["DJANGO_SETTINGS_MODULE"] = "authsite.settings"
        django.setup()

        from django.core.management import call_command

        from authsite import __version__
        from tests.support import release

        call_command("migrate", verbosity=0)
        kept = {**secrets, **release.make(), "ENCRYPTION_KEYS": _encryption_keys(Path(folder))}
        target = RELEASES / __version__
        target.mkdir(exist_ok=True)
        engine = "postgres" if url else "sqlite"
        dump = _of_postgres(url) if url else _of_sqlite(Path(folder) / "db.sqlite3")
        # Without a time, so that the file depends on the database alone.
        (target / f"{engine}.sql.gz").write_bytes(gzip.compress(dump.encode(), mtime=0))
        (target / f"{engine}.json").write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def restore(version: str, engine: str, target: str | Path) -> Any:
    """Fill ``target``, an empty database by its URL or an SQLite file; return what people hold."""
    text = gzip.decompress((RELEASES / version / f"{engine}.sql.gz").read_bytes()).decode()
    if isinstance(target, Path):
        with closing(sqlite3.connect(target)) as connection:
            connection.executescript(text)
    else:
        psql = find("psql", also_in=Postgres.folders) or missing("psql")
        subprocess.run([psql, "--quiet", target], input=text.encode(), check=True)
    return json.loads((RELEASES / version / f"{engine}.json").read_text())


def copy(url: str, table: str, count: int, like: str = "true", **changes: str) -> None:
    """Insert copies of a row that is ``like``. ``changes``: SQL for columns, with a number n.

    Foreign keys are not checked, because that would take most of the time.
    """
    with psycopg.connect(url) as connection:
        found = connection.execute(f"SELECT * FROM {table} LIMIT 0").description or ()
        names = [each.name for each in found if each.name != "id" or "id" in changes]
        values = ", ".join(changes.get(name, f'"{name}"') for name in names)
        columns = ", ".join(f'"{name}"' for name in names)
        row = f"(SELECT * FROM {table} WHERE {like} LIMIT 1) AS row"
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(
            f"INSERT INTO {table} ({columns}) SELECT {values} "
            f"FROM {row}, generate_series(1, {count}) AS n"
        )


def _of_sqlite(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def _of_postgres(url: str) -> str:
    program = find("pg_dump", also_in=Postgres.folders) or missing("pg_dump")
    text = run(program, "--no-owner", "--no-privileges", url)
    # Lines that only the newest programs know.
    return re.sub(r"(?m)^(\\(un)?restrict .*|SET transaction_timeout = 0;)\n", "", text)


def _encryption_keys(folder: Path) -> str:
    return (folder / "encryption_key").read_text()


if __name__ == "__main__":
    main()
