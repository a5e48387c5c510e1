"""``copy_database`` copies the site between SQLite and PostgreSQL, and compares the copies."""

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.management import databases
from accounts.management.commands import copy_database
from accounts.tokens import keyring
from tests.support.api_keys import key_of
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in
from tests.support.site import Site
from tests.support.steps import make_user

EVENT = "INSERT INTO accounts_dailycount (day, event, method, is_known, count) VALUES"


def copied(folder, source, target):
    """Copy in another process: tests of Django's forbid connections to other databases."""
    return json.loads(Site(data_dir=folder).manage("copy_database", source, target, "--json"))


@pytest.fixture
def small(tmp_path):
    """Return the URL of a database of the site with one row."""
    Site(data_dir=tmp_path).make_database()
    file = tmp_path / "db.sqlite3"
    with closing(sqlite3.connect(file)) as db, db:
        db.execute(f"{EVENT} ('2026-01-01', 'signed_in', 'pwd', true, 7)")
    return f"sqlite:///{file}"


@pytest.fixture
def unblocked(django_db_blocker):
    with django_db_blocker.unblock():
        yield


def copy_here(source, target):
    call_command("copy_database", source, target, stdout=io.StringIO(), stderr=io.StringIO())


def fill():
    """Make an account with rows in many tables, and letters outside ASCII."""
    alice = make_user("alice", display_name="Älïçé 🍋 \\ \t\n")
    signed_in(alice)
    key_of(alice)
    enrolled(alice)
    keyring.rotate()
    return alice


def rows_of(file):
    with closing(sqlite3.connect(file)) as db:
        tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        own = [name for (name,) in tables if not name.startswith(("sqlite_", "django_migrations"))]
        rows = {name: db.execute(f'SELECT * FROM "{name}"').fetchall() for name in own}
    return {name: sorted(map(_plain, rows), key=repr) for name, rows in rows.items()}


def _plain(row):
    """Parse JSON, because PostgreSQL keeps neither spaces nor the order of keys."""
    return [json.loads(v) if str(v).startswith(("{", "[")) else v for v in row]


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_a_copy_to_postgresql_and_back_has_the_same_rows(postgres, tmp_path):
    alice = fill()
    last = alice.activity.latest("id").pk
    # The number of this event must not be given again.
    alice.activity.filter(pk=last)._raw_delete("default")
    # An earlier test may have given numbers of this table, which is empty here.
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM sqlite_sequence WHERE name = 'accounts_dailycount'")
    here = Path(connection.settings_dict["NAME"])
    there, back = postgres.database(), tmp_path / "back.sqlite3"

    report = copied(tmp_path, f"sqlite:///{here}", there)
    with psycopg.connect(there) as db:
        (new,) = db.execute(f"{EVENT} ('2026-01-01', 'x', '', true, 1) RETURNING id").fetchone()
        (next_event,) = db.execute(
            "SELECT nextval(pg_get_serial_sequence('accounts_activity', 'id'))"
        ).fetchone()
        db.rollback()
    copied(tmp_path, there, f"sqlite:///{back}")

    assert {t["name"]: t["rows"] for t in report["tables"]}["accounts_user"] == 1
    assert new == 1
    assert next_event == last + 1
    assert rows_of(here) == rows_of(back)


@pytest.mark.usefixtures("unblocked")
def test_a_target_with_tables_and_a_source_that_is_not_migrated_are_refused(
    postgres, small, tmp_path
):
    used = postgres.database()
    with psycopg.connect(used) as db:
        db.execute("CREATE TABLE precious (id int)")

    with pytest.raises(CommandError, match=r"The target is not empty: .*precious"):
        copy_here(small, used)
    with pytest.raises(CommandError, match="The source lacks"):
        copy_here(f"sqlite:///{tmp_path}/new.sqlite3", postgres.database())
    with pytest.raises(CommandError, match="name of a variable"):
        copy_here("mysql://root:hunter2@db/x", used)


@pytest.mark.usefixtures("unblocked")
def test_a_row_that_is_not_the_same_in_the_target_fails_the_comparison(
    monkeypatch, small, tmp_path
):
    write, target = databases._write_sqlite, tmp_path / "target.sqlite3"

    def changed(model, rows):
        is_count = model._meta.db_table == "accounts_dailycount"
        write(model, ((*row[:-1], 8) if is_count else row for row in rows))

    monkeypatch.setattr(databases, "_write_sqlite", changed)
    # The other test migrates its targets.
    tables = Site(data_dir=tmp_path, DATABASE_URL=f"sqlite:///{target}").make_database
    monkeypatch.setattr(copy_database, "_migrate", lambda _url: tables())

    with pytest.raises(CommandError, match="accounts_dailycount differs"):
        copy_here(small, f"sqlite:///{target}")
