"""``backup`` makes, verifies and deletes backups."""

import io
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count, takewhile
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from django.core.management import CommandError, call_command

from accounts.common.setting_parsers import parse_database_url
from accounts.management import backups
from accounts.management.backups import digest_of
from accounts.ops.measurements import BACKUP, NEVER, VERIFY, successes
from tests.support.missing import find, missing
from tests.support.nodes import POSTGRES_PROVED, database
from tests.support.signin import set_up
from tests.support.site import Site
from tests.support.steps import make_user, sql

DAY = """INSERT INTO accounts_dailycount (day, event, method, is_known, count)
    VALUES ('2026-01-01', '{}', '', true, 1)"""
DUPLICATE = """\
pg_restore: error: COPY failed for table "u": ERROR:  duplicate key value violates a constraint
DETAIL:  Key (email)=(alice@example.org) already exists.
CONTEXT:  COPY u, line 1: "alice@example.org argon2$secret"
"""
SCRATCH = "SELECT datname FROM pg_database WHERE datname LIKE 'verified%'"


def backup(path, *options):
    told = io.StringIO()
    call_command("backup", str(path), "--json", *options, stdout=told)
    return json.loads(told.getvalue())


def manifest(file):
    return file.with_suffix(".json")


def change(file, **changes):
    path = manifest(file)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def made(tmp_path, settings):
    """Return a backup of the database of the tests."""
    set_up(settings, data_dir=tmp_path)
    make_user("alice")
    return Path(backup(tmp_path / "backups")["file"])


@pytest.mark.django_db
def test_a_backup_is_read_once_for_its_digest(tmp_path, settings, monkeypatch):
    set_up(settings, data_dir=tmp_path)
    digests = []
    monkeypatch.setattr(
        backups, "digest_of", lambda file: digests.append(digest_of(file)) or digests[-1]
    )

    assert [backup(tmp_path / "backups")["sha256"]] == digests


def truncate(file):
    file.write_bytes(file.read_bytes()[:-4096])


def truncate_before_it_was_recorded(file):
    truncate(file)
    change(file, sha256=digest_of(file))


def change_a_byte(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def lose_a_row(file):
    change(file, tables=json.loads(manifest(file).read_text())["tables"] | {"accounts_user": 7})


HARM = {
    truncate: "SHA-256",
    change_a_byte: "SHA-256",
    truncate_before_it_was_recorded: "malformed|damaged",
    lose_a_row: "accounts_user: 7 recorded, 0 found",
    lambda file: change(file, tables={}): "accounts_activity: no table recorded, 0 found",
    lambda file: manifest(file).unlink(): "is missing: it says what the backup contains",
    lambda file: manifest(file).write_text("[]"): "is damaged",
    lambda file: change(file, tables=7): "is damaged",
    lambda file: file.unlink(): "There is no backup in",
}


@pytest.mark.django_db
@pytest.mark.parametrize("harm, reason", HARM.items())
def test_a_backup_that_was_harmed_fails_its_verification(made, harm, reason):
    assert backup(made.parent, "--verify")["tables"].keys() >= {"accounts_user"}
    assert successes()[BACKUP] <= successes()[VERIFY]
    harm(made)

    with pytest.raises(CommandError, match=reason):
        backup(made.parent, "--verify")

    assert successes()[VERIFY] == NEVER < successes()[BACKUP]
    assert not list(made.parent.glob("authsite-scratch-*"))


@pytest.mark.django_db
def test_the_newest_backups_and_the_last_verified_one_are_kept(made, clock):
    folder = made.parent
    (folder / "authsite-notes.dump").write_text("not a backup")
    backup(made, "--verify")
    later = []
    for _ in range(4):
        clock.advance(days=1)
        facts = backup(folder, "--keep", "2")
        later.append(facts["file"])

    assert facts["deleted"] == [later[1]]
    kept = {made, *map(Path, later[2:])}
    assert set(folder.glob("*.sqlite3")) == kept
    assert set(folder.glob("*.json")) == set(map(manifest, kept))
    assert len(list(folder.glob("*.deletions.log"))) == 3
    assert (folder / "authsite-notes.dump").exists()
    # The clock was set back: the new backup looks like the oldest one.
    clock.advance(days=-9)
    assert Path(backup(folder, "--keep", "2")["file"]).exists()
    with pytest.raises(CommandError, match="at least one"):
        backup(folder, "--keep", "0")


@pytest.fixture(params=POSTGRES_PROVED)
def site(request, tmp_path):
    if request.param == "postgres":
        find("pg_dump") or missing("pg_dump")
    site = Site(data_dir=tmp_path, **database(request, request.param))
    site.make_database()
    return site


@pytest.mark.django_db
def test_copies_of_the_database_that_killed_commands_have_left_are_deleted_after_a_day(made, clock):
    """Withstands a thief with the database."""
    folder = made.parent
    scratch = folder / "authsite-scratch-x"
    scratch.mkdir()
    running, *left = (folder / f"authsite-2026010{n}-000000.dump.part" for n in range(3))
    for file in (running, *left, scratch / "copy"):
        file.touch()
    clock.advance(days=1)
    now = clock.now().timestamp()
    os.utime(running, (now - 60, now - 60))
    for path in (*left, scratch):
        os.utime(path, (now - 90_000, now - 90_000))

    deleted = backup(folder, "--keep", "1")["deleted"]

    assert set(deleted) == {str(path) for path in (made, *left, scratch)}
    assert running.exists()
    assert not any(path.exists() for path in (*left, scratch))


def test_the_manifest_counts_exactly_what_the_backup_contains_while_others_write(site):
    folder, is_over = str(site.data_dir / "backups"), threading.Event()

    def write():
        for number in takewhile(lambda _: not is_over.is_set(), count()):
            sql(site, DAY.format(number))

    with ThreadPoolExecutor() as threads:
        writing = threads.submit(write)
        try:
            made = json.loads(site.manage("backup", folder, "--json"))["file"]
        finally:
            is_over.set()
        writing.result()

    found = json.loads(site.manage("backup", folder, "--verify", "--json"))["tables"]
    assert found == json.loads(manifest(Path(made)).read_text())["tables"]
    ((last,),) = sql(site, "SELECT count(*) FROM accounts_dailycount")
    (rows,) = [rows for table, rows in found.items() if table.endswith("accounts_dailycount")]
    assert 0 < rows < last


def test_the_programs_of_postgresql_get_every_option_of_the_url(monkeypatch):
    """Withstands a hostile client: an impostor of the database server."""
    url = "postgres://u:geheim@db/x?channel_binding=require&require_auth=scram-sha-256&sslmode=require"
    monkeypatch.setattr(
        backups, "connection", SimpleNamespace(settings_dict=parse_database_url(url))
    )

    arguments, env = backups._arguments()

    assert "geheim" not in " ".join(arguments)
    assert env == {
        "PGPASSWORD": "geheim",
        "PGSSLMODE": "require",
        "PGCHANNELBINDING": "require",
        "PGREQUIREAUTH": "scram-sha-256",
    }


def test_a_failed_restore_tells_no_values_of_rows(tmp_path, monkeypatch):
    """Withstands a thief with the database."""
    program = tmp_path / "pg_restore"
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{DUPLICATE}END\nexit 1\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    with pytest.raises(backups.BackupFailed) as failed:
        backups._run(["pg_restore"], {})
    assert str(failed.value) == f"pg_restore failed: {DUPLICATE.splitlines()[0]}"


@pytest.mark.proof
def test_a_verification_leaves_no_database_behind_in_postgresql(postgres, tmp_path):
    find("pg_dump") or missing("pg_dump")
    url = postgres.database()
    site = Site(data_dir=tmp_path, DATABASE_URL=url)
    site.make_database()
    made = Path(json.loads(site.manage("backup", str(tmp_path / "b"), "--json"))["file"])
    name = url.rpartition("/")[2]
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as server:
        # A verification was killed.
        server.execute(f"CREATE DATABASE verified_backup_of_{name}")
        assert "rows in" in site.manage("backup", str(made), "--verify")
        truncate_before_it_was_recorded(made)
        with pytest.raises(AssertionError, match="pg_restore failed"):
            site.manage("backup", str(made), "--verify")
        server.execute(f"CREATE ROLE {name} LOGIN; GRANT ALL ON DATABASE {name} TO {name}")
        own = Site(data_dir=tmp_path, DATABASE_URL=url.replace("postgres@", f"{name}@"))
        with pytest.raises(AssertionError, match=r"permission denied.* ALTER ROLE .* CREATEDB"):
            own.manage("backup", str(made), "--verify")

        assert server.execute(SCRATCH).fetchall() == []
