"""Scopes that services define, and tokens that are verified for one service."""

import pytest

from tests.support.api import call, get_tokens, renew
from tests.support.signin import set_up
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db

SHOP, WIKI = "https://shop.example.org", "https://wiki.example.org"
BUY = "orders:write"


@pytest.fixture(autouse=True)
def alice(settings):
    set_up(
        settings,
        token_audiences=(SHOP, WIKI),
        audience_scopes={SHOP: {BUY: "buy"}},
    )
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
    token = get_tokens(audience=SHOP)["access"]

    assert call("token/verify/", {"token": token, "audience": SHOP})["aud"] == SHOP
    assert call("token/verify/", {"token": token})["aud"] == SHOP
    for other in (WIKI, "http://localhost:8000", "https://nowhere.example", f"{SHOP}/"):
        answer = call("token/verify/", {"token": token, "audience": other})
        assert answer.short == (401, "token_not_valid"), other
    own = get_tokens()["access"]
    assert (
        call("token/verify/", {"token": own, "audience": "https://nowhere.example"}).status == 401
    )
