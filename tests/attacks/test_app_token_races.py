"""Races between two server processes over codes and refresh tokens of apps."""

import json
import socket
import uuid

import pytest

from tests.support.api import claims_of
from tests.support.app_races import add_code, connect, redeem, refresh, status_with, token_call
from tests.support.client_keys import ASSERTION_TYPE, assertion_of, public_of
from tests.support.forgeries import key_of
from tests.support.nodes import AT_ONCE
from tests.support.races import LOCKDOWN, confirmed, times_in_history
from tests.support.site import together
from tests.support.steps import sql

PUBLISHED = (
    "UPDATE oauth_client SET is_public = FALSE, jwks_uri = ?, jwks_uri_is_private = TRUE "
    "WHERE id = ?"
)
KEY = "UPDATE oauth_client SET is_public = FALSE, jwks = ? WHERE id = ?"


def statuses(answers):
    return sorted(answer.status for answer in answers)


def app_with_a_code(nodes, name):
    confirmed(nodes, name)
    connect(nodes, name)
    add_code(nodes, name, name)


def eight_uses_of_one_app_code(nodes, name):
    """One request gets tokens; they end, because the code was used more than once."""
    app_with_a_code(nodes, name)

    answers = together(AT_ONCE, lambda i: redeem(nodes, i, name, name))

    assert statuses(answers) == [200] + [400] * (AT_ONCE - 1)
    (won,) = [json.loads(answer.body) for answer in answers if answer.status == 200]
    assert {status_with(nodes, i, won) for i in range(2)} == {401}
    assert refresh(nodes, 0, name, won["refresh_token"]).status == 400
    rows = sql(nodes[0], "SELECT session_id FROM oauth_appsession WHERE client_id = ?", name)
    assert len(rows) == 1
    assert times_in_history(nodes, name, "code_reused") == 1


def eight_first_codes_of_a_sector(nodes, name):
    """All tokens name the person by the same new identifier."""
    confirmed(nodes, name)
    connect(nodes, name)
    sql(nodes[0], "UPDATE oauth_client SET sector = ? WHERE id = ?", f"{name}.example", name)
    for i in range(AT_ONCE):
        add_code(nodes, name, f"{name}{i}")

    answers = together(AT_ONCE, lambda i: redeem(nodes, i, name, f"{name}{i}"))

    assert statuses(answers) == [200] * AT_ONCE
    tokens = [json.loads(answer.body)["id_token"] for answer in answers]
    ((subject,),) = sql(
        nodes[0], "SELECT subject FROM oauth_pairwisesubject WHERE sector = ?", f"{name}.example"
    )
    assert {claims_of(token)["sub"] for token in tokens} == {str(uuid.UUID(str(subject)))}


def eight_assertions_whose_keys_must_be_fetched(nodes, name):
    """One request fetches the keys. Its server speaks no TLS, so all are refused."""
    connect(nodes, name)
    key = key_of("ES256")
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"https://127.0.0.1:{server.getsockname()[1]}/keys"
        sql(nodes[0], PUBLISHED, uri, name)

        def call(i):
            assertion = assertion_of(key, name, nodes[0].origin).token()
            signed = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
            return token_call(nodes, i, name, grant_type="refresh_token", **signed)

        answers = together(AT_ONCE, call)

        assert set(statuses(answers)) == {401, 429}
        server.settimeout(0)
        server.accept()[0].close()
        with pytest.raises(BlockingIOError):
            server.accept()


def eight_uses_of_one_assertion(nodes, name):
    """One request is authenticated, and fails for another reason."""
    connect(nodes, name)
    key = key_of("ES256")
    sql(nodes[0], KEY, json.dumps(public_of(key)), name)
    form = {
        "grant_type": "refresh_token",
        "refresh_token": "x",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion_of(key, name, nodes[0].origin).token(),
    }

    answers = together(AT_ONCE, lambda i: token_call(nodes, i, name, **form))

    assert statuses(answers) == [400] + [401] * (AT_ONCE - 1)


def eight_uses_of_one_refresh_token_of_an_app(nodes, name):
    """All get the same successor; after its use, the first token ends the session."""
    app_with_a_code(nodes, name)
    first = json.loads(redeem(nodes, 0, name, name).body)["refresh_token"]

    answers = together(AT_ONCE, lambda i: refresh(nodes, i, name, first))

    assert statuses(answers) == [200] * AT_ONCE
    (successor,) = {json.loads(answer.body)["refresh_token"] for answer in answers}
    third = json.loads(refresh(nodes, 1, name, successor).body)
    assert status_with(nodes, 0, third) == 200

    late = together(AT_ONCE, lambda i: refresh(nodes, i, name, first))

    assert statuses(late) == [400] * AT_ONCE
    assert status_with(nodes, 1, third) == 401
    assert refresh(nodes, 0, name, third["refresh_token"]).status == 400
    assert times_in_history(nodes, name, "token_reused") == 1


def tokens_during(nodes, name, end):
    """Codes are redeemed and a token is refreshed while ``end`` runs; no token is valid later."""
    codes = [f"{name}{i}" for i in range(6)]
    for code in codes:
        add_code(nodes, name, code)
    held = json.loads(redeem(nodes, 0, name, codes[0]).body)

    def act(i):
        if i == 0:
            return refresh(nodes, i, name, held["refresh_token"])
        return redeem(nodes, i, name, codes[i]) if i < len(codes) else end()

    *answers, _ended = together(len(codes) + 1, act)

    given = [json.loads(answer.body) for answer in answers if answer and answer.status == 200]
    for i, tokens in enumerate([held, *given]):
        assert status_with(nodes, i, tokens) == 401
        assert refresh(nodes, i, name, tokens["refresh_token"]).status == 400


def tokens_of_apps_during_a_lockdown(nodes, name):
    owner = confirmed(nodes, name)
    connect(nodes, name)
    token = owner.csrf(LOCKDOWN)
    tokens_during(nodes, name, lambda: owner.post(LOCKDOWN, {}, csrf=token))


RACES = [
    eight_uses_of_one_app_code,
    eight_first_codes_of_a_sector,
    eight_assertions_whose_keys_must_be_fetched,
    eight_uses_of_one_assertion,
    eight_uses_of_one_refresh_token_of_an_app,
    tokens_of_apps_during_a_lockdown,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_races_over_tokens_of_apps_at_two_processes_have_one_outcome(nodes, race):
    race(nodes, race.__name__.replace("_", "")[-20:])
