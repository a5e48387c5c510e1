"""The command as operators run it: in a process of its own, which may be killed."""

import csv
import sqlite3
import sys
from contextlib import closing

import pytest

from tests.support.imports import FILES
from tests.support.process import LATER_SECONDS, Process, within
from tests.support.site import ROOT, Site
from tests.support.steps import sql

PEOPLE = 5000


@pytest.fixture
def empty():
    site = Site()
    site.make_database()
    yield site
    site.__exit__()


def test_an_import_that_was_killed_goes_on_and_imports_each_person_once(empty, tmp_path):
    """Withstands a failure."""
    file = tmp_path / "people.csv"
    with file.open("w") as target:
        rows = ([f"otter-{n}", f"otter-{n}@example.org"] for n in range(PEOPLE))
        csv.writer(target).writerows([["username", "email"], *rows])
    words = ("import_users", str(file), "--from=csv")

    command = [sys.executable, "manage.py", *words]
    process = Process(command, tmp_path / "log", env=empty._environment, cwd=ROOT)
    assert within(LATER_SECONDS, lambda: sql(empty, "SELECT 1 FROM accounts_user LIMIT 1"))
    process.kill()

    ((before,),) = sql(empty, "SELECT rows FROM accounts_importedfile")
    assert 0 < before < PEOPLE
    counts = f"already imported: {before}\nimported: {PEOPLE - before}\nrefused: 0\n"
    assert empty.manage(*words).endswith(counts)
    assert sql(empty, "SELECT count(*) FROM accounts_user") == [(PEOPLE,)]
    assert sql(empty, "SELECT count(*) FROM accounts_user WHERE username LIKE '%-%-%'") == [(0,)]


def test_the_database_of_django_is_read_by_its_url(empty, tmp_path):
    file = tmp_path / "old.sqlite3"
    with closing(sqlite3.connect(file)) as disk:
        disk.executescript((FILES / "django.sql").read_text())
    empty.env["OLD"] = f"sqlite:///{file}"

    assert "imported: 2" in empty.manage("import_users", "OLD", "--from=django")

    assert "already imported: 2" in empty.manage("import_users", "OLD", "--from=django")
    counts = {"user_groups": 1, "emailaddress": 1, "pendingemail": 2, "authenticator": 2}
    for table, count in (counts | {"recoverycodes": 2, "identity": 1}).items():
        assert sql(empty, f"SELECT count(*) FROM accounts_{table}") == [(count,)]
