"""Keys made, used and ended at two server processes at once; keys in addresses at a real server."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.attacks.key_steps import KEYS, LOCKDOWN, REFUSED, fresh, is_alive, make
from tests.attacks.test_http import raw
from tests.attacks.test_session_races import confirmed, happened
from tests.attacks.test_two_nodes import (
    AT_ONCE,
    POSTGRES_PROVED,
    Nodes,
    Race,
    at,
    database,
    running,
)
from tests.support.api import Answer, call
from tests.support.client import Client, Response, together
from tests.support.steps import WRONG, sql

CHANGE = "/accounts/password/change/"
MOST = 50
HEAD = "HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module", params=POSTGRES_PROVED)
def nodes(request: pytest.FixtureRequest) -> Iterator[Nodes]:
    """Limits are out of the way here."""
    with running(LIMITS_SCALE="1000", **database(request, request.param)) as both:
        yield both


def programs(nodes: Nodes, n: int = AT_ONCE) -> list[Client]:
    """By turns at both nodes."""
    return [at(nodes[i % 2], f"192.0.2.{i + 10}") for i in range(n)]


def keys_of(nodes: Nodes, name: str) -> int:
    rows = sql(
        nodes[0],
        "SELECT k.id FROM accounts_apikey k JOIN accounts_user u ON u.id = k.user_id "
        "WHERE u.username = ?",
        name,
    )
    return len(rows)


def made_during(nodes: Nodes, name: str, path: str, data: dict[str, str]) -> list[str]:
    """The keys that a program is given while its owner posts that form; then no more are."""
    owner = confirmed(nodes, name)
    csrf, callers = owner.csrf(path), programs(nodes)
    token = fresh(callers[0], name)

    def act(i: int) -> Answer | Response:
        if i == AT_ONCE // 2:
            return owner.post(path, data, csrf=csrf)
        return make(token, callers[i])

    answers = together(AT_ONCE, act)

    assert answers.pop(AT_ONCE // 2).status in {200, 302}
    made = [answer for answer in answers if isinstance(answer, Answer) and answer.status == 201]
    others = {(a.status, a.code) for a in answers if isinstance(a, Answer) and a not in made}
    assert others <= {REFUSED}
    assert make(token, callers[0]).status == 401
    return [answer["key"] for answer in made]


def making_keys_during_a_lockdown(nodes: Nodes, name: str) -> None:
    """None is left, whichever was first."""
    made = made_during(nodes, name, LOCKDOWN, {})

    assert keys_of(nodes, name) == 0
    assert [is_alive(key, nodes[i % 2].client()) for i, key in enumerate(made)] == [False] * len(
        made
    )


def making_keys_during_a_change_of_the_password(nodes: Nodes, name: str) -> None:
    """Those that were made before it stay, and whoever is out by it makes none."""
    made = made_during(nodes, name, CHANGE, {"password1": WRONG})

    assert keys_of(nodes, name) == len(made) == happened(nodes, name, "key_made")
    assert all(is_alive(key, nodes[0].client()) for key in made)


def eight_keys_where_five_have_room(nodes: Nodes, name: str) -> None:
    """Fifty are the most, however many ask at once."""
    confirmed(nodes, name)
    callers = programs(nodes)
    token = fresh(callers[0], name)
    for _ in range(MOST - 5):
        assert make(token, callers[0]).status == 201

    answers = together(AT_ONCE, lambda i: make(token, callers[i]))

    refusals = [(a.status, a.code) for a in answers if a.status != 201]
    assert refusals == [(400, "too_many_keys")] * 3
    assert keys_of(nodes, name) == MOST


def eight_ends_of_one_key(nodes: Nodes, name: str) -> None:
    """It ends once, and at both nodes: while it's used there, too."""
    confirmed(nodes, name)
    callers = programs(nodes)
    token = fresh(callers[0], name)
    made = make(token, callers[0])
    path, key = f"keys/{made['id']}/", made["key"]
    assert all(is_alive(key, caller) for caller in callers[:2])

    def act(i: int) -> Answer:
        if i < 4:
            return call("me/", client=callers[i], token=key)
        return call(path, method="DELETE", client=callers[i], token=token)

    answers = together(AT_ONCE, act)

    assert {answer.status for answer in answers[:4]} <= {200, 401}
    assert sorted(answer.status for answer in answers[4:]) == [204, 404, 404, 404]
    assert happened(nodes, name, "key_ended") == 1
    assert [is_alive(key, caller) for caller in callers[:2]] == [False, False]


RACES = [
    making_keys_during_a_lockdown,
    making_keys_during_a_change_of_the_password,
    eight_keys_where_five_have_room,
    eight_ends_of_one_key,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_keys_at_two_processes_are_made_and_ended_one_after_the_other(
    nodes: Nodes, race: Race
) -> None:
    for i in range(2):
        race(nodes, f"{race.__name__.replace('_', '')[:20]}{'xyz'[i]}")


@pytest.mark.proof
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_fifty_rounds_of_keys_on_postgresql(race: Race, postgres: Any) -> None:
    with running(LIMITS_SCALE="1000", DATABASE_URL=postgres.database()) as both:
        for i in range(50):
            race(both, f"round{i:02}x")


def test_the_real_site_takes_no_key_from_an_address_and_logs_none(nodes: Nodes) -> None:
    """Nor does it find its way into the log by a header, a form or a broken request."""
    owner = confirmed(nodes, "logged")
    key = make(fresh(owner, "logged"), owner)["key"]
    everywhere = [key, "".join(f"%{ord(letter):02X}" for letter in key), f"%61{key[1:]}"]
    addresses = ["/{}", "/?key={}", "/accounts/login/?next=%2F{}", "/api/v1/me/?token={}"]
    addresses += ["/api/v1/keys/{}/", "/static/{}", "/no/{}%0A{}", "//{}"]

    for address in addresses:
        for written in everywhere:
            target = address.format(written, written)
            answer = raw(nodes[0], f"GET {target} {HEAD}")
            assert answer.startswith("HTTP/1.1 400"), target
            assert key not in answer
    for headers in ({"Host": key}, {"Referer": f"https://evil.example/{key}"}, {"Origin": key}):
        owner.request("POST", "/accounts/login/", body=b"", headers=headers)
    owner.post(KEYS, {"end": key})
    nodes[0].client().post("/accounts/login/", {"login": key, "password": key})
    call("token/", {"username": key, "password": key}, client=owner)
    call(f"{quote(key)[:40]}/", client=owner)

    assert is_alive(key, owner)
    assert "path=/static/[secret]" in nodes[0].log()
    assert key[25:57] not in nodes[0].log()
    dumped = sql(nodes[0], "SELECT * FROM accounts_apikey")
    dumped += sql(nodes[0], "SELECT * FROM accounts_activity")
    assert key[25:57] not in str(dumped)
