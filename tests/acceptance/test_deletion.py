"""A deleted account leaves no bytes in the files and servers of the site, nor after a restore."""

import json
import secrets
import shutil
import sys
import time
from pathlib import Path

import pytest
from redis import Redis

from tests.support.missing import find, missing
from tests.support.nodes import POSTGRES_PROVED, database
from tests.support.planting import PLANT
from tests.support.process import LATER_SECONDS, Process, run, within
from tests.support.services import Postgres
from tests.support.site import ROOT, Site
from tests.support.standards import proves
from tests.support.steps import address_of, join, sign_in, sql

NAME = "zqalice"
DUE = "UPDATE accounts_user SET deletion_due = '2026-01-01' WHERE username LIKE '{}'"


def program(name):
    return find(name, also_in=Postgres.folders) or missing(name)


def stored(site, redis):
    """Return the bytes of the database, of the logs and of Redis, and the names of keys there."""
    files = [file for file in site.data_dir.rglob("*") if file.is_file()]
    # What was delivered is no longer the site's. A backup contains what was there.
    own = [file for file in files if not {"mail", "backups"} & set(file.parts)]
    found = {file.name: file.read_bytes() for file in own}
    if url := site.env.get("DATABASE_URL"):
        found["dump"] = run(program("pg_dump"), url).encode()
    if redis:
        keys = redis.keys()
        found["redis"] = b" ".join([*keys, *filter(None, (redis.get(key) for key in keys))])
    return found


def restore(site, backup):
    if url := site.env.get("DATABASE_URL"):
        run(program("pg_restore"), "--clean", "--if-exists", f"--dbname={url}", str(backup))
        return
    for file in site.data_dir.glob("db.sqlite3-*"):
        file.unlink()
    shutil.copy(backup, site.data_dir / "db.sqlite3")


@proves("V10.3.3")
@pytest.mark.parametrize("kind", POSTGRES_PROVED)
def test_no_mark_of_a_deleted_person_is_left_as_bytes_nor_after_restoring_a_backup(request, kind):
    """Withstands a thief with the database."""
    env, redis = database(request, kind), None
    if kind == "postgres":
        url = request.getfixturevalue("redis_server").url
        env["REDIS_URL"], redis = url, Redis.from_url(url)
    with Site(**env) as site:
        join(site, site.client(User_Agent="Mozilla/5.0 zqagent"), NAME)
        assert sign_in(site.client(), NAME).location == "/"
        sign_in(site.client(), address_of(NAME), "wrong")
        marks = json.loads(site.manage("shell", "--no-imports", "-c", PLANT.format(NAME)))
        facts = json.loads(site.manage("backup", str(site.data_dir / "backups"), "--json"))
        before = b" ".join(stored(site, redis).values())
        marks = [m for m in [*marks, NAME, "zqagent"] if m.encode() in before]
        assert len(marks) > 100
        sql(site, DUE.format(NAME))

        def assert_nothing_is_left():
            left = {
                (mark, name)
                for name, content in stored(site, redis).items()
                for mark in marks
                if mark.encode() in content.lower()
            }
            assert left == set()

        site.manage("prune")
        assert_nothing_is_left()
        site.stop()
        restore(site, Path(facts["file"]))
        assert sql(site, f"SELECT 1 FROM accounts_user WHERE username = '{NAME}'")

        assert "1 accounts were deleted again." in site.manage("after_restore")
        assert_nothing_is_left()
        log = (site.data_dir / "deletions.log").read_text()
        assert log.count("\n") == 1


PEOPLE, KILLS = 80, 2
GROW = f"""
from tests.support.steps import make_user
for n in range({PEOPLE}):
    make_user(f"zq{{n}}", password=None)
"""


def test_kill_9_during_an_erasure_leaves_each_account_whole_or_gone_and_the_next_run_continues():
    """Withstands a failure."""
    with Site() as site:
        site.manage("shell", "--no-imports", "-c", GROW)
        sql(site, DUE.format("zq%"))
        everybody = left = ids_in(site, "accounts_user")

        for _ in range(KILLS):
            kill_during_prune(site, left)
            left = ids_in(site, "accounts_user")
            assert ids_in(site, "accounts_emailaddress", "user_id") == left
            assert sql(site, "SELECT COUNT(*) FROM accounts_username") == [(len(left),)]
            assert ids_in(site, "accounts_erasure") | logged(site) == everybody - left
        assert left

        site.manage("prune")
        assert ids_in(site, "accounts_user") | ids_in(site, "accounts_erasure") == set()
        assert logged(site) == everybody


def kill_during_prune(site, left):
    command, log = [sys.executable, "manage.py", "prune"], site.data_dir / "prune.log"
    with Process(command, log, env=site._environment, cwd=ROOT) as prune:
        assert within(LATER_SECONDS, lambda: ids_in(site, "accounts_user") < left)
        time.sleep(secrets.randbelow(20) / 1000)
        prune.kill()


def ids_in(site, table, column="id"):
    return {id for (id,) in sql(site, f"SELECT {column} FROM {table}")}


def logged(site):
    log = site.data_dir / "deletions.log"
    lines = log.read_text().splitlines() if log.exists() else []
    assert len(lines) == len(set(lines))
    return {line.split()[1].replace("-", "") for line in lines}
