"""Prepared statements: they do what the ORM does with the same query set."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.activity.models import Activity
from accounts.common import clock
from accounts.common.database import (
    P,
    PreparedInsert,
    PreparedQueries,
    PreparedQuery,
    PreparedUpdate,
)
from accounts.users.models import User
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db


def test_a_prepared_query_finds_what_its_query_set_finds(django_assert_num_queries: Any) -> None:
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


def test_a_constant_that_a_partial_index_depends_on_is_no_parameter() -> None:
    """Otherwise SQLite would plan the statement at each run, which takes ten times as long."""
    active = PreparedQuery(lambda: User.objects.filter(pk=P("user"), is_active=True))

    assert '"is_active" = TRUE' in active._all._text.replace("(TRUE)", "TRUE")


def test_prepared_queries_find_their_rows_in_one_statement(django_assert_num_queries: Any) -> None:
    alice, event = make_user("alice"), Activity.objects.create(kind="signed_in")
    both = PreparedQueries(
        PreparedQuery(lambda: User.objects.filter(pk=P("user"))),
        PreparedQuery(lambda: Activity.objects.filter(kind=P("kind"))),
    )

    with django_assert_num_queries(2):
        assert both.firsts(user=alice.pk, kind="signed_in") == [alice, event]
        assert both.firsts(user=alice.pk, kind="else") == [alice, None]


def test_a_prepared_count_stops_at_its_limit() -> None:
    for name in ("alice", "bob", "carol"):
        make_user(name)
    active = PreparedQuery(lambda: User.objects.filter(is_active=P("active")))

    assert [active.count(most, active=True) for most in (2, 3, 4)] == [2, 3, 3]
    assert active.count(4, active=False) == 0


def test_a_prepared_update_changes_only_the_rows_of_its_query_set() -> None:
    alice, bob, now = make_user("alice"), make_user("bob"), clock.now()
    note = PreparedUpdate(lambda: User.objects.filter(pk=P("user")), last_login=P("now"))

    assert note.run(user=alice.pk, now=now) == 1
    assert list(User.objects.filter(last_login=now)) == [alice]
    bob.delete()
    assert note.run(user=bob.pk, now=now) == 0


def test_a_prepared_insert_stores_every_column_and_learns_the_primary_key() -> None:
    row = Activity(user=make_user("alice"), kind="signed_in", detail="x", session=None)

    PreparedInsert(Activity).run(row)

    stored = Activity.objects.get(pk=row.pk)
    for field in Activity._meta.concrete_fields:
        assert getattr(stored, field.attname) == getattr(row, field.attname), field.name
    assert (row._state.adding, row._state.db) == (False, connection.alias)
