"""Races between equal calls with one ``Idempotency-Key`` at two server processes."""

import pytest

from tests.support.api_jwt import API, call
from tests.support.api_keys import recent_token
from tests.support.nodes import AT_ONCE, browser_at
from tests.support.races import confirmed
from tests.support.site import together
from tests.support.steps import PASSWORD, sql


def answers_at_once(nodes, path, body, key, token=""):
    callers = [browser_at(nodes[i % 2], f"192.0.2.{i + 10}") for i in range(AT_ONCE)]
    more = {"authorization": f"Bearer {token}" if token else None, "Idempotency_Key": key}
    return together(AT_ONCE, lambda i: call(callers[i], f"{API}{path}", body, **more))


def equal_calls_for_a_key(nodes, name):
    """One creates the key and shows it; the others return the same key without its secret."""
    confirmed(nodes, name)
    token = recent_token(nodes[0].client(), name)

    answers = answers_at_once(nodes, "keys/", {"name": "bot"}, f"{name}-of-a-program-001", token)

    assert {answer.status for answer in answers} == {201}
    assert len({answer["id"] for answer in answers}) == 1
    assert [answer["key"] is None for answer in answers].count(False) == 1


def equal_sign_ups(nodes, name):
    """All are told that they have signed up, and none that the name is taken."""
    body = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}

    answers = answers_at_once(nodes, "users/", body, f"{name}-of-a-program-002")

    assert {answer.status for answer in answers} == {201}
    assert len({answer["id"] for answer in answers}) == 1
    select = "SELECT id FROM accounts_pendingsignup WHERE username = ?"
    assert len(sql(nodes[0], select, name)) == 1


RACES = [equal_calls_for_a_key, equal_sign_ups]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_equal_calls_at_two_processes_create_one_object(nodes, race):
    for i in range(2):
        race(nodes, f"{race.__name__.replace('_', '')[:20]}{'xyz'[i]}")
