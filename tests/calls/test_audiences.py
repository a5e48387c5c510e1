"""Scopes that services define, and tokens that are verified for one service."""

import pytest

from tests.support.api import call, get_tokens, renew
from tests.support.signin import set_up
from tests.support.steps import make_user

SHOP, WIKI = "https://shop.example.org", "https://wiki.example.org"
BUY = "orders:write"


@pytest.fixture(autouse=True)
def alice(settings):
    set_up(settings, token_audiences=(SHOP, WIKI), audience_scopes={SHOP: {BUY: {"en": "buy"}}})
    return make_user("alice")


def test_a_token_has_the_scopes_that_its_service_defines_and_those_of_no_other():
    tokens = get_tokens(audience=SHOP, scope=f"read {BUY}")

    assert tokens["scope"] == f"{BUY} read"
    for audience, scope in ((WIKI, "read"), (SHOP, f"{BUY} read")):
        tokens = renew(tokens["refresh"], audience=audience)
        assert tokens["scope"] == scope
    assert renew(tokens["refresh"])["scope"] == "read"


def test_a_service_without_the_scope_and_a_session_without_it_do_not_get_it():
    for request in ({}, {"audience": WIKI}, {"audience": "https://nowhere.example"}):
        answer = get_tokens(scope=BUY, **request)
        assert (answer.status, answer.fields[-1]) == (400, "scope")
    narrow = get_tokens(audience=SHOP)["refresh"]
    assert renew(narrow, audience=SHOP, scope=BUY).short == (400, "invalid_scope")


def test_a_token_is_verified_only_for_the_service_that_asks():
    """Withstands a malicious app."""
    token = get_tokens(audience=SHOP)["access"]

    assert call("token/verify/", {"token": token, "audience": SHOP})["aud"] == SHOP
    assert call("token/verify/", {"token": token})["aud"] == SHOP
    own, nowhere = get_tokens()["access"], "https://nowhere.example"
    others = [(token, other) for other in (WIKI, "http://localhost:8000", nowhere, f"{SHOP}/")]
    for each, other in (*others, (own, nowhere)):
        answer = call("token/verify/", {"token": each, "audience": other})
        assert answer.short == (401, "token_not_valid"), other
