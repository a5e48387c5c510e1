"""Small things that all packages share."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from accounts.activity import services
from accounts.activity.models import Activity
from accounts.common import clock, database, localization
from accounts.common.database import P, PreparedInsert, PreparedQuery
from accounts.common.pages import PAGE_SIZE, page_of, safe_next
from accounts.users.models import User
from tests.support.standards import proves
from tests.support.steps import make_user

# A Wednesday; in Tokyo it is Thursday already.
NOW = datetime(2026, 11, 25, 20, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _now(clock):
    clock.set(NOW)


@pytest.mark.parametrize(
    "hours, words",
    [(0, "Today, 20:30 UTC"), (21, "Yesterday, 23:30 UTC"), (48, "Monday, 20:30 UTC"),
     (6 * 24, "Thursday, 20:30 UTC"), (7 * 24, "18 November 2026, 20:30 UTC"),
     (-24, "26 November 2026, 20:30 UTC")],
)  # fmt: skip
def test_a_moment_of_the_last_week_is_told_by_its_day(hours, words):
    assert localization.in_words(NOW - timedelta(hours=hours)) == words


def test_days_and_times_are_those_of_the_reader():
    with timezone.override(ZoneInfo("Asia/Tokyo")), translation.override("de"):
        assert localization.in_words(NOW) == "Heute, 05:30"
        assert localization.date_in_words(NOW) == "26. November 2026"


def test_lists_and_dates_have_the_marks_of_their_language():
    marks = {"en": "a, b; c", "ar": "a، b؛ c", "fr": "a, b\xa0; c", "ja": "a、b；c"}

    for language, text in marks.items():
        with translation.override(language):
            assert localization.listed([localization.listed("ab"), "c"], ";") == text
    with translation.override("ar"):
        assert localization.in_words(NOW - timedelta(hours=48)) == "الاثنين، 20:30 UTC"
    with translation.override("ja"):
        assert localization.in_words(NOW - timedelta(hours=48)) == "月曜日 20:30 UTC"
    said = "パスワードが変更されました"
    assert localization.without_full_stop(f"{said}。") == said
    assert localization.tag_of("pt-br") == "pt-BR"


@pytest.mark.parametrize(
    "days, words",
    [(1, "1 day"), (13, "13 days"), (14, "2 weeks"), (62, "8 weeks"), (63, "2 months")],
)
def test_an_interval_is_in_the_unit_that_people_count_in(days, words):
    assert localization.interval_in_words(timedelta(days=days, hours=5)) == words


def test_old_events_are_deleted_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(database, "BATCH", 2)
    monkeypatch.setattr(database, "AT_ONCE", 5)
    old = clock.now() - timedelta(days=400)
    Activity.objects.bulk_create(Activity(kind="signed_in", at=old) for _ in range(11))
    new = Activity.objects.create(kind="signed_in")

    with CaptureQueriesContext(connection) as queries:
        assert services.prune() == 11

    assert [row.pk for row in Activity.objects.all()] == [new.pk]
    deletes = [query for query in queries if query["sql"].startswith("DELETE")]
    # Of 5, 5 and 1 rows that are looked up at once, two a transaction.
    assert len(deletes) == 7


def test_a_late_page_is_read_from_the_nearer_end():
    alice = make_user("alice")
    Activity.objects.bulk_create(Activity(user=alice, kind="signed_in") for _ in range(2_620))
    expected = list(services.of(alice))

    for number in (1, 20, 30, 52, 53):
        with CaptureQueriesContext(connection) as queries:
            page = page_of(RequestFactory().get("/", {"page": number}), lambda: services.of(alice))
            shown = list(page)
        start = (number - 1) * PAGE_SIZE
        assert shown == expected[start : start + PAGE_SIZE]
        assert ("ASC" in queries[-1]["sql"]) is (number >= 30)
        assert (page.number, page.has_next()) == (number, number < 53)


@proves("V1.1.1")
@pytest.mark.parametrize(
    "evil",
    ["//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
     "https:evil.example", "http://evil.example", "javascript:alert(1)", "data:text/html,x", "evil",
     "HTTPS://evil.example/", "/\r\nSet-Cookie: a=b", "/\0", "/\x1f/evil.example", "/\u2028",
     "/\ud800", "", "/" + "a" * 2000, " //evil.example", "\t//evil.example"],
)  # fmt: skip
def test_a_next_url_that_leaves_the_site_is_discarded(evil):
    """Withstands a hostile website."""
    assert safe_next(evil) == ""


@pytest.mark.parametrize("path", ["/", "/admin/?a=b#c", "/a//b", "/%2f%2fevil.example", "/\xe9"])
def test_a_path_on_the_site_is_kept(path):
    assert safe_next(path) == path


def test_a_prepared_query_finds_what_its_query_set_finds(django_assert_num_queries):
    user = make_user("alice")
    later = PreparedQuery(lambda: User.objects.filter(pk=P("user"), date_joined__lt=P("until")))
    values = {"user": user.pk, "until": clock.now() + timedelta(days=1)}

    found = later.first(**values)
    with django_assert_num_queries(2):
        again, none = later.first(**values), later.first(**values | {"until": user.date_joined})

    assert found is not None
    ignored = {"_state": None}
    assert vars(found) | ignored == vars(User.objects.get(pk=user.pk)) | ignored
    assert (again, none) == (found, None)


def test_a_constant_that_a_partial_index_depends_on_is_no_parameter():
    """Otherwise SQLite would plan the statement at each run, which takes ten times as long."""
    active = PreparedQuery(lambda: User.objects.filter(pk=P("user"), is_active=True))

    assert '"is_active" = TRUE' in active._all._text.replace("(TRUE)", "TRUE")


def test_a_prepared_insert_stores_every_column_and_learns_the_primary_key():
    row = Activity(user=make_user("alice"), kind="signed_in", detail="x", session=None)

    PreparedInsert(Activity).run(row)

    stored = Activity.objects.get(pk=row.pk)
    for field in Activity._meta.concrete_fields:
        assert getattr(stored, field.attname) == getattr(row, field.attname), field.name
    assert (row._state.adding, row._state.db) == (False, connection.alias)
