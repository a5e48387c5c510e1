"""What a call of the API may cost: statements, and hashes of a password."""

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


@pytest.mark.parametrize("groups", [0, 20])
def test_a_call_by_a_token_costs_one_query_however_many_groups(alice: User, groups: int) -> None:
    for n in range(groups):
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
            assert len(answer["groups"]) == groups, name


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


@pytest.mark.parametrize("earlier, most", [(0, 19), (1, 12)], ids=["first time", "again"])
@pytest.mark.parametrize("by", ["body", "Basic"])
def test_a_sign_in_costs_one_hash_and_few_statements(
    alice: User, hashes: list[str], earlier: int, most: int, by: str
) -> None:
    for _ in range(earlier):
        get_tokens()
    hashes.clear()

    answer, statements = spent(
        get_tokens if by == "body" else lambda: call("token/", {}, basic=f"alice:{PASSWORD}")
    )

    assert answer.status == 200
    assert hashes == ["verify"]
    assert len(statements) <= most, statements


@pytest.mark.parametrize("login", ["alice", "nobody"])
def test_a_wrong_password_costs_one_hash_whoever_it_is_for(
    alice: User, hashes: list[str], login: str
) -> None:
    data = {"username": login, "password": "copper kettle under eight stars"}

    answer, statements = spent(lambda: call("token/", data))

    assert (answer.status, len(hashes)) == (401, 1)
    assert len(statements) <= 9, statements


def test_a_sign_in_in_two_steps_costs_one_hash(
    alice: User, hashes: list[str], clock: Clock
) -> None:
    enrolled(alice)
    hashes.clear()

    first, statements = spent(get_tokens)
    second, more = spent(lambda: second_step(first["challenge"], unused_code(alice)))

    assert (first.status, second.status) == (401, 200)
    assert hashes == ["verify"]
    assert len(statements) <= 13, statements
    assert len(more) <= 28, more


def test_a_call_by_password_costs_one_hash_and_few_statements(
    alice: User, hashes: list[str]
) -> None:
    call("me/", basic=f"alice:{PASSWORD}")
    hashes.clear()

    answer, statements = spent(lambda: call("me/", basic=f"alice:{PASSWORD}"))

    assert answer.status == 200
    assert hashes == ["verify"]
    assert len(statements) <= 8, statements


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
