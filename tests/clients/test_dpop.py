"""The library openid-client binds its tokens to a key (DPoP, RFC 9449)."""

import json
import os
import shutil

import pytest

from tests.support.app_races import VERIFIER, WEB, add_code, connect
from tests.support.clients.apps import HERE
from tests.support.node import node, packages
from tests.support.process import run
from tests.support.races import confirmed

NAME = "bound"
ALGORITHMS = ("ES256", "RS256", "Ed25519")


@pytest.mark.proof
def test_openid_client_uses_tokens_that_are_bound_to_its_key(default_site):
    nodes, folder = (default_site, default_site), packages(HERE).parent
    confirmed(nodes, NAME)
    connect(nodes, NAME)
    codes = {name: f"{NAME}-{name}" for name in ALGORITHMS}
    for code in codes.values():
        add_code(nodes, NAME, code)
    options = {"issuer": default_site.origin, "client": NAME, "codes": codes}
    options |= {"redirectUri": WEB, "verifier": VERIFIER}
    shutil.copy(HERE / "dpop.mjs", folder)

    env = os.environ | {"OPTIONS": json.dumps(options)}
    found = json.loads(run(node(), folder / "dpop.mjs", env=env))

    for name in ALGORITHMS:
        answers = found[name]
        assert answers["types"] == ["dpop", "dpop"]
        assert answers["key"] == answers["bound"]
        assert answers["statuses"] == [200, 401]
        assert answers["subjects"][0] == answers["subjects"][1]
