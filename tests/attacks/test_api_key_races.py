"""Races between two server processes that make and revoke API keys."""

import pytest

from tests.support.api_keys import LOCKDOWN, REFUSED, is_alive, make, recent_token
from tests.support.nodes import AT_ONCE, browser_at
from tests.support.races import confirmed
from tests.support.site import together
from tests.support.standards import proves
from tests.support.steps import sql

MOST = 50
# Copies the key of a user until there is room for five more.
COPY = f"""
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MOST - 6})
INSERT INTO accounts_apikey (id, user_id, digest, name, scope, made_at, ip, session, staff_scope)
SELECT substr(k.id, 1, 13) || '_' || (10 + n),
    user_id, digest, name, scope, made_at, ip, session, ''
FROM accounts_apikey k JOIN accounts_user u ON u.id = k.user_id, numbers WHERE u.username = ?
"""


def programs(nodes, n=AT_ONCE):
    """Return clients with IP addresses of their own, on each node in turn."""
    return [browser_at(nodes[i % 2], f"192.0.2.{i + 10}") for i in range(n)]


def keys_of(nodes, name):
    owned = "user_id = (SELECT id FROM accounts_user WHERE username = ?)"
    return len(sql(nodes[0], f"SELECT id FROM accounts_apikey WHERE {owned}", name))


def making_keys_during_a_lockdown(nodes, name):
    making_keys_during(nodes, name, LOCKDOWN, 200)


def making_keys_during_a_change_of_the_password(nodes, name):
    changed = {"password1": "a lantern over seven wet roofs"}
    making_keys_during(nodes, name, "/accounts/password/change/", 302, **changed)


def making_keys_during(nodes, name, page, status, **form):
    """No key is left, whichever request was first."""
    owner = confirmed(nodes, name)
    csrf, callers = owner.csrf(page), programs(nodes)
    token = recent_token(callers[0], name)

    def act(i):
        if i == AT_ONCE // 2:
            return owner.post(page, form, csrf=csrf)
        return make(token, callers[i])

    answers = together(AT_ONCE, act)

    assert answers.pop(AT_ONCE // 2).status == status
    made = [answer["key"] for answer in answers if answer.status == 201]
    assert {(a.status, a.code) for a in answers if a.status != 201} <= {REFUSED}
    assert make(token, callers[0]).status == 401
    assert keys_of(nodes, name) == 0
    assert not any(is_alive(key, nodes[i % 2].client()) for i, key in enumerate(made))


def eight_keys_where_five_have_room(nodes, name):
    """An account has at most fifty keys, however many requests arrive at once."""
    confirmed(nodes, name)
    callers = programs(nodes)
    token = recent_token(callers[0], name)
    assert make(token, callers[0]).status == 201
    sql(nodes[0], COPY, name)
    assert keys_of(nodes, name) == MOST - 5

    answers = together(AT_ONCE, lambda i: make(token, callers[i]))

    refusals = [(a.status, a.code) for a in answers if a.status != 201]
    assert refusals == [(400, "too_many_keys")] * 3
    assert keys_of(nodes, name) == MOST


RACES = [
    making_keys_during_a_lockdown,
    making_keys_during_a_change_of_the_password,
    eight_keys_where_five_have_room,
]


@proves("V2.3.4")
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_two_processes_never_leave_a_key_behind_or_exceed_the_maximum(nodes, race):
    """Withstands a race."""
    for i in range(2):
        race(nodes, f"{race.__name__.replace('_', '')[:20]}{'xyz'[i]}")
