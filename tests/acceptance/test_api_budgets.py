"""The number of SQL statements that API calls may cost."""

from collections.abc import Callable
from functools import partial

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.activity.models import Activity
from accounts.sessions.models import LoginSession
from tests.support.api import Answer, call, get_tokens, renew, second_step
from tests.support.api_keys import key_of
from tests.support.second_factor import enrolled, unused_code
from tests.support.steps import PASSWORD, make_user

JWKS = "/.well-known/jwks.json"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice(clock):
    """Alice, in a process that has already cached its signing key."""
    Client().get(JWKS)
    return make_user("alice", password=PASSWORD)


def counted(act):
    """Return the result of a call and its statements, without COMMIT."""
    with CaptureQueriesContext(connection) as statements:
        answer = act()
    return answer, [q["sql"].strip() for q in statements if q["sql"] not in {"COMMIT"}]


def test_a_call_with_a_token_costs_one_query_with_any_number_of_groups(alice):
    for n in range(20):
        Group.objects.create(name=f"group {n:02}").user_set.add(alice)
    token = get_tokens(scope="read groups")["access"]
    calls: dict[str, Callable[[], Answer]] = {
        "me": lambda: call("me/", token=token),
        "by Basic": lambda: call("me/", basic=f"{token}:x"),
        "verify": lambda: call("token/verify/", {"token": token}),
    }

    for name, act in calls.items():
        answer, statements = counted(act)
        assert answer.status == 200, name
        assert len(statements) == 1, (name, statements)
        assert statements[0].startswith("SELECT"), name
        if "groups" in answer.body or name == "me":
            assert len(answer["groups"]) == 20, name


def test_forged_access_and_refresh_tokens_cost_no_query(alice):
    tokens = get_tokens()
    forged = tokens["access"][:-8] + "AAAAAAAA"

    for act in (
        lambda: call("me/", token=forged),
        lambda: call("token/verify/", {"token": forged}),
        lambda: renew("A" * 72),
        lambda: renew(tokens["refresh"][:-8] + "AAAAAAAA"),
    ):
        answer, statements = counted(act)
        assert (answer.status, statements) == (401, [])


def test_a_refresh_costs_one_statement_and_its_retry_three(alice):
    token = get_tokens()["refresh"]
    answer, first = counted(lambda: renew(token))
    again, retry = counted(lambda: renew(token))
    _, narrower = counted(lambda: renew(answer["refresh"], scope="read"))

    assert answer["refresh"] == again["refresh"]
    assert [sql.split()[0] for sql in first] == ["UPDATE"]
    # The short path tries the first statement, and Django tries it again.
    assert [sql.split()[0] for sql in retry] == ["UPDATE", "UPDATE", "SELECT"]
    assert [sql.split()[0] for sql in narrower] == ["BEGIN", "UPDATE"]


def test_an_api_sign_in_costs_few_statements(alice, clock):
    wrong = {"username": "nobody", "password": "copper kettle under eight stars"}
    basic = f"alice:{PASSWORD}"
    for act, status, most in (
        (get_tokens, 200, 18),
        (get_tokens, 200, 14),
        (lambda: call("token/", {}, basic=basic), 200, 14),
        # The first call of a day is recorded.
        (lambda: call("me/", basic=basic), 200, 18),
        (lambda: call("me/", basic=basic), 200, 10),
        (lambda: call("token/", wrong), 401, 7),
    ):
        answer, statements = counted(act)
        assert answer.status == status
        assert len(statements) <= most, statements
    enrolled(alice)
    # A younger factor costs more: an older one is looked for.
    clock.advance(days=8)

    first, statements = counted(get_tokens)
    second, more = counted(lambda: second_step(first["challenge"], unused_code(alice)))

    assert (first.status, second.status) == (401, 200)
    assert len(statements) <= 12, statements
    assert len(more) <= 22, more


def test_lists_cost_three_queries_with_a_long_history_and_many_sessions(alice, clock):
    token = get_tokens()["access"]
    here = LoginSession.objects.get()
    shared = {name: getattr(here, name) for name in ("kind", "amr", "auth_time", "idle_at")}
    LoginSession.objects.bulk_create(
        LoginSession(user=alice, ends_at=here.ends_at, **shared) for _ in range(200)
    )
    Activity.objects.bulk_create(Activity(user=alice, kind="signed_in") for _ in range(10_000))

    for path in (
        *("sessions/", "sessions/?page=5", "activity/", "activity/?page=200"),
        *("activity/?group=sign-in&page=3", "activity/?group=failure"),
    ):
        answer, statements = counted(partial(call, path, token=token))
        assert answer.status == 200, path
        assert len(statements) == 3 - (not answer["results"]), (path, statements)


def test_a_call_finds_its_token_session_or_key_without_reading_a_whole_table(alice):
    """SQLite plans without regard to the number of rows, so one row is enough."""
    tokens, key = get_tokens(), key_of(alice)
    _answers, statements = counted(
        lambda: [
            call("me/", token=tokens["access"]),
            call("me/", token=key),
            renew(tokens["refresh"]),
        ]
    )
    assert len(statements) >= 3

    for statement in statements:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
            plan = [row[-1] for row in cursor.fetchall()]
        assert any("SEARCH" in step for step in plan), statement
        assert not any(step.startswith("SCAN") for step in plan), (statement, plan)
