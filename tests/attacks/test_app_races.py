"""Races between two server processes that disconnect an app and give it tokens."""

import json

import pytest

from tests.support.app_races import add_code, connect, redeem, refresh, status_with
from tests.support.nodes import AT_ONCE
from tests.support.races import confirmed, times_in_history
from tests.support.site import together
from tests.support.steps import sql

LEFT = """
SELECT s.id FROM accounts_loginsession s JOIN oauth_appsession a ON a.session_id = s.id
WHERE a.client_id = ? AND s.ended_at IS NULL
UNION ALL SELECT s.session_id FROM oauth_authorizationcode s WHERE s.client_id = ?
"""


def disconnecting_an_app_that_gets_tokens(nodes, name):
    """No token lives on, whether it came from a code or a refresh, before or after."""
    owner, page = confirmed(nodes, name), f"/accounts/apps/{name}/"
    connect(nodes, name)
    codes = [f"{name}{i}" for i in range(AT_ONCE)]
    for code in codes:
        add_code(nodes, name, code)
    held = [json.loads(redeem(nodes, i, name, codes[i]).body) for i in range(AT_ONCE // 2)]
    csrf = owner.csrf(page)
    assert {status_with(nodes, i, tokens) for i, tokens in enumerate(held)} == {200}

    def act(i):
        if i == AT_ONCE - 1:
            return owner.post(page, csrf=csrf)
        if i < len(held):
            return refresh(nodes, i, name, held[i]["refresh_token"])
        return redeem(nodes, i, name, codes[i])

    *answers, page_answer = together(AT_ONCE, act)

    assert page_answer.status == 302
    assert {answer.status for answer in answers} <= {200, 400}
    given = [json.loads(answer.body) for answer in answers if answer.status == 200]
    for i, tokens in enumerate([*held, *given]):
        assert status_with(nodes, i, tokens) == 401
        assert refresh(nodes, i, name, tokens["refresh_token"]).status == 400
    assert sql(nodes[0], LEFT, name, name) == []
    assert times_in_history(nodes, name, "app_disconnected") == 1


RACES = [disconnecting_an_app_that_gets_tokens]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_a_disconnected_app_keeps_no_token_whichever_request_is_first(nodes, race):
    race(nodes, "disconnecting")
