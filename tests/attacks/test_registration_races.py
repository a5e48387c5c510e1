"""Races between two server processes over the registration of apps by themselves."""

import json
from hashlib import sha256

import pytest

from accounts.oauth.models import REGISTRATION as TEXT
from tests.support.nodes import AT_ONCE, browser_at
from tests.support.registration import REGISTER, VALID
from tests.support.site import together
from tests.support.steps import sql

TOKEN = """
INSERT INTO oauth_registrationtoken (id, digest, clients_left, scope, audiences, created_at,
    expires_at)
VALUES (?, ?, 3, 'openid', '[]', CURRENT_TIMESTAMP, '2999-01-01 00:00:00')
"""


def eight_uses_of_a_token_for_three_apps(nodes, _name):
    token = TEXT.make()
    sql(nodes[0], TOKEN, token.id, sha256(token.text.encode()).hexdigest())
    headers = {"Authorization": f"Bearer {token.text}", "Content-Type": "application/json"}

    def use(i):
        program = browser_at(nodes[i % 2], f"192.0.2.{i + 10}")
        body = json.dumps(VALID).encode()
        return program.request("POST", REGISTER, body=body, headers=headers)

    answers = together(AT_ONCE, use)

    assert sorted(answer.status for answer in answers) == [201] * 3 + [401] * (AT_ONCE - 3)
    with_it = f"{TEXT.prefix}{token.id[:4]}"
    rows = sql(nodes[0], "SELECT id FROM oauth_client WHERE registered_with = ?", with_it)
    assert len(rows) == 3


RACES = [eight_uses_of_a_token_for_three_apps]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_a_token_registers_no_more_apps_than_allowed(nodes, race):
    race(nodes, "registration")
