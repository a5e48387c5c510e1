"""The disk of the database fills up: a small one, which is mounted for the test.

``test_outages`` simulates the same, and takes less time and no right to mount.
"""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing, contextmanager, suppress

import psycopg
import pytest

from tests.support.api import call, get_tokens
from tests.support.missing import find
from tests.support.outages import FULL, RECOVERY_SECONDS, client, log_lines, storage
from tests.support.process import LATER_SECONDS, within
from tests.support.site import Site, production
from tests.support.steps import PASSWORD, join, sign_in, sign_up, sql

pytestmark = pytest.mark.proof

# Enough for a sign-in, and less than a tenth of the disk.
ALMOST_FULL = 1 << 20
COUNTS = [
    f"SELECT count(*) FROM accounts_{table}"
    for table in ("loginsession", "activity", "pendingsignup", "outgoingmail", "mailreceipt")
]
# Copies a session until no page of the table has room for another one.
COPY = """
INSERT INTO accounts_loginsession
SELECT (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid()))).*
FROM accounts_loginsession s LIMIT 1
"""


@contextmanager
def small_disk(folder, mib):
    """Mount a disk of its own in memory at ``folder``."""
    folder.mkdir()
    mount, umount = find("mount"), find("umount")
    options = f"-t tmpfs -o size={mib}m,mode=0700 tmpfs".split()
    if not (mount and umount) or subprocess.run([mount, *options, folder], check=False).returncode:
        pytest.skip("Mounting a disk is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run([umount, "--lazy", folder], check=True)


def fill(disk, *, leave=0):
    """Use up the room on ``disk`` except ``leave`` bytes; return the file to delete."""
    file = disk / f"filler{leave}"
    with file.open("wb") as filler:
        os.posix_fallocate(filler.fileno(), 0, shutil.disk_usage(disk).free - leave)
    return file


def sign_in_to_api(site):
    return call("token/", {"username": "alice", "password": PASSWORD}, client=client(site))


def test_a_small_disk_is_reported_before_and_while_it_is_full_and_works_as_soon_as_it_has_room(
    tmp_path,
):
    with (
        small_disk(tmp_path / "disk", 16) as disk,
        production(
            tmp_path, "https://accounts.example.org", DATABASE_URL=f"sqlite:///{disk}/db.sqlite3"
        ) as site,
        closing(sqlite3.connect(disk / "db.sqlite3", timeout=20)) as database,
    ):

        def counts():
            return [database.execute(statement).fetchone() for statement in COUNTS]

        browser = client(site)
        join(site, browser, "alice")
        assert storage(site) == (200, "ok")
        fill(disk, leave=ALMOST_FULL)
        assert within(LATER_SECONDS, lambda: storage(site) == (200, "low"))
        assert get_tokens("alice", client(site))["access"]

        before, filler = counts(), fill(disk)
        answer, page = sign_in_to_api(site), sign_up(client(site), "bob")
        assert (answer.status, answer["detail"]) == (503, FULL)
        assert (page.status, "can’t save anything" in page.text) == (503, True)
        assert browser.get("/accounts/profile/").status == 200
        assert within(LATER_SECONDS, lambda: storage(site) == (503, "fails"))
        assert counts() == before
        filler.unlink()

        assert sign_up(client(site), "bob").status == 302
        assert sign_in_to_api(site).status == 200
        assert within(RECOVERY_SECONDS, lambda: storage(site) == (200, "low"))
        assert site.wait_for_mail(to="bob@")
        assert len(log_lines(site, "is almost full")) == 1
        assert len(log_lines(site, "disk of the database is full")) == 2
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@contextmanager
def on_small_disk(postgres, database):
    """Move the table of sessions to a small disk."""
    with small_disk(postgres.folder / "small", 1) as disk:
        if postgres.owner:
            shutil.chown(disk, postgres.owner)
        database.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        database.execute("ALTER TABLE accounts_loginsession SET TABLESPACE small")
        try:
            yield disk
        finally:
            database.execute("ALTER TABLE accounts_loginsession SET TABLESPACE pg_default")
            database.execute("DROP TABLESPACE small")


def test_a_small_disk_of_postgresql_is_named_while_it_is_full_and_works_as_soon_as_it_has_room(
    postgres,
):
    with (
        Site(DATABASE_URL=postgres.database()) as site,
        psycopg.connect(site.env["DATABASE_URL"], autocommit=True) as database,
        on_small_disk(postgres, database) as disk,
    ):
        join(site, site.client(), "alice")
        filler = fill(disk)
        with suppress(psycopg.errors.DiskFull):
            while True:
                database.execute(COPY)
        before = [sql(site, statement) for statement in COUNTS]

        answer, page = sign_in_to_api(site), sign_in(site.client(), "alice")
        assert (answer.status, answer["detail"]) == (503, FULL)
        assert (page.status, "can’t save anything" in page.text) == (503, True)
        assert storage(site) == (503, "fails")
        assert [sql(site, statement) for statement in COUNTS] == before
        filler.unlink()

        assert sign_in_to_api(site).status == 200
        assert within(RECOVERY_SECONDS, lambda: storage(site) == (200, "ok"))
        assert site.log().count("disk of the database is full") == 2
