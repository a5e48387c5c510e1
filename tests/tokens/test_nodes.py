"""Two server processes on one database, and one ring."""

import json

import pytest

from tests.attacks.test_two_nodes import AT_ONCE, BOTH, database, running
from tests.support.client import together
from tests.support.steps import sql

JWKS = "/.well-known/jwks.json"


@pytest.mark.parametrize("kind", BOTH)
def test_two_processes_that_make_the_first_key_at_once_agree_on_one(
    request: pytest.FixtureRequest, kind: str
) -> None:
    with running(TOKEN_ALGORITHM="RS256", **database(request, kind)) as nodes:
        answers = together(AT_ONCE, lambda i: nodes[i % 2].client().get(JWKS))
        stored = sql(nodes[0], "SELECT number, kid, algorithm FROM accounts_signingkey")

    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    (jwk,) = json.loads(answers[0].body)["keys"]
    assert stored == [(1, jwk["kid"], "RS256")]
