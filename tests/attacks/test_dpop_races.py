"""Races between two server processes with one copied DPoP proof."""

import json

import pytest

from tests.support.app_races import VERIFIER, WEB, add_code, connect
from tests.support.dpop import ME, TOKEN, Key
from tests.support.nodes import AT_ONCE
from tests.support.races import confirmed
from tests.support.site import together

FORM = {"grant_type": "authorization_code", "redirect_uri": WEB, "code_verifier": VERIFIER}


def using_one_proof_eight_times(nodes, name):
    """One of eight requests gets tokens, although each has a code. One of eight reads the API."""
    confirmed(nodes, name)
    connect(nodes, name)
    for i in range(AT_ONCE):
        add_code(nodes, name, f"{name}{i}")
    key, origin = Key(), nodes[0].origin
    nonce = nodes[1].client().get(ME, headers={"DPoP": "a"}).headers["DPoP-Nonce"]
    proof = key.proof(htu=f"{origin}{TOKEN}", nonce=nonce)

    def redeem(i):
        form = FORM | {"client_id": name, "code": f"{name}{i}"}
        return nodes[i % 2].client().post(TOKEN, form, csrf=False, headers={"DPoP": proof})

    answers = together(AT_ONCE, redeem)

    (given,) = [answer for answer in answers if answer.status == 200]
    assert sorted(answer.status for answer in answers) == [200] + [400] * (AT_ONCE - 1)
    token = json.loads(given.body)["access_token"]
    copied = key.proof("GET", ME, token=token, htu=f"{origin}{ME}", nonce=nonce)
    headers = {"Authorization": f"DPoP {token}", "DPoP": copied}

    read = together(AT_ONCE, lambda i: nodes[i % 2].client().get(ME, headers=headers))

    assert sorted(answer.status for answer in read) == [200] + [401] * (AT_ONCE - 1)


RACES = [using_one_proof_eight_times]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_of_eight_requests_with_one_proof_one_succeeds(nodes, race):
    race(nodes, "proving")
