"""Two nodes on PostgreSQL and Redis, behind a proxy that gives each request to the next of them."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from accounts.throttle.limits import LOGIN_ACCOUNT
from tests.support.api import call, get_tokens, is_good, renew
from tests.support.client import Client, Response
from tests.support.services import Postgres, Redis
from tests.support.site import Site
from tests.support.steps import CONFIRM, LOGIN, WRONG, code_in, sign_in, sign_up, sql

JWKS = "/.well-known/jwks.json"


class Balanced(Client):
    """A browser or a program whose requests go to the nodes by turns."""

    def __init__(self, *nodes: Site) -> None:
        super().__init__(nodes[0].origin)
        self._turns = itertools.cycle(("127.0.0.1", node.port) for node in nodes)

    def _send(self, *request: Any) -> Response:
        self._connect = next(self._turns)
        return super()._send(*request)


@pytest.fixture(scope="module")
def nodes(postgres: Postgres, redis_server: Redis) -> Iterator[tuple[Site, Site]]:
    redis_server.flush()
    env = {"DATABASE_URL": postgres.database(), "REDIS_URL": redis_server.url}
    with Site(**env, TOKEN_ALGORITHM="ES256") as site, site.second() as other:
        yield site, other


@pytest.fixture(scope="module")
def alice(nodes: tuple[Site, Site]) -> Client:
    """She signs up at one node, confirms at the other, and so on."""
    browser = Balanced(*nodes)
    assert sign_up(browser, "alice").status == 302
    code = code_in(nodes[0].wait_for_mail(to="alice@"))
    assert browser.post(CONFIRM, {"code": code}).location == "/"
    return browser


def test_a_sign_in_at_one_node_is_one_at_the_other_and_ends_at_both(
    nodes: tuple[Site, Site], alice: Client
) -> None:
    browser = Balanced(*nodes)
    assert sign_in(browser, "alice").location == "/"
    assert [browser.get("/").status for _node in nodes] == [200, 200]

    assert alice.post("/accounts/sessions/", {"others": "1"}).status == 302

    assert [browser.get("/").status for _node in nodes] == [302, 302]
    assert [alice.get("/").status for _node in nodes] == [200, 200]


@pytest.mark.usefixtures("alice")
def test_tokens_of_one_node_are_good_renewed_and_ended_at_the_other(
    nodes: tuple[Site, Site],
) -> None:
    program = Balanced(*nodes)
    tokens = get_tokens("alice", program).body
    for _again in range(3):
        tokens = renew(tokens["refresh"], program).body
        assert [is_good(tokens["access"], node.client()) for node in nodes] == [True, True]
    first, second = (node.client().get(JWKS) for node in nodes)
    assert first.body == second.body

    call("token/revoke/", {"token": tokens["refresh"]}, client=nodes[0].client())

    assert [is_good(tokens["access"], node.client()) for node in nodes] == [False, False]
    assert renew(tokens["refresh"], nodes[1].client()).code == "token_not_valid"


@pytest.mark.usefixtures("alice")
def test_guesses_at_both_nodes_are_of_one_budget_in_redis(
    nodes: tuple[Site, Site], redis_server: Redis
) -> None:
    redis_server.flush()
    browser = Balanced(*nodes)
    token = browser.csrf(LOGIN)

    guesses = [
        browser.post(LOGIN, {"login": "nobody", "password": WRONG}, csrf=token).status
        for _guess in range(LOGIN_ACCOUNT.burst + 2)
    ]

    assert guesses == [200] * LOGIN_ACCOUNT.burst + [429] * 2
    assert sql(nodes[0], "SELECT 1 FROM accounts_budget") == []
