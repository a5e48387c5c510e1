"""The event feed."""

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.staffapi import details
from tests.support.administration import token_of
from tests.support.api import call
from tests.support.erasure import erase

FEED = "admin/events/"


def a_token():
    return token_of("Auditor", scope="admin:read")


def test_the_feed_lists_what_webhooks_tell_once_it_is_a_minute_old(alice, clock):
    record(alice, events.SIGNED_IN, Actor())
    user = str(alice.pk)
    erase(alice)
    row, token = Activity.objects.get(kind="erased"), a_token()
    assert call(FEED, token=token)["results"] == []
    clock.advance(minutes=1)
    record(None, events.ERASED, Actor(), detail=user)

    (shown,) = call(FEED, token=token)["results"]

    assert shown.pop("timestamp")
    assert shown == {
        **{"id": row.pk, "type": "user.deleted", "event": "erased", "user": user},
        **{"by": "site", "actor": None, "session": None},
    }


def test_nothing_appears_behind_an_id_that_was_read(alice, clock):
    """Withstands a failure: an event commits late."""
    token = a_token()
    clock.advance(minutes=2)
    early = record(alice, events.RENAMED, Actor())
    clock.advance(seconds=-90)
    record(alice, events.LOCKED_DOWN, Actor())
    clock.advance(seconds=90)

    shown = call(FEED, token=token)["results"]
    assert early.pk not in [each["id"] for each in shown]
    assert "user.locked" not in [each["type"] for each in shown]


def test_the_feed_waits_for_transactions_that_take_longer_than_a_minute(alice, clock, monkeypatch):
    token, began = a_token(), clock.now()
    monkeypatch.setattr(details, "_oldest_write", lambda: began)
    record(alice, events.RENAMED, Actor())
    clock.advance(minutes=3)
    assert call(FEED, token=token)["results"] == []
    monkeypatch.setattr(details, "_oldest_write", clock.now)

    assert "user.updated" in [each["type"] for each in call(FEED, token=token)["results"]]


@pytest.mark.postgres
def test_postgresql_says_when_the_oldest_transaction_that_writes_began(postgres):
    url = postgres.database()

    def connect():
        return psycopg.connect(url, autocommit=True)

    with connect() as writer, connect() as reader, connect() as feed:
        writer.execute("CREATE TABLE events (id serial)")
        reader.execute("BEGIN; SELECT * FROM events")
        assert feed.execute(details.OLDEST).fetchone() == (None,)
        writer.execute("BEGIN; INSERT INTO events DEFAULT VALUES")
        (began,) = writer.execute("SELECT now()").fetchone()
        assert feed.execute(details.OLDEST).fetchone() == (began,)
        writer.execute("COMMIT")
        assert feed.execute(details.OLDEST).fetchone() == (None,)


def test_the_feed_goes_on_after_an_id(alice, clock):
    token = a_token()
    Activity.objects.all()._raw_delete("default")
    rows = [record(alice, events.PASSWORD_SET, Actor()) for _ in range(51)]
    clock.advance(minutes=1, seconds=1)

    first = call(FEED, token=token)
    after = first["next"].rpartition("/")[2]
    second = call(f"{FEED}{after}", token=token)

    assert [each["id"] for each in first["results"] + second["results"]] == [r.pk for r in rows]
    assert second["next"] is None
    for wrong in ("x", "-1", "1e3", "9" * 20, "1&after=2"):
        assert call(f"{FEED}?after={wrong}", token=token).status == 400


def test_the_feed_reads_no_more_of_a_long_history_than_it_shows(alice, clock):
    """Withstands a flood: the event feed is polled.

    Otherwise each call would search years of events.
    """
    token = a_token()
    Activity.objects.all()._raw_delete("default")
    rows = [record(alice, events.PASSWORD_SET, Actor()) for _ in range(52)]
    clock.advance(minutes=2)

    with CaptureQueriesContext(connection) as queries:
        call(f"{FEED}?after={rows[0].pk - 1}", token=token)

    [looked] = [query["sql"] for query in queries if "MIN(" in query["sql"]]
    assert f'"id" > {rows[0].pk - 1}' in looked
    assert f'"id" <= {rows[50].pk}' in looked


def test_only_staff_with_a_recent_factor_read_the_feed(alice, token):
    answers = [call(FEED), call(FEED, token=token)]

    assert [answer.status for answer in answers] == [401, 401]
