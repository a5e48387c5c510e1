"""A migration on PostgreSQL waits for a table without making others wait."""

import psycopg
import pytest

from tests.support import dumps
from tests.support.site import Site

pytestmark = [pytest.mark.postgres, pytest.mark.proof]
# Changed by a migration after 1.0.0.
TABLE = "accounts_pendingsignup"


def test_a_migration_that_waits_for_a_transaction_names_it_gives_up_and_can_be_repeated(
    postgres, tmp_path
):
    url = postgres.database()
    dumps.restore("1.0.0", "postgres", url)
    site = Site(data_dir=tmp_path, migrate=False, DATABASE_URL=url)
    with psycopg.connect(url) as busy, psycopg.connect(url) as other:
        busy.execute(f"SELECT 1 FROM {TABLE}")  # its lock lasts until the transaction ends
        other.execute("SET lock_timeout = '1s'")

        with pytest.raises(AssertionError, match="Other transactions use the tables") as failed:
            site.manage("migrate", "--wait", "0")

        assert f"process {busy.info.backend_pid} of PostgreSQL" in str(failed.value)
        other.execute(f"SELECT 1 FROM {TABLE}")
        other.rollback()
        busy.rollback()
    site.manage("migrate")
    assert "[ ]" not in site.manage("showmigrations")
