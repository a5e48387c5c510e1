"""The plan FAPI 2.0 Security Profile, for apps with private_key_jwt and DPoP.

The names of its modules begin with ``fapi2-security-profile-final-``, which is left out here.
"""

import json

import pytest

from accounts.common import clock as site_clock
from tests.support.authorize import AUTHORIZE, PAR, VERIFIER, target
from tests.support.conformance import module, modules
from tests.support.dpop import USERINFO, Key
from tests.support.forgeries import encoded
from tests.support.oauth_client import App, audience
from tests.support.steps import LOGIN

pytestmark = pytest.mark.proof
# The algorithms that FAPI 2.0 allows.
ALGORITHMS = {"PS256", "ES256", "EdDSA", "Ed25519"}
# How the token endpoint may refuse a request without the right key.
UNBOUND = {"invalid_request", "invalid_grant", "invalid_dpop_proof"}
NO_CLIENT = {"invalid_client", "invalid_request"}


def now(seconds=0):
    return int(site_clock.now().timestamp()) + seconds


def is_page(answer):
    """Return whether the browser stays at an error page."""
    return (answer.status_code, target(answer)) == (400, "")


@module("discovery-end-point-verification")
def test_the_metadata_have_what_fapi_needs(fapi, module):
    server = fapi.server

    assert server["issuer"] == audience()
    for name in ("dpop", "id_token", "token_endpoint_auth"):
        assert ALGORITHMS.intersection(server[f"{name}_signing_alg_values_supported"]), name
    assert "private_key_jwt" in server["token_endpoint_auth_methods_supported"]
    assert "S256" in server["code_challenge_methods_supported"]
    assert server["pushed_authorization_request_endpoint"].startswith("https://")
    assert server["authorization_response_iss_parameter_supported"] is True


@module("happy-flow")
def test_two_apps_sign_a_person_in(fapi, other, module):
    first = fapi.sign_in(scope="openid email")
    second = other.sign_in(nonce="n" * 43, dpop_jkt=other.key.thumbprint)

    assert first.claims["sub"] == second.claims["sub"]
    assert len(first.tokens["access_token"]) >= 16
    token, proof = first.tokens["access_token"], fapi.authorization(first.tokens["access_token"])
    for headers in (
        {"Authorization": f"Bearer {token}"},
        proof | {"DPoP": other.authorization(token)["DPoP"]},
    ):
        assert fapi.browser.get(USERINFO, headers=headers).status_code == 401


@module("user-rejects-authentication")
def test_a_person_who_cancels_is_led_back_with_an_error(fapi, module):
    fapi.act, asked = "cancel", fapi.request()

    assert fapi.error(fapi.open(asked), asked) == "access_denied"


@modules(
    {
        "ensure-authorization-request-without-state-success": {"state": None},
        "ensure-authorization-request-without-nonce-success": {"nonce": None},
        "ensure-authorization-request-with-64-char-nonce-success": {"nonce": "n" * 64},
        "ensure-other-scope-order-succeeds": {"scope": "email openid"},
        "ensure-authorization-request-with-long-nonce": {"nonce": "n" * 384},
        "ensure-authorization-request-with-long-state": {"state": "s" * 1000},
        "par-without-duplicate-parameters": {},
    }
)
def test_a_sign_in_succeeds(fapi, module, case):
    fapi.sign_in(**case)


@module("test-claims-parameter-identity-claims")
def test_every_supported_claim_can_be_requested(fapi, alice, module):
    type(alice).objects.update(given_name="Alice", family_name="Liddell", language="en")
    always = {*("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "amr", "acr", "sid")}
    names = {*fapi.server["claims_supported"]} - always - {"groups"}
    wanted = dict.fromkeys(names) | {"name": {"essential": True}, "unknown": None}
    sent = json.dumps({"id_token": wanted, "userinfo": wanted, "elsewhere": wanted})

    signed_in = fapi.sign_in(claims=sent)

    got = fapi.userinfo(signed_in.tokens["access_token"])
    fapi.should(got.keys() == names | {"sub"}, "userinfo has other claims")
    fapi.should({*signed_in.claims} <= names | always, "the ID token has other claims")


@module("access-token-type-header-case-sensitivity")
def test_the_scheme_may_have_any_case(fapi, module):
    token = fapi.sign_in().tokens["access_token"]
    headers = fapi.authorization(token) | {"Authorization": f"dpOp {token}"}

    assert fapi.browser.get(USERINFO, headers=headers).status_code == 200


@modules(
    {
        "check-dpop-proof-nbf-exp": {"nbf": 0, "exp": 300},
        "ensure-dpopproof-with-iat-10seconds-before-succeeds": {"iat": -10},
        "ensure-dpopproof-with-iat-10seconds-after-succeeds": {"iat": 10},
    }
)
def test_proofs_may_be_of_clocks_that_differ_a_little(fapi, module, case):
    fapi.proof = {name: now(seconds) for name, seconds in case.items()}

    assert fapi.redeem(fapi.code(is_bound=True), code_verifier=VERIFIER).status == 200
    fapi.sign_in()


@module("ensure-mismatched-dpop-jkt-fails")
def test_a_pushed_request_for_another_key_than_that_of_its_proof_is_refused(fapi, module):
    pushed = fapi.push(fapi.request(dpop_jkt=Key().thumbprint), is_bound=True)

    assert pushed.error in {"invalid_request", "invalid_dpop_proof"}


@modules(
    {
        "ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt": (False, True),
        "ensure-token-endpoint-fails-with-mismatched-dpop-jkt": (True, False),
    }
)
def test_a_code_that_is_bound_to_a_key_is_refused_for_another(fapi, module, case):
    has_thumbprint, is_bound = case
    thumbprint = fapi.key.thumbprint if has_thumbprint else None
    code = fapi.code(dpop_jkt=thumbprint, is_bound=is_bound)
    fapi.key = Key()

    refused = fapi.redeem(code, code_verifier=VERIFIER)

    assert (refused.status, refused.error in UNBOUND) == (400, True)


@modules(
    {
        "ensure-dpopproof-at-par-endpoint-binding-success": False,
        "ensure-dpop-auth-code-binding-success": True,
    }
)
def test_a_code_that_is_bound_to_a_key_works_with_it(fapi, module, case):
    code = fapi.code(dpop_jkt=fapi.key.thumbprint if case else None, is_bound=True)

    assert fapi.redeem(code, code_verifier=VERIFIER)["token_type"] == "DPoP"


@modules(
    {
        "ensure-different-nonce-inside-and-outside-request-object": {"nonce": "other"},
        "ensure-different-state-inside-and-outside-request-object": {"state": "other"},
        "state-only-outside-request-object-not-used": {"state": "other"},
    }
)
def test_parameters_beside_the_request_uri_do_not_count(fapi, module, case):
    asked = fapi.request(**({"state": None} if "only" in module else {}))
    pushed = fapi.push(asked)

    code = fapi.callback(fapi.follow(pushed["request_uri"], **case), asked)["code"]

    tokens = fapi.redeem(code, code_verifier=VERIFIER)
    assert fapi.id_token(tokens["id_token"], asked["nonce"])


@modules(
    {
        "ensure-request-object-without-redirect-uri-fails": {"redirect_uri": None},
        "ensure-redirect-uri-in-authorization-request": {"redirect_uri": None},
        "plain-fapi-tolerate-unregistered-redirect-uri": {"redirect_uri": "https://x.test/"},
        "ensure-response-type-code-idtoken-fails": {"response_type": "code id_token"},
        "ensure-response-type-token-fails": {"response_type": "token"},
        "par-authorization-request-containing-request_uri-form-param": {
            "request_uri": "urn:ietf:params:oauth:request_uri:x"
        },
        "par-ensure-pkce-required": {"code_challenge": None, "code_challenge_method": None},
        "par-plain-pkce-rejected": {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
    }
)
def test_a_pushed_request_that_is_wrong_is_refused(fapi, module, case):
    pushed = fapi.push(fapi.request(**case))

    kind = "unsupported_response_type" if "response_type" in case else "invalid_request"
    assert (pushed.status, pushed.error) == (400, kind)


@module("ensure-unsigned-authorization-request-without-using-par-fails")
def test_a_request_that_is_not_pushed_gets_an_error(fapi, module):
    asked = fapi.request()

    assert fapi.error(fapi.browser.get(AUTHORIZE, asked), asked) == "invalid_request"


@module("par-attempt-invalid-http-method")
def test_requests_are_pushed_by_post_only(fapi, module):
    assert fapi.browser.put(PAR).status_code == 405


@modules(
    {
        "ensure-client-id-in-token-endpoint": {"client_id": "other"},
        "ensure-client-assertion-in-token-endpoint": {"client_assertion": ""},
        "ensure-client-assertion-with-exp-is-5-minutes-in-past-fails": {"exp": -300},
        "ensure-client-assertion-with-wrong-aud-fails": {"aud": "https://other.test"},
        "ensure-client-assertion-with-no-sub-fails": {"sub": None},
    }
)
def test_the_token_endpoint_refuses_who_does_not_authenticate(fapi, other, module, case):
    changes = {name: now(value) if name == "exp" else value for name, value in case.items()}
    code, form = fapi.code(), {"client_assertion": fapi.app.mint().token(**changes)}
    if "client_id" in case:
        form |= {"client_id": other.app.client.pk}
    elif "client_assertion" in case:
        fapi.app, form = App(fapi.app.client), {}

    refused = fapi.redeem(code, code_verifier=VERIFIER, **form)

    assert (refused.status in {400, 401}, refused.error in NO_CLIENT) == (True, True)


@modules(
    {
        "par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted": {
            "iat": 8,
            "nbf": 8,
        },
        "par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails": {
            "iat": 70,
            "nbf": 70,
            "exp": 130,
        },
        "par-test-array-as-audience-fails": {"aud": ["{issuer}", "https://other.test"]},
        "par-test-par-endpoint-url-as-audience-fails": {"aud": f"{{issuer}}{PAR}"},
        "par-test-token-endpoint-url-as-audience-fails": {"aud": "{issuer}/oauth/token"},
    }
)
def test_assertions_are_for_the_issuer_and_for_now(fapi, module, case):
    text = json.dumps(case).replace("{issuer}", audience())
    changes = {
        name: now(value) if isinstance(value, int) else value
        for name, value in json.loads(text).items()
    }

    pushed = fapi.push(fapi.request(), client_assertion=fapi.app.mint().token(**changes))

    if case.get("nbf") == 8:
        assert pushed.status == 201
    else:
        assert (pushed.status in {400, 401}, pushed.error in NO_CLIENT) == (True, True)


@module("ensure-holder-of-key-required")
def test_tokens_need_a_proof(fapi, module):
    refused = fapi.redeem(fapi.code(), code_verifier=VERIFIER, dpop="")

    assert (refused.status, refused.error in UNBOUND) == (400, True)


@module("ensure-authorization-code-is-bound-to-client")
def test_another_app_cannot_use_the_code(fapi, other, module):
    refused = other.redeem(fapi.code(), code_verifier=VERIFIER)

    assert (refused.status, refused.error) == (400, "invalid_grant")


@modules(
    {
        "ensure-pkce-code-verifier-required": {},
        "incorrect-pkce-code-verifier-rejected": {"code_verifier": "x" * 43},
    }
)
def test_a_code_needs_its_verifier(fapi, module, case):
    refused = fapi.redeem(fapi.code(), **case)

    assert (refused.status, refused.error) == (400, "invalid_grant")


@module("attempt-reuse-authorization-code-after-one-second")
def test_a_code_works_once_and_a_second_use_revokes_its_tokens(fapi, clock, module):
    signed_in = fapi.sign_in()
    clock.advance(seconds=1)

    refused = fapi.redeem(signed_in.code, code_verifier=VERIFIER)

    assert (refused.status, refused.error) == (400, "invalid_grant")
    headers = fapi.authorization(signed_in.tokens["access_token"])
    is_revoked = fapi.browser.get(USERINFO, headers=headers).status_code == 401
    fapi.should(is_revoked, "the access token still works")


@module("ensure-token-endpoint-fails-with-expired-auth-code")
def test_a_code_expires_after_a_minute(fapi, clock, module):
    code = fapi.code()
    clock.advance(seconds=61)

    assert fapi.redeem(code, code_verifier=VERIFIER).error == "invalid_grant"


@module("par-ensure-reused-request-uri-prior-to-auth-completion-succeeds")
def test_a_request_uri_works_again_until_the_person_has_signed_in(fapi, module):
    asked = fapi.request()
    uri = fapi.push(asked)["request_uri"]
    first = fapi.browser.get(AUTHORIZE, {"client_id": fapi.app.client.pk, "request_uri": uri})
    assert fapi.browser.get(target(first)).url.startswith(LOGIN)

    assert "code" in fapi.callback(fapi.follow(uri), asked)


@modules(
    {
        "par-attempt-reuse-request_uri": 0,
        "par-attempt-to-use-expired-request_uri": 91,
    }
)
def test_a_request_uri_works_once_and_for_90_seconds(fapi, clock, module, case):
    asked = fapi.request()
    pushed = fapi.push(asked)
    if case:
        assert pushed["expires_in"] < case
        clock.advance(seconds=case)
    else:
        assert "code" in fapi.callback(fapi.follow(pushed["request_uri"]), asked)

    assert is_page(fapi.follow(pushed["request_uri"]))


@module("par-attempt-to-use-request_uri-for-different-client")
def test_another_app_cannot_use_a_request_uri(fapi, other, module):
    assert is_page(other.follow(fapi.push(fapi.request())["request_uri"]))


@module("dpop-negative-tests")
def test_userinfo_takes_right_proofs_only(fapi, module):
    token, key = fapi.sign_in().tokens["access_token"], fapi.key
    here = audience() + USERINFO

    def status(proof, scheme="DPoP"):
        headers = {"Authorization": f"{scheme} {token}"} | ({"DPoP": proof} if proof else {})
        return fapi.browser.get(USERINFO, headers=headers).status_code

    def proof(**changes):
        return key.proof("GET", USERINFO, **({"token": token} | changes))

    shouted = here.replace("https://accounts", "HTTPS://ACCOUNTS")
    right = [
        *({"htu": f"{here}?a=b#c"}, {"htu": shouted}, {"htu": here.replace("org/", "org:443/")}),
        *({"extra": "x", "head": {"extra": "x"}}, {}),
    ]
    wrong = [
        *({"head": {"typ": None}}, {"head": {"alg": None}}, {"head": {"jwk": None}}),
        *({"head": {"typ": "jwt"}}, {"head": {"alg": "none"}, "sign": lambda _text: b""}),
        *({name: None} for name in ("jti", "htm", "htu", "iat", "ath")),
        *({"htm": "PUT"}, {"htu": "https://other.test/"}, {"iat": now(3600)}, {"iat": now(-3600)}),
        *({"ath": encoded(b"x" * 32)}, {"sign": Key().sign}, {"sign": lambda _text: b"x" * 64}),
        {"head": {"jwk": key.jwk | {"d": encoded(b"x" * 32)}}},
    ]
    assert [changes for changes in right if status(proof(**changes)) != 200] == []
    assert [changes for changes in wrong if status(proof(**changes)) != 401] == []
    used = proof()
    assert [status(used), status(used)] == [200, 401]
    assert [status(f"{proof()}, {proof()}"), status("x"), status(""), status("", "Bearer")] == [
        *(401, 401, 401, 401)
    ]


@module("refresh-token")
def test_a_refresh_token_is_bound_to_its_app_and_key_and_is_not_rotated(fapi, other, module):
    offline = {"scope": "openid offline_access", "prompt": "consent"}
    signed_in, of_other = fapi.sign_in(**offline), other.sign_in(**offline)
    text, proof = signed_in.tokens["refresh_token"], fapi.key.proof

    renewed = fapi.app.refresh(text, dpop=proof(), scope=offline["scope"])

    assert (renewed["token_type"], renewed.body.get("refresh_token", text)) == ("DPoP", text)
    assert renewed.headers["Cache-Control"] == "no-store"
    assert fapi.id_token(renewed["id_token"], None)["sub"] == signed_in.claims["sub"]
    assert fapi.userinfo(renewed["access_token"])
    alone = App(fapi.app.client).refresh(text, dpop=proof())
    assert (alone.status in {400, 401}, alone.error in {*NO_CLIENT, "invalid_grant"}) == (
        True,
        True,
    )
    assert fapi.app.refresh(text).error in UNBOUND
    stolen = fapi.app.refresh(of_other.tokens["refresh_token"], dpop=proof())
    assert (stolen.status, stolen.error) == (400, "invalid_grant")
