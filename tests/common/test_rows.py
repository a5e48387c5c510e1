"""Rows of raw SQL statements equal those that Django reads, on both databases."""

from pathlib import Path

import pytest

from tests.support.services import Postgres
from tests.support.site import Site

# Rows with all kinds of columns of the two models, including empty and unusual values.
SCRIPT = """
from datetime import timedelta
from django.db import connection
from accounts.common import clock
from accounts.common.rows import Columns, parameter
from accounts.sessions.models import LoginSession
from accounts.users.models import User

user = User.objects.create(username="ünïcode'\\"%s", password="!", display_name="Zoë ☃ \\U0001f600")
now = clock.now()
full = LoginSession.objects.create(
    user=user, kind="api", agent="x" * 255, amr=["pwd", "otp", "ü\\"'"], auth_time=now,
    factor_at=now, is_remembered=True, idle_at=now, ends_at=now + timedelta(days=30),
    ended_at=now.replace(microsecond=0), rotated_at=now, scope="read write",
)
bare = LoginSession.objects.create(user=user, auth_time=now, idle_at=now, ends_at=now)

def stored(row):
    return [(f.attname, type(getattr(row, f.attname)), getattr(row, f.attname))
            for f in row._meta.concrete_fields]

def raw(row, alias=""):
    columns, meta = Columns(type(row), alias), row._meta
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns.sql} FROM {meta.db_table} {alias} WHERE id = %s",
                       [parameter(row.pk)])
        (read,) = cursor.fetchall()
    assert len(read) == len(columns)
    return columns.instance(read)

for row in (user, full, bare):
    read, expected = raw(row), type(row).objects.get(pk=row.pk)
    assert stored(read) == stored(raw(row, "s")) == stored(expected), (stored(read), row)
    assert read == expected and not read._state.adding and read._state.db == "default"

with connection.cursor() as cursor:
    cursor.execute(
        "SELECT count(*) FROM accounts_loginsession WHERE idle_at >= %s AND ends_at > %s",
        [parameter(now)] * 2,
    )
    print(connection.vendor, cursor.fetchone()[0])
"""


@pytest.mark.django_db
def test_rows_of_raw_sql_equal_djangos_in_value_and_type_on_sqlite(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exec(SCRIPT, {})  # noqa: S102 the test on PostgreSQL runs the same script in a shell

    assert capsys.readouterr().out.split() == ["sqlite", "1"]


def test_rows_of_raw_sql_equal_djangos_in_value_and_type_on_postgresql(
    postgres: Postgres, tmp_path: Path
) -> None:
    site = Site(data_dir=tmp_path, DATABASE_URL=postgres.database())
    site.make_database()

    says = site.manage("shell", "--no-imports", "-c", SCRIPT)

    assert says.split() == ["postgresql", "1"]
