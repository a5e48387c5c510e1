"""The primary server of PostgreSQL dies or freezes, and its standby server is promoted.

``docs/operating.md`` says under "A database that may die" what an operator does.
"""

import threading
import time
from contextlib import contextmanager
from itertools import pairwise

import psycopg
import pytest

from tests.support.api import get_tokens, renew
from tests.support.process import LATER_SECONDS, slack, within
from tests.support.services import Postgres
from tests.support.site import CHEAP_HASHES, Site
from tests.support.steps import member

pytestmark = [pytest.mark.postgres, pytest.mark.proof, pytest.mark.alone]
AT_ONCE = 3
# A query takes 4 s until it is cancelled, and that half a second. For 2 s, the process uses no
# connection. A new one takes 2 s for the dead host. The rest is for a busy machine.
GAP_SECONDS = 4.5 + 2.0 + 2.0 + 2.0


@pytest.fixture
def pair():
    with Postgres() as one, Postgres() as two:
        yield one, two


def follow(standby, primary):
    """Make a cluster the synchronous standby server of another one."""
    standby.follow(primary)
    change(primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
    with psycopg.connect(primary.url("postgres"), autocommit=True) as db:
        state = "SELECT sync_state FROM pg_stat_replication"
        assert within(LATER_SECONDS, lambda: db.execute(state).fetchall() == [("sync",)])


def promote(standby):
    change(standby, "SELECT pg_promote()", "ALTER SYSTEM RESET synchronous_standby_names")


def change(cluster, *statements):
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as db:
        for statement in (*statements, "SELECT pg_reload_conf()"):
            db.execute(statement)


def kill(primary, standby):
    primary.process.kill()
    promote(standby)


def freeze_and_kill(primary, standby):
    with primary.process.frozen():
        time.sleep(1)
        primary.process.kill()
        promote(standby)


def freeze_and_kill_late(primary, standby):
    """Let the former primary server come back, which does not know that it is none."""
    with primary.process.frozen():
        promote(standby)
        time.sleep(GAP_SECONDS)
    time.sleep(3)
    primary.process.kill()


@contextmanager
def signing_in(site):
    """Sign in again and again; yield when that has succeeded, and with which refresh token."""
    confirmed, over = [(time.monotonic(), "")], threading.Event()

    def sign_in():
        while not over.wait(0.1):
            answer = get_tokens("alice", site.client())
            if answer.status == 200:
                confirmed.append((time.monotonic(), answer["refresh"]))

    threads = [threading.Thread(target=sign_in) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    try:
        yield confirmed
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_no_sign_in_that_the_site_has_confirmed_is_lost(pair, record_property):
    """Withstands a failure.

    The cluster that the URL names first is the primary server twice, the other one once.
    """
    one, two = pair
    Site(DATABASE_URL=one.database()).make_database()
    follow(two, one)
    env = {"DATABASE_URL": f"postgres://postgres@127.0.0.1:{one.port},127.0.0.1:{two.port}/test1"}
    env |= {"LIMITS_SCALE": "100000", "MAX_SESSIONS": "100000", **CHEAP_HASHES}
    with Site(migrate=False, **env) as site:
        member(site, "alice")
        get_tokens("alice", site.client())
        for primary, standby, end in (
            (one, two, kill),
            (two, one, freeze_and_kill),
            (one, two, freeze_and_kill_late),
        ):
            with signing_in(site) as confirmed:
                assert within(LATER_SECONDS, lambda c=confirmed: len(c) > 10)
                end(primary, standby)
                ended = time.monotonic()
                assert within(LATER_SECONDS, lambda c=confirmed, e=ended: c[-1][0] > e + 1)
            times = [at for at, _ in confirmed]
            gap = max(after - before for before, after in pairwise(times))
            record_property(end.__name__, gap)
            assert gap < GAP_SECONDS * slack(), end
            lost = [
                token for _, token in confirmed[1:] if renew(token, site.client()).status != 200
            ]
            assert lost == [], end
            follow(primary, standby)
        exported = Site(migrate=False, **env | {"DATABASE_REPLICA_URL": one.url("test1")})
        assert '"username": "alice"' in exported.manage("export_users")
