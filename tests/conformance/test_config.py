"""The plan Config OP."""

import re
from urllib.parse import urlsplit

import pytest
from django.test import Client as Browser

from tests.support.conformance import module
from tests.support.relying_party import DISCOVERY

pytestmark = pytest.mark.proof
LISTS = (
    *("response_types_supported", "response_modes_supported", "grant_types_supported"),
    *("subject_types_supported", "id_token_signing_alg_values_supported", "scopes_supported"),
    *("claims_supported", "ui_locales_supported", "code_challenge_methods_supported"),
)


@module("oidcc-discovery-endpoint-verification")
def test_the_metadata_and_keys_describe_an_openid_provider(rp, module):
    answer = Browser().get(DISCOVERY)

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    server = answer.json()
    assert server["issuer"] == "https://accounts.example.org"
    places = [name for name in server if name.endswith("_endpoint") or name == "jwks_uri"]
    assert {"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} < {*places}
    assert [name for name in places if urlsplit(server[name]).scheme != "https"] == []
    assert all(isinstance(server[name], list) and server[name] for name in LISTS)
    assert "code" in server["response_types_supported"]
    assert "RS256" in server["id_token_signing_alg_values_supported"]
    assert {*server["subject_types_supported"]} <= {"public", "pairwise"}
    assert "openid" in server["scopes_supported"]
    assert all(re.fullmatch(r"[\x21\x23-\x5B\x5D-\x7E]+", s) for s in server["scopes_supported"])
    rp.sign_in()  # the site has keys
    keys = Browser().get(urlsplit(server["jwks_uri"]).path).json()["keys"]
    kids = [key["kid"] for key in keys]
    assert len({*kids}) == len(kids) > 0
    assert all({"d", "p", "q", "k"}.isdisjoint(key) and key["use"] == "sig" for key in keys)
