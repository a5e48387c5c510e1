"""Attacks on tokens that are bound to a key (DPoP, RFC 9449), and on proofs of that key."""

import pytest

from accounts.codes.models import UsedOnce
from accounts.oauth.models import AuthorizationCode
from accounts.sessions.models import LoginSession
from accounts.tokens import dpop
from tests.support.api import call
from tests.support.authorize import PAR, query
from tests.support.clock import Clock
from tests.support.dpop import ME, USERINFO, Key, get
from tests.support.oauth_client import Answer, App, audience, browser_of, new_app, set_client
from tests.support.steps import make_user
from tests.support.wsgi import Applications, answer, environ

pytestmark = pytest.mark.django_db

SCOPE = "openid profile:read offline_access"


@pytest.fixture
def app(db: None) -> App:
    return new_app(scope=SCOPE, audiences=[audience()], is_public=True)


@pytest.fixture
def browser(db: None) -> LoginSession:
    return browser_of(make_user("alice"))


@pytest.fixture
def key() -> Key:
    return Key()


def sign_in(app: App, browser: LoginSession, key: Key) -> Answer:
    given = app.redeem(app.code(browser, SCOPE), dpop=key.proof())
    assert given.status == 200, given.body
    return given


def test_a_stolen_access_token_is_useless_without_its_key(
    app: App, browser: LoginSession, key: Key
) -> None:
    token = sign_in(app, browser, key)["access_token"]
    other = sign_in(app, browser, key)["access_token"]

    for path in (ME, USERINFO):
        attempts = [
            get(path, token, scheme="Bearer"),
            get(path, token, key.proof("GET", path, token=token), scheme="Bearer"),
            get(path, token),
            get(path, token, Key().proof("GET", path, token=token)),
            # Proofs that the thief has copied from other requests.
            get(path, token, key.proof("GET", path)),
            get(path, token, key.proof("GET", path, token=other)),
        ]
        assert [there.status_code for there in attempts] == [401] * 6, path
        assert get(path, token, key.proof("GET", path, token=token)).status_code == 200
    assert call("me/", basic=f"{token}:").status == 401


def test_a_token_that_is_bound_to_no_key_is_refused_as_dpop(
    app: App, browser: LoginSession, key: Key
) -> None:
    token = app.sign_in(browser, SCOPE)["access_token"]

    for path in (ME, USERINFO):
        assert get(path, token, key.proof("GET", path, token=token)).status_code == 401
        assert get(path, token).status_code == 401
        assert get(path, token, scheme="Bearer").status_code == 200


def test_the_short_path_refuses_bound_tokens_and_repeats_no_nonce(
    app: App, browser: LoginSession, key: Key
) -> None:
    given, applications = sign_in(app, browser, key), Applications()
    token = given["access_token"]
    proof = key.proof("GET", ME, token=token)

    bound = environ("GET", ME, HTTP_AUTHORIZATION=f"DPoP {token}", HTTP_DPOP=proof)
    first = answer(applications.short, bound)
    assert (first.status, first.headers["dpop-nonce"]) == ("200 OK", dpop.nonce())
    plain = f"Bearer {app.sign_in(browser, SCOPE)['access_token']}"
    for _ in range(2):
        second = answer(applications.short, environ("GET", ME, HTTP_AUTHORIZATION=plain))
        assert (second.status, "dpop-nonce" in second.headers) == ("200 OK", False)

    stolen = environ("GET", ME, HTTP_AUTHORIZATION=f"Bearer {token}")
    assert answer(applications.short, stolen).status == "401 Unauthorized"


@pytest.mark.parametrize("is_public", [True, False])
def test_a_stolen_refresh_token_is_useless_without_its_key(
    browser: LoginSession, key: Key, clock: Clock, is_public: bool
) -> None:
    app = new_app(scope=SCOPE, audiences=[audience()], is_public=is_public)
    old = sign_in(app, browser, key)["refresh_token"]
    new = app.refresh(old, dpop=key.proof())["refresh_token"]
    clock.advance(seconds=31)

    for token in (old, new):
        assert app.refresh(token).error == "invalid_grant"
        assert app.refresh(token, dpop=Key().proof()).error == "invalid_grant"

    answer = app.refresh(new, dpop=key.proof())
    assert (answer.status, answer["token_type"]) == (200, "DPoP"), "the thief has ended nothing"


def test_a_refresh_token_that_is_bound_to_no_key_stays_so(
    app: App, browser: LoginSession, key: Key
) -> None:
    token = app.sign_in(browser, SCOPE)["refresh_token"]

    assert app.refresh(token, dpop=key.proof()).error == "invalid_grant"
    assert app.refresh(token)["token_type"] == "Bearer"


def test_a_proof_works_once(app: App, browser: LoginSession, key: Key) -> None:
    proof = key.proof()
    given = app.redeem(app.code(browser, SCOPE), dpop=proof)
    assert app.redeem(app.code(browser, SCOPE), dpop=proof).error == "invalid_dpop_proof"
    assert app.refresh(given["refresh_token"], dpop=proof).error == "invalid_dpop_proof"

    token = given["access_token"]
    for path in (ME, USERINFO):
        proof = key.proof("GET", path, token=token)
        assert [get(path, token, proof).status_code for _ in range(2)] == [200, 401]
    # Another client may choose the same name for its proof.
    assert app.redeem(app.code(browser), dpop=Key().proof(jti="1")).status == 200
    assert app.redeem(app.code(browser), dpop=key.proof(jti="1")).status == 200


def test_only_a_request_that_succeeds_stores_a_proof(
    app: App, browser: LoginSession, key: Key
) -> None:
    """Otherwise a stranger could fill the database."""
    token = app.sign_in(browser, SCOPE)["access_token"]

    app.redeem("a" * 43, dpop=key.proof())
    app.refresh("a" * 72, dpop=key.proof())
    get(ME, token, key.proof("GET", ME, token=token))
    get(ME, "a", key.proof("GET", ME, token="a"))

    assert not UsedOnce.objects.exists()


def test_a_proof_needs_the_nonce_of_the_last_answers(
    app: App, browser: LoginSession, key: Key, clock: Clock
) -> None:
    """Whoever could use the key for a moment has made no proofs for later."""
    code, made_before = app.code(browser, SCOPE), dpop.nonce()
    clock.advance(seconds=600)

    for nonce in (None, made_before, "a", 5):
        refused = app.redeem(code, dpop=key.proof(nonce=nonce))
        assert refused.error == "use_dpop_nonce"
    code = app.code(browser, SCOPE)
    token = app.redeem(code, dpop=key.proof(nonce=refused.headers["DPoP-Nonce"]))["access_token"]

    refused = get(ME, token, key.proof("GET", ME, token=token, nonce=made_before))
    assert refused.json()["code"] == "use_dpop_nonce"
    challenge = 'DPoP error="use_dpop_nonce", algs="ES256 RS256 EdDSA Ed25519"'
    assert refused.headers["WWW-Authenticate"] == challenge
    nonce = refused.headers["DPoP-Nonce"]
    assert get(ME, token, key.proof("GET", ME, token=token, nonce=nonce)).status_code == 200


def test_a_code_that_is_bound_to_a_key_is_useless_without_it(
    app: App, browser: LoginSession, key: Key
) -> None:
    code = app.code(browser, dpop_jkt=key.thumbprint)

    assert app.redeem(code).error == "invalid_grant"
    assert app.redeem(code, dpop=Key().proof()).error == "invalid_grant"

    assert app.redeem(code, dpop=key.proof())["token_type"] == "DPoP"


def test_a_pushed_request_needs_a_new_proof_of_the_key_that_it_names(
    app: App, browser: LoginSession, key: Key
) -> None:
    form = {name: value or "" for name, value in query(app.client, scope="openid").items()}
    proof = key.proof(path=PAR)

    other = app.post(PAR, dpop=proof, dpop_jkt=Key().thumbprint, **form)
    assert other.error == "invalid_dpop_proof"
    assert app.post(PAR, dpop=key.proof(), **form).error == "invalid_dpop_proof"
    assert app.post(PAR, dpop=proof, **form).status == 201
    assert app.post(PAR, dpop=proof, **form).error == "invalid_dpop_proof"


def test_an_app_that_must_use_dpop_gets_nothing_without_it(
    app: App, browser: LoginSession, key: Key
) -> None:
    before = app.sign_in(browser, SCOPE)["refresh_token"]
    set_client(app, requires_dpop=True)
    code = app.code(browser)

    assert app.redeem(code).error == "invalid_dpop_proof"
    assert app.refresh(before).error == "invalid_dpop_proof"

    assert app.redeem(code, dpop=key.proof())["token_type"] == "DPoP"
    assert AuthorizationCode.objects.filter(spent_at=None).count() == 0
