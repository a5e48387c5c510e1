"""Health checks answer in time even if a dependency hangs, and metrics need a token."""

import re
import time

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.common import secrets
from accounts.mail import services as mail
from accounts.mail.message import Message
from accounts.ops import health, measurements
from accounts.tokens import keyring
from tests.support.api import call, get_tokens
from tests.support.process import LATER_SECONDS, slack, within
from tests.support.signin import set_up
from tests.support.site import Site, together
from tests.support.steps import PASSWORD, join, sign_in, sign_up

TOKEN = "figures-for-the-monitoring-of-this-site"
SITE = {"METRICS_TOKEN": TOKEN}
READY, LIVE, METRICS = "/health/ready", "/health/live", "/metrics"
SOON = 2.9
WELL = dict.fromkeys(("storage", "database", "migrations", "signing_key", "mail"), "ok")


def metrics(site):
    answer = site.client().get(METRICS, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status == 200
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def timed_request(site):
    began = time.monotonic()
    return site.client().get(READY), time.monotonic() - began


def test_health_reports_a_frozen_redis_or_database_in_time_to_many_clients(postgres, redis_server):
    """Withstands a failure."""
    with Site(DATABASE_URL=postgres.database(), REDIS_URL=redis_server.url) as site:
        assert call("token/", {"username": "x", "password": "x"}, client=site.client()).status
        assert site.client().get(READY).json() == {"limits": "ok", **WELL}
        time.sleep(1.1)
        with redis_server.process.frozen():
            answer, seconds = timed_request(site)
            # Requests are answered as usual: the database counts the limits.
            assert (answer.status, seconds < SOON) == (200, True)
            assert answer.json() == {"limits": "degraded", **WELL}
        time.sleep(1.1)
        with postgres.process.frozen():
            # Twice as many requests as the site has threads, and one that would wait behind them.
            answers = together(32, lambda _: timed_request(site))
            for answer, seconds in (*answers, timed_request(site)):
                assert (answer.status, seconds < 2 * SOON) == (503, True)
                assert answer.json()["database"] == "fails"
                assert int(answer.headers["Retry-After"]) > 0
            answer, seconds = timed_request(site)
            assert (answer.status, seconds < 1) == (503, True)
            assert site.client().get(LIVE).status == 200
        good = {"limits": "ok", **WELL}
        assert within(LATER_SECONDS, lambda: site.client().get(READY).json() == good)


def test_health_answers_name_no_software_and_no_ip(site):
    """Withstands a spy."""
    for path in (LIVE, READY, METRICS, "/health/", "/health/x", "/metrics/", "/metricsx"):
        # A monitor calls a node by its IP address, not by the site's name.
        answer = site.client(Host="192.0.2.9:8000").get(path)
        assert answer.status == (200 if path in {LIVE, READY} else 404)
        words = {"process", "detail", "code", "not_found", "ound", "request_id", *WELL}
        said = answer.text.replace(r"There\u2019s nothing at this URL.", "")
        said = said.replace(answer.headers["X-Request-ID"], "")
        assert set(re.findall(r"[a-z_]{3,}", said)) <= words
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.cookies == {}


def test_metrics_need_the_token(site):
    """Withstands a spy."""
    for said in ("", TOKEN, "Bearer ", "Bearer", f"bearer {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"):
        for more in ({}, {"X-Forwarded-For": "127.0.0.1"}):
            sent = {"Authorization": said.encode("utf-8").decode("latin-1"), **more}
            assert site.client().get(METRICS, headers=sent).status == 404, said
    assert site.client().get(f"{METRICS}?token={TOKEN}").status == 404
    assert metrics(site)['authsite_ready{dependency="database"}'] == 1


@pytest.mark.django_db
def test_metrics_are_off_without_a_token_in_the_settings(client):
    for said in ("Bearer ", "Bearer", ""):
        assert client.get(METRICS, headers={"Authorization": said}).status_code == 404


def test_metrics_count_events_and_clients_cannot_add_labels(site):
    """Withstands a flood."""
    before = metrics(site)
    client = site.client()
    sign_up(client, "mallory")
    for _ in range(7):
        sign_in(site.client(), "mallory", "wrong")
    for n in range(40):
        client.request(f"ODD{n}", f"/odd-{n}/?odd={n}", headers={"User-Agent": f"odd-{n}"})
        client.get(f"/accounts/owner/odd-{n}/")
    after = metrics(site)

    def growth(name):
        return after.get(name, 0) - before.get(name, 0)

    login = 'authsite_request_seconds_count{method="POST",status="%s",view="accounts/login/"}'
    assert growth('authsite_events_total{kind="sign_in_failed"}') == 5
    assert growth('authsite_limits_hit_total{limit="login.line"}') == 2
    assert growth(login % 429) == 2
    new = {name for name in after.keys() - before.keys() if "_bucket" not in name}
    assert len(new) < 30
    assert not [name for name in after if "odd" in name or "mallory" in name or PASSWORD in name]


def test_metrics_show_sessions_queues_the_daily_job_and_connections(postgres):
    with Site(DATABASE_URL=postgres.database(), **SITE) as site:
        for name in ("alice", "bob"):
            client = site.client()
            join(site, client, name)
        assert client.post("/accounts/logout/", {}).status == 302
        assert get_tokens("bob", client).status == 200
        site.manage("prune")
        name = site.env["DATABASE_URL"].rpartition("/")[2]
        with psycopg.connect(postgres.url(name), autocommit=True) as limit:
            limit.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 50")
            shown = metrics(site)

    sessions = {kind: shown[f'authsite_sessions{{kind="{kind}"}}'] for kind in ("browser", "api")}
    assert sessions == {"browser": 1, "api": 1}
    assert shown['authsite_mails_waiting{queue="codes"}'] == 0
    assert shown["authsite_exports_waiting"] == 0
    done = shown['authsite_last_success_timestamp_seconds{command="prune"}']
    assert 0 <= time.time() - done < LATER_SECONDS * slack()
    used = shown['authsite_database_connections{limit="database"}']
    assert 2 <= used <= shown['authsite_database_connections{limit="server"}']
    assert shown['authsite_database_connections_most{limit="database"}'] == 50
    assert shown['authsite_database_connections_most{limit="server"}'] == 197


@pytest.mark.django_db
def test_a_scrape_counts_no_rows_and_the_counts_of_a_minute_cost_six_statements(
    django_assert_num_queries,
):
    with django_assert_num_queries(6) as counted:
        for count in measurements.CHECKS.values():
            count()
    with CaptureQueriesContext(connection) as queries:
        for check in health.checks().values():
            check()

    assert "COUNT(" in str(counted.captured_queries)
    assert len(queries) <= 16
    assert "COUNT(" not in str(queries.captured_queries)


@pytest.mark.django_db
def test_health_reports_missing_migrations_a_lost_encryption_key_and_late_mails(clock, settings):
    checks = health.checks()
    assert {name: check() for name, check in checks.items()} == WELL
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'accounts' AND name LIKE '0001%'")
    assert checks["migrations"]() == "waiting"

    keyring.signer()
    assert checks["signing_key"]() == "ok"
    keyring.forget()
    lost = (secrets.encryption_key(),)
    set_up(settings, encryption_keys=lost)
    assert checks["signing_key"]() == "fails"

    mail.post(Message(to="alice@example.org", subject="Late", paragraphs=[]))
    clock.advance(minutes=14)
    assert checks["mail"]() == "ok"
    clock.advance(minutes=2)
    assert checks["mail"]() == "late"
    assert health.is_ready({"database": "ok", "mail": "late"})
