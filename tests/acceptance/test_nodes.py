"""Two nodes on PostgreSQL and Redis that answer a client's requests in turn."""

import itertools

from tests.support.api import call, get_tokens, is_good, renew
from tests.support.site import CHEAP_HASHES, Client, Site
from tests.support.steps import CONFIRM, code_in, sign_in, sign_up

JWKS = "/.well-known/jwks.json"


class Balanced(Client):
    """A client that sends each request to the next node."""

    def __init__(self, *nodes):
        super().__init__(nodes[0].origin)
        self._turns = itertools.cycle(("127.0.0.1", node.port) for node in nodes)

    def connection(self):
        self._connect = next(self._turns)
        return super().connection()


def test_sessions_and_tokens_work_and_are_revoked_on_both_nodes(postgres, redis_server):
    env = {"DATABASE_URL": postgres.database(), "REDIS_URL": redis_server.url}
    with Site(**env, **CHEAP_HASHES) as site, site.second() as other:
        nodes = (site, other)
        alice, browser, program = (Balanced(*nodes) for _ in range(3))
        # Alice signs up at one node, confirms at the other, and so on.
        assert sign_up(alice, "alice").status == 302
        code = code_in(site.wait_for_mail(to="alice@"))
        assert alice.post(CONFIRM, {"code": code}).location == "/"

        assert sign_in(browser, "alice").location == "/"
        assert [browser.get("/").status for _node in nodes] == [200, 200]
        assert alice.post("/accounts/sessions/", {"others": "1"}).status == 302
        assert [browser.get("/").status for _node in nodes] == [302, 302]
        assert [alice.get("/").status for _node in nodes] == [200, 200]

        tokens = get_tokens("alice", program).body
        for _again in range(3):
            tokens = renew(tokens["refresh"], program).body
            assert [is_good(tokens["access"], node.client()) for node in nodes] == [True, True]
        first, second = (node.client().get(JWKS) for node in nodes)
        assert first.body == second.body
        call("token/revoke/", {"token": tokens["refresh"]}, client=site.client())
        assert [is_good(tokens["access"], node.client()) for node in nodes] == [False, False]
        assert renew(tokens["refresh"], other.client()).code == "token_not_valid"
