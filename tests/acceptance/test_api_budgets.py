"""How many statements a call of the API may cost."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.activity.models import Activity
from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.attacks.test_two_nodes import POSTGRES_PROVED, database
from tests.conftest import Clock
from tests.support.api import Answer, call, exchange, get_tokens, renew, second_step
from tests.support.second import enrolled, unused_code
from tests.support.site import ROOT, Site
from tests.support.steps import PASSWORD, make_user

# The primary key, as its plans call it.
KEYS = {
    "sqlite": "SEARCH o USING INDEX sqlite_autoindex_accounts_loginsession_1 (id=?)",
    "postgres": "Index Scan using accounts_loginsession_pkey on accounts_loginsession o",
}
GROW = ROOT / "tests/acceptance/grow_sign_ins.py"
JWKS = "/.well-known/jwks.json"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice(clock: Clock) -> User:
    """Alice, for a process that has its signing key already."""
    Client().get(JWKS)
    return make_user("alice", password=PASSWORD)


def spent(act: Callable[[], Any]) -> tuple[Any, list[str]]:
    """What a call answers, and its statements but for the ends of its transactions."""
    with CaptureQueriesContext(connection) as statements:
        answer = act()
    return answer, [q["sql"].strip() for q in statements if q["sql"] not in {"COMMIT"}]


def test_the_keys_cost_nothing(alice: User) -> None:
    assert spent(lambda: Client().get(JWKS))[1] == []


def test_a_call_by_a_token_costs_one_query_however_many_groups(alice: User) -> None:
    for n in range(20):
        Group.objects.create(name=f"group {n:02}").user_set.add(alice)
    token = get_tokens(scope="read groups")["access"]
    calls: dict[str, Callable[[], Answer]] = {
        "me": lambda: call("me/", token=token),
        "by Basic": lambda: call("me/", basic=f"{token}:x"),
        "verify": lambda: call("token/verify/", {"token": token}),
        "exchange": lambda: exchange(token),
    }

    for name, act in calls.items():
        answer, statements = spent(act)
        assert answer.status == 200, name
        assert len(statements) == 1, (name, statements)
        assert statements[0].startswith("SELECT"), name
        if "groups" in answer.body or name == "me":
            assert len(answer["groups"]) == 20, name


def test_a_forged_token_costs_nothing_and_a_made_up_refresh_token_neither(alice: User) -> None:
    tokens = get_tokens()
    forged = tokens["access"][:-8] + "AAAAAAAA"

    for act in (
        lambda: call("me/", token=forged),
        lambda: call("token/verify/", {"token": forged}),
        lambda: renew("A" * 72),
        lambda: renew(tokens["refresh"][:-8] + "AAAAAAAA"),
    ):
        answer, statements = spent(act)
        assert (answer.status, statements) == (401, [])


def test_a_refresh_costs_one_statement_and_its_retry_a_second(alice: User) -> None:
    token = get_tokens()["refresh"]
    answer, first = spent(lambda: renew(token))
    again, retry = spent(lambda: renew(token))
    _, narrower = spent(lambda: renew(answer["refresh"], scope="read"))

    assert answer["refresh"] == again["refresh"]
    assert [sql.split()[0] for sql in first] == ["UPDATE"]
    assert [sql.split()[0] for sql in retry] == ["UPDATE", "SELECT"]
    assert [sql.split()[0] for sql in narrower] == ["SELECT", "UPDATE"]


def test_a_sign_in_costs_few_statements(alice: User) -> None:
    wrong = {"username": "nobody", "password": "copper kettle under eight stars"}
    basic = f"alice:{PASSWORD}"
    for act, status, most in (
        (get_tokens, 200, 19),
        (get_tokens, 200, 12),
        (lambda: call("token/", {}, basic=basic), 200, 12),
        (lambda: call("me/", basic=basic), 200, 8),
        (lambda: call("token/", wrong), 401, 9),
    ):
        answer, statements = spent(act)
        assert answer.status == status
        assert len(statements) <= most, statements
    enrolled(alice)

    first, statements = spent(get_tokens)
    second, more = spent(lambda: second_step(first["challenge"], unused_code(alice)))

    assert (first.status, second.status) == (401, 200)
    assert len(statements) <= 13, statements
    assert len(more) <= 28, more


def test_lists_cost_three_queries_for_who_has_a_long_history_and_many_sessions(
    alice: User, clock: Clock
) -> None:
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
        answer, statements = spent(lambda path=path: call(path, token=token))  # type: ignore[misc]
        assert answer.status == 200, path
        assert len(statements) == 3 - (not answer["results"]), (path, statements)


@pytest.mark.parametrize("kind", POSTGRES_PROVED)
def test_a_refresh_costs_the_same_with_a_thousand_and_a_hundred_thousand_sign_ins(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    """By its plan, not by a watch: both find their row by the primary key."""
    site = Site(data_dir=tmp_path, **database(request, kind))
    site.make_database()

    says = site.manage("shell", "--no-imports", "-c", GROW.read_text())

    sys.stdout.write(says)
    found = re.findall(r"(?m)^PLAN (.+)$", says)
    assert len(found) == 4
    for plan in found:
        assert KEYS[kind] in plan
        # Of a hundred thousand sign-ins and a thousand people none is passed in review.
        assert not re.search(r"SCAN [su]\b|Seq Scan on accounts_(loginsession|user)\b", plan), plan
    assert re.findall(r"(?m)^STATEMENTS (.+)$", says) == ["1 1"] * 2
