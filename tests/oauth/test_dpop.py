"""Tokens that are bound to a key of the app (DPoP, RFC 9449): what apps and services get."""

import pytest
from django.core.management import call_command

from accounts.codes.models import UsedOnce
from accounts.oauth.models import AuthorizationCode, AuthorizationRequest
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


def test_equal_ways_to_write_a_url_are_equal(app, alice, settings):
    set_up(settings, origin="https://accounts.example.org")
    for htu in (
        "https://accounts.example.org:443/oauth/token?a=b#c",
        "HTTPS://ACCOUNTS.example.org/%6Fauth/token",
    ):
        code = app.code(browser_of(alice))
        assert app.redeem(code, dpop=Key().proof(htu=htu)).status == 200


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
