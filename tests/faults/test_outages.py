"""What the site says, logs and reports to monitors while its database or Redis cannot be used."""

import json
import os
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from types import SimpleNamespace

import psycopg
import pytest
from django.db import Error
from django.db.utils import ConnectionHandler
from redis import Redis

from accounts.common.setting_parsers import parse_database_url
from accounts.ops.health import check, is_ready
from authsite.errors import api_error, server_error
from authsite.postgresql import base
from tests.support.api import call, get_tokens
from tests.support.outages import (
    FULL,
    READY,
    RECOVERY_SECONDS,
    children,
    client,
    full_disk,
    log_lines,
    storage,
)
from tests.support.process import LATER_SECONDS, free_port, within
from tests.support.site import Site, production
from tests.support.standards import proves
from tests.support.steps import PASSWORD, join, sign_up, sql

# What a sign-in or a sign-up stores.
STORED = " UNION ALL ".join(
    f"SELECT count(*) FROM accounts_{table}"
    for table in ("loginsession", "activity", "pendingsignup", "outgoingmail")
)
FULL_TABLE = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END
$$;
CREATE TRIGGER full_disk BEFORE INSERT ON accounts_loginsession
EXECUTE FUNCTION full_disk();
"""


def connection_to(url):
    database = parse_database_url(url) | {"ENGINE": "authsite.postgresql"}
    return ConnectionHandler({"default": database})["default"]


@proves("V16.5.3")
@pytest.mark.django_db
def test_a_request_whose_transaction_ends_while_its_process_is_paused_gets_503(
    postgres, rf, monkeypatch
):
    """Withstands a failure.

    PostgreSQL ends a transaction in which the site has asked nothing for 15 seconds.
    """
    monkeypatch.setattr(base, "BEGIN", base.BEGIN.replace("15s", "100ms"))
    connection = connection_to(postgres.database())
    connection.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as other:
            live = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
            assert within(LATER_SECONDS, lambda: not other.execute(live, [pid]).fetchone())
        try:
            cursor.execute("SELECT 1")
        except Error as error:
            answers = [server_error(rf.get("/")), api_error(error, {})]
    connection.close()

    told = [(answer.status_code, answer["Retry-After"]) for answer in answers if answer]
    assert told == [(503, "5")] * 2


@pytest.mark.django_db
def test_connections_to_a_server_that_is_no_longer_the_primary_are_replaced(postgres, monkeypatch):
    connection = connection_to(postgres.database())
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        with pytest.raises(Error, match="read-only"):
            cursor.execute("CREATE TABLE one ()")
    connection.close_if_unusable_or_obsolete()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE one ()")
    assert connection.is_usable()
    # Another connection of this process was made to the server that was promoted.
    monkeypatch.setitem(base._last, "host", ("10.0.0.2", "5432"))
    assert not connection.is_usable()
    connection.close()


@pytest.mark.django_db
def test_a_statement_that_was_prepared_runs_after_a_migration_and_on_another_server(postgres):
    url = postgres.database()
    connections = [connection_to(url) for _ in range(2)]

    def fetch(connection, text):
        with connection.prepared_cursor() as cursor:
            return cursor.execute(text).fetchall()

    def names(connection):
        for _ in range(base.PREPARED_AFTER + 1):
            assert fetch(connection, "SELECT name FROM one") == [("x",)]
        return {name for (name,) in fetch(connection, "SELECT name FROM pg_prepared_statements")}

    with connections[0].cursor() as cursor:
        cursor.execute("CREATE TABLE one AS SELECT 'x'::varchar(5) AS name")
    of_first, of_second = map(names, connections)
    assert of_first
    assert of_second - of_first == of_second
    with connections[0].cursor() as cursor:
        cursor.execute("ALTER TABLE one ALTER name TYPE varchar(9)")
    with connections[1].cursor() as cursor:
        cursor.execute(f"DEALLOCATE {of_second.pop()}")
    for connection in connections:
        assert fetch(connection, "SELECT name FROM one") == [("x",)]
        connection.close()


def test_a_url_without_a_host_names_the_socket():
    with pytest.raises(psycopg.OperationalError, match="on socket"):
        connection_to(f"postgres://postgres@:{free_port()}/x").connect()


@pytest.fixture
def https(tmp_path):
    """A site whose log is in JSON; its clients seem to come through a TLS proxy."""
    with production(tmp_path, "https://accounts.example.org", LIMITS_SCALE="100") as site:
        yield site


@proves("V16.3.4")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process")
def test_a_full_disk_is_named_logged_and_reported_until_there_is_room(https):
    """Withstands a failure."""
    join(https, client(https), "alice")
    assert storage(https) == (200, "ok")
    before = sql(https, STORED)
    with full_disk(https):
        answer = call("token/", {"username": "alice", "password": PASSWORD}, client=client(https))
        assert (answer.status, answer["detail"]) == (503, FULL)
        page = sign_up(client(https), "bob")
        assert (page.status, "can’t save anything" in page.text) == (503, True)
        assert within(LATER_SECONDS, lambda: storage(https) == (503, "fails"))
        assert sql(https, STORED) == before
    assert within(RECOVERY_SECONDS, lambda: storage(https) == (200, "ok"))
    assert get_tokens("alice", client(https))["access"]
    called, shown = log_lines(https, "disk of the database is full")
    assert called["request_id"] == answer.headers["x-request-id"]
    assert shown["request_id"] == page.headers["X-Request-ID"]


def test_a_full_disk_of_the_database_server_is_reported_as_well(postgres):
    with Site(DATABASE_URL=postgres.database()) as site:
        join(site, site.client(), "alice")
        with psycopg.connect(site.env["DATABASE_URL"], autocommit=True) as other:
            other.execute(FULL_TABLE)
            body = {"username": "alice", "password": PASSWORD}

            def is_reported():
                answer = call("token/", body, client=site.client())
                assert (answer.status, answer["detail"]) == (503, FULL)
                return storage(site) == (503, "fails")

            assert within(LATER_SECONDS, is_reported)
            other.execute("DROP FUNCTION full_disk CASCADE")
        assert within(RECOVERY_SECONDS, lambda: storage(site) == (200, "ok"))


def ready(site):
    """Return the status, and the dependencies that are not ok."""
    answer = site.client().get(READY)
    return answer.status, {name: word for name, word in answer.json().items() if word != "ok"}


def test_a_database_that_only_reads_or_has_no_connection_left_is_not_ready(postgres):
    """Withstands a failure."""
    with Site(DATABASE_URL=postgres.database()) as site:
        url = site.env["DATABASE_URL"]
        name = url.rpartition("/")[2]
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("CREATE ROLE clerk LOGIN")
            owner.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk")
            with Site(DATABASE_URL=url.replace("postgres@", "clerk@"), migrate=False) as node:
                faults = {
                    f"DATABASE {name} SET default_transaction_read_only = ": ("on", "off"),
                    "ROLE clerk CONNECTION LIMIT ": ("0", "-1"),
                }
                for setting, (bad, good) in faults.items():
                    assert within(RECOVERY_SECONDS, lambda: ready(node) == (200, {}))
                    owner.execute(f"ALTER {setting}{bad}")
                    assert within(RECOVERY_SECONDS, lambda: ready(node)[0] == 503), setting
                    assert ready(node)[1]["database"] == "fails"
                    owner.execute("SET default_transaction_read_only = off")
                    owner.execute(f"ALTER {setting}{good}")
                assert within(RECOVERY_SECONDS, lambda: ready(node) == (200, {}))


def test_a_node_that_waits_for_a_lock_stays_in_service(postgres):
    url = postgres.database()
    with Site(DATABASE_URL=url) as site, psycopg.connect(url) as other:
        other.execute("LOCK TABLE accounts_lastsuccess, accounts_outgoingmail")
        late = {"database": "degraded", "mail": "degraded"}
        assert within(RECOVERY_SECONDS, lambda: ready(site) == (200, late)), ready(site)
    with Site() as site, closing(sqlite3.connect(site.data_dir / "db.sqlite3")) as other:
        other.execute("BEGIN IMMEDIATE")
        assert within(RECOVERY_SECONDS, lambda: ready(site) == (200, {"database": "degraded"}))


def test_redis_without_memory_for_more_keys_is_degraded(redis_server):
    with Site(REDIS_URL=redis_server.url) as site, Redis.from_url(redis_server.url) as client:
        assert ready(site) == (200, {})
        client.config_set("maxmemory", "1")
        assert within(RECOVERY_SECONDS, lambda: ready(site) == (200, {"limits": "degraded"}))
        assert call("token/", {"username": "x", "password": PASSWORD}, client=site.client()).status
        client.config_set("maxmemory", "0")


def test_an_almost_full_disk_is_reported_and_logged_but_serves(monkeypatch, caplog):
    usage = SimpleNamespace(total=100 << 30, free=(1 << 30) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)

    assert [check(), check()] == ["low", "low"]
    assert [record.message for record in caplog.records] == [
        "The disk of the database is almost full: 1023 MB are free"
    ]
    assert is_ready({"storage": "low"})


@proves("V16.2.1", "V16.2.2")
def test_every_line_of_the_log_in_production_is_json(https):
    """Withstands a failure."""
    (worker,) = children(https.process)
    os.kill(worker, signal.SIGKILL)
    assert within(LATER_SECONDS, lambda: children(https.process) not in ([], [worker]))

    events = [json.loads(line)["event"] for line in https.log().splitlines()]
    assert "authsite is at https://accounts.example.org" in events
    assert "Unexpected exit from worker-1" in events


def test_a_redis_that_does_not_answer_at_start_is_named_in_the_log():
    with Site(REDIS_URL=f"redis://:hunter2@127.0.0.1:{free_port()}/0") as site:
        assert within(LATER_SECONDS, lambda: "REDIS_URL: Redis cannot be used" in site.log())
        assert "hunter2" not in site.log()
