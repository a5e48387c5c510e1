"""One process migrates at a time, nodes wait for it, and nobody waits for a table for long."""

import re

import psycopg
import pytest

from tests.support import dumps
from tests.support.nodes import POSTGRES_PROVED, database
from tests.support.outages import READY
from tests.support.process import LATER_SECONDS, run, within
from tests.support.site import MANAGE_SECONDS, ROOT, Site, together
from tests.support.steps import CONFIRM, code_in, sign_up, sql

# Changed by a migration after 1.0.0.
TABLE = "accounts_pendingsignup"
INDEX = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('users_by_change')"


@pytest.mark.parametrize("engine", POSTGRES_PROVED)
def test_containers_that_start_at_once_migrate_and_apply_a_settings_file_in_turn(
    request, engine, tmp_path
):
    file = tmp_path / "settings.toml"
    file.write_text(
        "[groups.Editors]\n[apps.wiki]\nname = 'Wiki'\nredirect_uris = ['https://wiki.example.org/']\n"
    )
    site = Site(
        data_dir=tmp_path, migrate=False, SETTINGS_FILE=str(file), **database(request, engine)
    )
    job, compose = (
        " ".join((ROOT / "deploy" / name).read_text().split())
        for name in ("kubernetes/authsite.yaml", "compose.yaml")
    )
    line = re.search(r"- sh - -c - (\S+ manage.py migrate && \S+ manage.py apply) ", job)[1]
    assert f"{line} && " in compose
    command = line.replace(".venv/bin/python", site.python)

    def start(_number):
        return run("sh", "-c", command, seconds=MANAGE_SECONDS, cwd=ROOT, env=site._environment)

    printed = together(3, start)

    assert "[ ]" not in site.manage("showmigrations")
    assert sum("new groups.Editors\nnew apps.wiki" in text for text in printed) == 1
    assert sum("Nothing differs." in text for text in printed) == 2


def test_a_node_waits_for_its_migrations_and_runs_on_a_database_that_is_newer():
    """Withstands a failure."""
    with Site() as site:
        sql(site, "INSERT INTO django_migrations VALUES (NULL, 'accounts', '9999_newer', '')")
        assert site.client().get(READY).status == 200
        site.stop()
        # Later migrations do not depend on it, and it can run twice.
        sql(site, "DELETE FROM django_migrations WHERE name = '0002_roles'")

        site.start()
        refused, login = site.client().get(READY), site.client().get("/accounts/login/")
        assert (refused.status, refused.json()["migrations"]) == (503, "waiting")
        assert (login.status, login.headers["Retry-After"]) == (503, "5")
        assert "Waiting for 1 migrations" in site.log()

        site.manage("migrate", "--verbosity", "0")
        assert within(LATER_SECONDS, lambda: site.client().get(READY).status == 200)
        bob = site.client()
        sign_up(bob, "bob")
        assert bob.post(CONFIRM, {"code": code_in(site.wait_for_mail(to="bob@"))}).location == "/"


@pytest.mark.postgres
@pytest.mark.proof
def test_a_migration_that_waits_for_a_transaction_names_it_gives_up_and_can_be_repeated(
    postgres, tmp_path
):
    url = postgres.database()
    dumps.restore("1.0.0", "postgres", url)
    site = Site(data_dir=tmp_path, migrate=False, DATABASE_URL=url)
    with psycopg.connect(url) as busy, psycopg.connect(url) as other:
        # Its lock lasts until the transaction ends.
        busy.execute(f"SELECT email FROM {TABLE} WHERE 123 < 4 OR email = 'bob@example.org'")
        other.execute("SET lock_timeout = '1s'")

        with pytest.raises(AssertionError, match="Other transactions use the tables") as failed:
            site.manage("migrate", "--wait", "0")

        assert f"process {busy.info.backend_pid} of PostgreSQL" in str(failed.value)
        shown = f"idle in transaction: SELECT email FROM {TABLE} WHERE ? < ? OR email = \n"
        assert shown in str(failed.value)
        other.execute(f"SELECT 1 FROM {TABLE}")
        other.rollback()
        busy.rollback()
    site.manage("migrate")
    assert "[ ]" not in site.manage("showmigrations")


@pytest.mark.postgres
@pytest.mark.proof
def test_an_index_of_a_table_with_rows_is_built_last_and_again_if_that_was_interrupted(
    postgres, tmp_path
):
    url = postgres.database()
    dumps.restore("1.0.0", "postgres", url)
    site = Site(data_dir=tmp_path, migrate=False, DATABASE_URL=url)
    site.manage("migrate", "accounts", "0026")
    assert not sql(site, INDEX)
    site.manage("migrate")
    assert sql(site, INDEX) == [(True,)]
    sql(site, f"UPDATE pg_index SET indisvalid = false WHERE {INDEX.partition('WHERE')[2]}")
    site.manage("migrate")
    assert sql(site, INDEX) == [(True,)]
