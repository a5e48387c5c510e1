"""Finding a key among very many is one look into an index, on both databases."""

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from accounts.apikeys import services, text
from accounts.apikeys.models import APIKey
from tests.attacks.key_steps import is_alive, key_of
from tests.support.site import Site
from tests.support.steps import make_user

COLUMNS = "id, user_id, digest, name, scope, made_at, address"
VALUES = "'bot', 'read', '2026-01-01 00:00:00', ''"
# What asks for a key, as the site says it.
FIND = services._FOUND._sql


def fill_sqlite(user: Any, n: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO accounts_apikey ({COLUMNS}) "  # noqa: S608 names of columns
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s) "
            f"SELECT printf('%%016x', i), %s, printf('%%064x', i), {VALUES} FROM n",
            [n, user.pk.hex],
        )


@pytest.mark.django_db
@pytest.mark.parametrize("n", [100_000, pytest.param(1_000_000, marks=pytest.mark.proof)])
def test_a_key_is_found_by_its_id_on_sqlite(n: int) -> None:
    alice = make_user("alice")
    key = key_of(alice)
    fill_sqlite(alice, n)
    assert APIKey.objects.count() == n + 1

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {FIND}", {"id": text.id_of(key)})
        plan = [row[-1] for row in cursor.fetchall()]

    assert any(step.startswith("SEARCH o USING INDEX") and "(id=?)" in step for step in plan), plan
    assert not [step for step in plan if step.startswith("SCAN")], plan
    assert is_alive(key)


def fill_postgres(connection: Any, n: int) -> None:
    connection.execute(
        "INSERT INTO accounts_user (id, password, is_superuser, username, username_key, email, "
        "is_active, is_staff, date_joined, credential_version, display_name, about, language, "
        "time_zone) VALUES (gen_random_uuid(), '!', false, 'alice', 'alice', '', true, false, "
        "now(), 0, '', '', '', 'UTC')"
    )
    connection.execute(
        f"INSERT INTO accounts_apikey ({COLUMNS}) "  # noqa: S608 names of columns
        "SELECT lpad(to_hex(i), 16, '0'), (SELECT id FROM accounts_user), "
        f"lpad(to_hex(i), 64, '0'), {VALUES} FROM generate_series(1, {n}) i"
    )
    connection.execute("ANALYZE")


@pytest.mark.proof
def test_a_key_is_found_by_its_id_on_postgresql(postgres: Any, tmp_path: Path) -> None:
    site = Site(data_dir=tmp_path, DATABASE_URL=postgres.database())
    site.make_database()
    values = {"id": "0" * 12 + "00ff"}
    with psycopg.connect(site.env["DATABASE_URL"], autocommit=True) as database:
        fill_postgres(database, 1_000_000)
        plan = "\n".join(row[0] for row in database.execute(f"EXPLAIN ANALYZE {FIND}", values))

    assert re.search(r"Index Scan using \w+ on accounts_apikey o", plan), plan
    assert "Index Cond: ((id)::text = " in plan, plan
