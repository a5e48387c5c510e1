"""Tokens that are bound to a key of the app (DPoP, RFC 9449): what apps and services get."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from accounts.codes.models import UsedOnce
from accounts.oauth.models import AuthorizationCode, AuthorizationRequest
from accounts.sessions.models import LoginSession
from accounts.tokens import dpop
from tests.support.api import claims_of
from tests.support.authorize import PAR, VERIFIER, begin, query, result
from tests.support.dpop import ME, USERINFO, Key, get
from tests.support.oauth_client import audience, browser_of, new_app
from tests.support.signin import set_up, signed_in

pytestmark = pytest.mark.django_db

SCOPE = "openid profile:read offline_access"


@pytest.fixture
def app(db):
    return new_app(scope=SCOPE, audiences=[audience()])


@pytest.mark.parametrize("algorithm", dpop.ALGORITHMS)
def test_an_app_binds_its_tokens_to_a_key_of_its_own(app, alice, algorithm):
    key = Key(algorithm)

    given = app.redeem(app.code(browser_of(alice), SCOPE), dpop=key.proof())
    renewed = app.refresh(given["refresh_token"], dpop=key.proof())

    for answer in (given, renewed):
        token = answer["access_token"]
        assert answer["token_type"] == "DPoP"
        assert claims_of(token)["cnf"] == {"jkt": key.thumbprint}
        state = app.introspect(token)
        assert (state["token_type"], state["cnf"]) == ("DPoP", {"jkt": key.thumbprint})
        for path in (ME, USERINFO):
            assert get(path, token, key.proof("GET", path, token=token)).status_code == 200


@pytest.mark.parametrize(
    "htu",
    [
        "http://localhost:8000/oauth/token?a=b#c",
        "HTTP://LOCALHOST:8000/oauth/token",
        "http://localhost:8000/%6Fauth/token",
    ],
)
def test_equal_ways_to_write_a_url_are_equal(app, alice, htu):
    code = app.code(browser_of(alice))

    assert app.redeem(code, dpop=Key().proof(htu=htu)).status == 200


def test_the_default_port_may_be_there_or_not(app, alice, settings):
    set_up(settings, origin="https://accounts.example.org")
    code = app.code(browser_of(alice))
    proof = Key().proof(htu="https://accounts.example.org:443/oauth/token")

    assert app.redeem(code, dpop=proof).status == 200


def test_a_nonce_is_accepted_for_at_least_five_minutes_by_every_node(app, alice, clock, settings):
    nonce, browser = dpop.nonce(), browser_of(alice)
    clock.advance(seconds=299)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 64, [settings.SECRET_KEY]

    assert app.redeem(app.code(browser), dpop=Key().proof(nonce=nonce)).status == 200


def test_an_authorization_request_binds_its_code(app, alice):
    key, browser = Key(), signed_in(alice)
    app.client.is_first_party = True
    app.client.save()
    form = query(app.client, scope="openid")
    pushed = app.post(PAR, dpop=key.proof(path=PAR), **form)
    assert AuthorizationRequest.objects.get().dpop_jkt == key.thumbprint

    for asked in ({"request_uri": pushed["request_uri"]}, {"dpop_jkt": key.thumbprint}):
        code = result(begin(browser, app.client, scope="openid", **asked))["code"]
        assert AuthorizationCode.objects.filter(dpop_jkt=key.thumbprint, used_at=None).exists()
        assert app.redeem(code, code_verifier=VERIFIER).error == "invalid_grant"
        bound = app.redeem(code, code_verifier=VERIFIER, dpop=key.proof())
        assert bound["token_type"] == "DPoP"
    wrong = result(begin(browser, app.client, scope="openid", dpop_jkt="a"))
    assert wrong["error"] == "invalid_request"


def test_only_apps_that_use_dpop_pay_for_it_and_with_one_statement(app, alice):
    key, browser = Key(), browser_of(alice)
    bound = app.redeem(app.code(browser, SCOPE), dpop=key.proof())
    free = app.sign_in(browser, SCOPE)

    def statements(act):
        with CaptureQueriesContext(connection) as caught:
            act()
        return len(caught)

    token, other = bound["access_token"], free["access_token"]
    asked = statements(lambda: get(ME, other, scheme="Bearer"))
    proof, refresh_proof = key.proof("GET", ME, token=token), key.proof()
    assert statements(lambda: get(ME, token, proof)) == asked + 1
    asked = statements(lambda: app.refresh(free["refresh_token"]))
    renewed = statements(lambda: app.refresh(bound["refresh_token"], dpop=refresh_proof))
    assert renewed == asked + 1


def test_used_proofs_that_have_expired_are_deleted(
    app, alice, clock, django_capture_on_commit_callbacks
):
    app.redeem(app.code(browser_of(alice)), dpop=Key().proof())
    assert UsedOnce.objects.count() == 1
    clock.advance(seconds=dpop.WINDOW + 9)
    call_command("prune")
    assert UsedOnce.objects.count() == 1, "another node's clock may be behind"
    clock.advance(seconds=1)

    with django_capture_on_commit_callbacks(execute=True):
        dpop.DpopProof("key", "00", clock.now()).consume()

    assert not UsedOnce.objects.exists()
    assert LoginSession.objects.filter(app_session__client=app.client).count() == 1


def test_documents_name_the_algorithms_and_scripts_may_send_proofs():
    for name in ("openid-configuration", "oauth-protected-resource"):
        found = Browser().get(f"/.well-known/{name}").json()
        assert found["dpop_signing_alg_values_supported"] == [*dpop.ALGORITHMS]
    script = {"Origin": "https://spa.example", "Access-Control-Request-Method": "POST"}
    allowed = Browser().options("/oauth/token", headers=script)
    assert allowed["Access-Control-Allow-Headers"] == "authorization, content-type, dpop"
    assert "dpop-nonce" in Browser().post("/oauth/token")["Access-Control-Expose-Headers"]
