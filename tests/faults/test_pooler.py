"""The site behind PgBouncer, which gives each transaction one of a few connections."""

import sqlite3
import time
from contextlib import ExitStack, closing

import psycopg
import pytest

from tests.support import dumps
from tests.support.api import call, get_tokens, renew
from tests.support.outages import READY
from tests.support.process import LATER_SECONDS, slack, within
from tests.support.services import PgBouncer
from tests.support.site import CHEAP_HASHES, Site, together
from tests.support.steps import join, sign_in

pytestmark = [pytest.mark.postgres, pytest.mark.proof]
POOL = 3
AT_ONCE = 12
URL = "DATABASE_URL"
# The promise is five seconds. The rest is for a machine that runs other tests at the same time.
ANSWER_SECONDS = 8.0
WAITING = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
EVENTS = 2_000
# What one transaction must not leave to others in their connection.
LEFT = """
SELECT name, setting FROM pg_settings
WHERE source = 'session' AND name NOT IN ('client_encoding', 'TimeZone')
UNION ALL SELECT 'cursor', name FROM pg_cursors
UNION ALL SELECT 'prepared', name FROM pg_prepared_statements WHERE NOT from_sql
UNION ALL SELECT 'lock', mode FROM pg_locks WHERE locktype = 'advisory'
"""
HISTORY = f"""
INSERT INTO accounts_activity
    (user_id, at, kind, detail, ip, browser, system, proof, session, actor, key, reason)
SELECT id, now(), 'signed_in', i, '127.0.0.1', '', '', 'pwd', NULL, '', '', ''
FROM accounts_user, generate_series(1, {EVENTS}) i WHERE username = 'erin'
"""
DATA = "/accounts/data/"


@pytest.fixture(scope="module")
def pooled(postgres, tmp_path_factory):
    """A site on a database of the first release, which was migrated through PgBouncer."""
    url = postgres.database()
    kept = dumps.restore("1.0.0", "postgres", url)
    with PgBouncer(postgres, POOL) as pooler:
        env = {name: kept[name] for name in ("SECRET_KEY", "ENCRYPTION_KEYS")}
        env |= {"DATABASE_URL": pooler.url(url.rpartition("/")[2]), "LIMITS_SCALE": "1000"}
        site = Site(
            data_dir=tmp_path_factory.mktemp("pooled"), migrate=False, **env, **CHEAP_HASHES
        )
        site.manage("migrate", "--verbosity", "0")
        with site, psycopg.connect(url, autocommit=True) as direct:
            yield site, direct


def test_pages_the_api_and_commands_work_and_leave_nothing_in_a_connection(pooled, tmp_path):
    site, direct = pooled
    erin = site.client()
    join(site, erin, "erin")
    direct.execute(HISTORY)
    get_tokens("erin", site.client())  # loads what threads cannot load at once

    def visit(_number):
        browser = site.client()
        signed_in = sign_in(browser, "erin").status
        tokens = renew(get_tokens("erin", site.client())["refresh"], site.client())
        called = call("me/", client=site.client(), token=tokens["access"]).status
        csv = browser.get("/accounts/activity/activity.csv")
        return signed_in, called, csv.status, csv.text.count("\n") > EVENTS

    assert set(together(AT_ONCE, visit)) == {(302, 200, 200, True)}
    erin.post(DATA, {}, csrf=erin.csrf(DATA))
    assert within(LATER_SECONDS, lambda: 'name="download"' in erin.get(DATA).text)
    assert '"username": "erin"' in site.manage("export_users")
    (tmp_path / "new.csv").write_text("username,email\nwalter,walter@example.org\n")
    site.manage("import_users", "--from", "csv", str(tmp_path / "new.csv"))
    for command in ("prune", "reencrypt", "migrate"):
        site.manage(command)
    site.manage("copy_database", "DATABASE_URL", f"sqlite:///{tmp_path}/copy.sqlite3")

    with pytest.raises(AssertionError, match="PgBouncer"):
        site.manage("backup", str(tmp_path))

    with closing(sqlite3.connect(tmp_path / "copy.sqlite3")) as copy:
        assert copy.execute("SELECT count(*) FROM accounts_activity").fetchone()[0] > EVENTS
    assert direct.execute("SELECT 1 FROM accounts_user WHERE username = 'walter'").fetchone()
    with ExitStack() as stack:
        clients = [stack.enter_context(psycopg.connect(site.env[URL])) for _ in range(POOL)]
        assert [client.execute(LEFT).fetchall() for client in clients] == [[]] * POOL


def test_a_query_that_takes_too_long_is_cancelled_and_others_are_answered(pooled):
    site, direct = pooled
    join(site, site.client(), "frank")
    tokens = get_tokens("frank", site.client())
    with direct.transaction():
        direct.execute("LOCK TABLE accounts_user IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        answer = call("me/", client=site.client(), token=tokens["access"])
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert time.monotonic() - started < ANSWER_SECONDS * slack()
        assert not direct.execute(WAITING).fetchall()
        assert site.client().get(READY).json()["database"] == "ok"
