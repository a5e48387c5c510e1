"""The plans Basic OP and Form Post OP, which have the same modules."""

import pytest

from tests.support.apps import WEB
from tests.support.authorize import CHALLENGE, target
from tests.support.conformance import module, modules
from tests.support.dpop import USERINFO
from tests.support.forgeries import join, unsigned
from tests.support.oauth_client import new_app
from tests.support.relying_party import REAUTHENTICATE, RelyingParty
from tests.support.steps import LOGIN

pytestmark = pytest.mark.proof
STANDARD = {
    *("name", "given_name", "family_name", "middle_name", "nickname", "preferred_username"),
    *("profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at"),
}
# The claims that ID tokens may have without being asked for.
ALLOWED = {
    *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "at_hash"),
    *("c_hash", "nbf", "jti", "sid"),
}


@pytest.fixture(params=["query", "form_post"])
def mode(request):
    return request.param


@modules(
    {
        "oidcc-server": {},
        "oidcc-display-page": {"display": "page"},
        "oidcc-display-popup": {"display": "popup"},
        "oidcc-ensure-request-with-unknown-parameter-succeeds": {"extra": "foobar"},
        "oidcc-login-hint": {"login_hint": "buffy@accounts.example.org"},
        "oidcc-ui-locales": {"ui_locales": "se"},
        "oidcc-claims-locales": {"claims_locales": "se"},
        "oidcc-ensure-request-with-valid-pkce-succeeds": {
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        },
    }
)
def test_a_sign_in_succeeds(rp, module, case):
    signed_in = rp.sign_in(**case)

    rp.should({*signed_in.claims} <= ALLOWED, "the ID token has claims that nobody asked for")


@module("oidcc-response-type-missing")
def test_a_request_without_a_response_type_gets_an_error(rp, module):
    asked = rp.request(response_type=None)

    assert rp.error(rp.open(asked), asked) in {"invalid_request", "unsupported_response_type"}


@modules(
    {
        "oidcc-userinfo-get": {},
        "oidcc-userinfo-post-header": {"method": "post"},
        "oidcc-userinfo-post-body": {"method": "post", "in_form": True},
    }
)
def test_userinfo_takes_the_token(rp, module, case):
    signed_in = rp.sign_in()

    assert rp.userinfo(signed_in.tokens["access_token"], **case)["sub"] == signed_in.claims["sub"]


@module("oidcc-ensure-request-without-nonce-succeeds-for-code-flow")
def test_a_request_with_neither_pkce_nor_nonce_is_refused(rp, module):
    asked = rp.request(nonce=None)

    assert rp.error(rp.open(asked), asked) == "invalid_request"


@modules(
    {
        "oidcc-scope-profile": "openid profile",
        "oidcc-scope-email": "openid email",
        # The reverse order, also of the parameters.
        "oidcc-alternate-happy-flow": "email openid",
    }
)
def test_userinfo_has_the_claims_of_the_scopes(rp, module, case):
    signed_in = rp.sign_in(scope=case)

    got = rp.userinfo(signed_in.tokens["access_token"])
    if "profile" in case:
        rp.should(got.keys() >= STANDARD, "claims of the scope profile are missing")
    else:
        assert (got["email"], got["email_verified"]) == ("alice@example.org", True)
        rp.should("email" not in signed_in.claims, "the address is in the ID token")
        rp.should("name" not in {*got, *signed_in.claims}, "nobody asked for the name")


@modules(
    {
        "oidcc-scope-address": {"address"},
        "oidcc-scope-phone": {"phone"},
        "oidcc-scope-all": {"address", "phone"},
    }
)
def test_a_scope_that_is_not_offered_is_not_in_the_metadata(rp, module, case):
    assert case.isdisjoint(rp.server["scopes_supported"])


@modules({"oidcc-prompt-login": {"prompt": "login"}, "oidcc-max-age-1": {"max_age": "1"}})
def test_a_person_who_is_signed_in_authenticates_again(rp, clock, module, case):
    first = rp.sign_in()
    clock.advance(seconds=2)
    rp.pages.clear()

    second = rp.sign_in(**case)

    assert rp.pages == [REAUTHENTICATE]
    assert second.claims["auth_time"] > first.claims["auth_time"]


@module("oidcc-prompt-none-not-logged-in")
def test_prompt_none_gets_an_error_if_nobody_is_signed_in(rp, module):
    asked = rp.request(prompt="none", state="s" * 128)

    assert rp.error(rp.open(asked), asked) == "login_required"


@modules(
    {
        "oidcc-prompt-none-logged-in": ({}, {"prompt": "none"}),
        "oidcc-id-token-hint": ({}, {"prompt": "none"}),
        "oidcc-max-age-10000": ({"max_age": "15000"}, {"max_age": "10000"}),
    }
)
def test_a_second_request_is_answered_without_a_page(rp, module, case):
    first = rp.sign_in(**case[0])
    assert rp.pages[0] == LOGIN
    rp.pages.clear()
    hint = {"id_token_hint": first.tokens["id_token"]} if "hint" in module else {}

    second = rp.sign_in(**case[1], **hint)

    assert rp.pages == []
    same = ("sub", "auth_time")
    assert [second.claims[name] for name in same] == [first.claims[name] for name in same]


@module("oidcc-ensure-request-with-acr-values-succeeds")
def test_the_id_token_names_one_of_the_requested_assurances(rp, module):
    values = rp.server["acr_values_supported"]

    signed_in = rp.sign_in(acr_values=" ".join(values))

    rp.should(signed_in.claims.get("acr") in values, "the acr is not one of the requested")


@modules({"oidcc-codereuse": 0, "oidcc-codereuse-30seconds": 30})
def test_a_code_is_refused_the_second_time_and_its_access_token_revoked(rp, clock, module, case):
    signed_in = rp.sign_in()
    clock.advance(seconds=case)

    again = rp.redeem(signed_in.code)

    assert (again.status, again.error) == (400, "invalid_grant")
    headers = {"Authorization": f"Bearer {signed_in.tokens['access_token']}"}
    is_revoked = rp.browser.get(USERINFO, headers=headers).status_code == 401
    rp.should(is_revoked, "the access token still works")


@module("oidcc-ensure-registered-redirect-uri")
def test_a_redirect_uri_that_is_not_registered_gets_a_page(rp, module):
    answer = rp.open(rp.request(redirect_uri=f"{WEB}/random"))

    assert (answer.status_code, target(answer)) == (400, "")
    assert "redirect_uri" in answer.text


@module("oidcc-ensure-post-request-succeeds")
def test_a_form_may_send_the_request(rp, module):
    rp.sign_in(by_post=True)


@module("oidcc-server-client-secret-post")
def test_an_app_may_send_its_secret_in_the_form(rp, module):
    app = rp.app
    secret, app.secret = app.secret, ""
    asked = rp.request()
    code = rp.callback(rp.open(asked), asked)["code"]

    tokens = rp.redeem(code, client_secret=secret)

    assert "client_secret_post" in rp.server["token_endpoint_auth_methods_supported"]
    assert rp.id_token(tokens["id_token"], asked["nonce"])["sub"]


@modules(
    {
        "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported": WEB,
        "oidcc-ensure-request-object-with-redirect-uri": f"{WEB}/random",
    }
)
def test_request_objects_are_refused(rp, module, case):
    """The second module sends the registered redirect URI in the request object only."""
    asked = rp.request(redirect_uri=case)
    inside = join({"alg": "none"}, rp.request(), unsigned)

    answer = rp.open(asked | {"request": inside})

    if case == WEB:
        assert rp.error(answer, asked) == "request_not_supported"
    else:
        assert (answer.status_code, target(answer)) == (400, "")
    assert rp.server["request_parameter_supported"] is False


@module("oidcc-claims-essential")
def test_an_essential_claim_stops_no_sign_in(rp, module):
    signed_in = rp.sign_in(claims='{"userinfo": {"name": {"essential": true}}}')

    got = rp.userinfo(signed_in.tokens["access_token"])
    rp.should("name" in got, "userinfo lacks the name")
    rp.should("name" not in signed_in.claims, "nobody asked for the name in the ID token")


@module("oidcc-refresh-token")
def test_a_refresh_token_works_for_its_app_only(rp, module):
    other = RelyingParty(new_app("B", requires_pkce=False), rp.mode, browser=rp.browser)
    offline = {"scope": "openid offline_access", "prompt": "consent"}
    first, second = rp.sign_in(**offline), other.sign_in(**offline, nonce="n" * 43)

    renewed = rp.app.refresh(first.tokens["refresh_token"], scope=offline["scope"])

    assert renewed.headers["Cache-Control"] == "no-store"
    assert renewed["access_token"] != first.tokens["access_token"]
    claims = rp.id_token(renewed["id_token"], None)
    same = ("iss", "sub", "aud", "auth_time")
    assert [claims[name] for name in same] == [first.claims[name] for name in same]
    assert "refresh_token" in rp.server["grant_types_supported"]
    stolen = rp.app.refresh(second.tokens["refresh_token"])
    assert (stolen.status, stolen.error) == (400, "invalid_grant")
    assert other.app.refresh(second.tokens["refresh_token"]).status == 200
    assert rp.userinfo(renewed["access_token"])["sub"] == claims["sub"]
