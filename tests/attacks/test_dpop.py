"""Tokens that are bound to a key (DPoP, RFC 9449), and attacks on them."""

import hashlib
import hmac

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management import call_command

from accounts.codes.models import UsedOnce
from accounts.common import clock as site_clock
from accounts.oauth.models import AuthorizationCode, AuthorizationRequest
from accounts.tokens import dpop
from tests.support.api import call, claims_of, get_tokens
from tests.support.authorize import PAR, VERIFIER, begin, query, result
from tests.support.dpop import ME, TOKEN, USERINFO, Key, get
from tests.support.oauth_client import audience, browser_of, new_app, set_client
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import make_user
from tests.support.wsgi import Applications, answer, environ

SCOPE = "openid profile:read offline_access"


@pytest.fixture
def app(db):
    return new_app(scope=SCOPE, audiences=[audience()], is_public=True)


@pytest.fixture
def browser(db):
    return browser_of(make_user("alice"))


@pytest.fixture
def key():
    return Key()


def sign_in(app, browser, key):
    given = app.redeem(app.code(browser, SCOPE), dpop=key.proof())
    assert given.status == 200, given.body
    return given


@proves("V10.3.5", "RFC9700-2.2.1")
def test_a_stolen_access_token_is_useless_without_its_key(app, browser, key):
    """Withstands an attacker of apps."""
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
        schemes = [there.headers["WWW-Authenticate"].partition(" ")[0] for there in attempts]
        assert schemes == ["Bearer"] * 2 + ["DPoP"] * 4
        assert get(path, token, key.proof("GET", path, token=token)).status_code == 200
    assert call("me/", basic=f"{token}:").status == 401


def test_a_token_that_is_bound_to_no_key_is_refused_as_dpop(app, browser, key):
    """Withstands an attacker of apps."""
    token = app.sign_in(browser, SCOPE)["access_token"]

    for path in (ME, USERINFO):
        assert get(path, token, key.proof("GET", path, token=token)).status_code == 401
        assert get(path, token).status_code == 401
        assert get(path, token, scheme="Bearer").status_code == 200


def test_the_short_path_refuses_bound_tokens_and_repeats_no_nonce(app, browser, key):
    given, applications = sign_in(app, browser, key), Applications()
    token = given["access_token"]
    proof = key.proof("GET", ME, token=token)

    bound = environ("GET", ME, HTTP_AUTHORIZATION=f"DPoP {token}", HTTP_DPOP=proof)
    first = answer(applications.short, bound)
    assert (first.status, first.headers["dpop-nonce"]) == ("200 OK", dpop.nonce())
    # The short path answers to people's own tokens only.
    plain = f"Bearer {get_tokens()['access']}"
    for _ in range(2):
        second = answer(applications.short, environ("GET", ME, HTTP_AUTHORIZATION=plain))
        assert (second.status, "dpop-nonce" in second.headers) == ("200 OK", False)

    stolen = environ("GET", ME, HTTP_AUTHORIZATION=f"Bearer {token}")
    assert answer(applications.short, stolen).status == "401 Unauthorized"


@proves("RFC9700-2.2.2", "V10.4.5")
@pytest.mark.parametrize("is_public", [True, False])
def test_a_stolen_refresh_token_is_useless_without_its_key(browser, key, clock, is_public):
    """Withstands an attacker of apps."""
    app = new_app(scope=SCOPE, audiences=[audience()], is_public=is_public)
    old = sign_in(app, browser, key)["refresh_token"]
    new = app.refresh(old, dpop=key.proof())["refresh_token"]
    clock.advance(seconds=31)

    for token in (old, new):
        assert app.refresh(token).error == "invalid_grant"
        assert app.refresh(token, dpop=Key().proof()).error == "invalid_grant"

    answer = app.refresh(new, dpop=key.proof())
    assert (answer.status, answer["token_type"]) == (200, "DPoP"), "the thief has ended nothing"


def test_an_app_that_keeps_its_refresh_token_uses_it_with_its_key_only(browser, key, clock):
    app = new_app(scope=SCOPE, audiences=[audience()], requires_dpop=True, rotates_refresh=False)
    token = sign_in(app, browser, key)["refresh_token"]

    for _ in range(3):
        clock.advance(days=6)
        assert app.refresh(token, dpop=Key().proof()).error == "invalid_grant"
        assert app.refresh(token).error == "invalid_dpop_proof"
        again = app.refresh(token, dpop=key.proof())
        assert again["refresh_token"] == token
        assert claims_of(again["access_token"])["cnf"] == {"jkt": key.thumbprint}
    clock.advance(days=8)
    assert app.refresh(token, dpop=key.proof()).error == "invalid_grant", "nobody has used it"


def test_a_bound_token_of_a_public_app_is_revoked_with_its_key_only(app, browser, key):
    """Withstands an attacker of apps."""
    revoke = "/oauth/revoke"
    given = sign_in(app, browser, key)
    tokens = [given[kind] for kind in ("access_token", "refresh_token")]

    for token in tokens:
        for proof in ("", Key().proof(path=revoke), key.proof(), key.proof(path=revoke, iat=1)):
            assert app.post(revoke, dpop=proof, token=token).error == "invalid_dpop_proof"
        assert call("token/revoke/", {"token": token}).status == 200
    refreshed = app.refresh(given["refresh_token"], dpop=key.proof())
    assert refreshed.status == 200, "the thief has ended nothing"

    assert app.post(revoke, dpop=key.proof(path=revoke), token=tokens[0]).status == 200
    assert app.refresh(refreshed["refresh_token"], dpop=key.proof()).error == "invalid_grant"


def test_a_refresh_token_that_is_bound_to_no_key_stays_so(app, browser, key):
    token = app.sign_in(browser, SCOPE)["refresh_token"]

    assert app.refresh(token, dpop=key.proof()).error == "invalid_grant"
    assert app.refresh(token)["token_type"] == "Bearer"


def test_a_proof_works_once(app, browser, key):
    """Withstands an attacker of apps."""
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


def test_only_a_request_that_succeeds_stores_a_proof(app, browser, key):
    """Withstands a flood.

    Otherwise a stranger could fill the database.
    """
    token = app.sign_in(browser, SCOPE)["access_token"]

    app.redeem("a" * 43, dpop=key.proof())
    app.refresh("a" * 72, dpop=key.proof())
    get(ME, token, key.proof("GET", ME, token=token))
    get(ME, "a", key.proof("GET", ME, token="a"))

    assert not UsedOnce.objects.exists()


def test_a_proof_needs_the_nonce_of_the_last_answers(app, browser, key, clock):
    """Withstands an attacker of apps.

    Whoever could use the key for a moment has made no proofs for later.
    """
    code, made_before = app.code(browser, SCOPE), dpop.nonce()
    clock.advance(seconds=600)

    for nonce in (None, made_before, "a", 5):
        refused = app.redeem(code, dpop=key.proof(nonce=nonce))
        assert refused.error == "use_dpop_nonce"
    code = app.code(browser, SCOPE)
    token = app.redeem(code, dpop=key.proof(nonce=refused.headers["DPoP-Nonce"]))["access_token"]

    refused = get(ME, token, key.proof("GET", ME, token=token, nonce=made_before))
    assert refused.json()["code"] == "use_dpop_nonce"
    challenge = refused.headers["WWW-Authenticate"]
    assert challenge.startswith('DPoP error="use_dpop_nonce", error_description="The nonce must')
    assert challenge.endswith(', algs="ES256 RS256 EdDSA Ed25519"')
    nonce = refused.headers["DPoP-Nonce"]
    assert get(ME, token, key.proof("GET", ME, token=token, nonce=nonce)).status_code == 200


def test_a_pushed_request_needs_a_new_proof_of_the_key_that_it_names(app, browser, key):
    """Withstands an attacker of apps."""
    form = {name: value or "" for name, value in query(app.client, scope="openid").items()}
    proof = key.proof(path=PAR)

    other = app.post(PAR, dpop=proof, dpop_jkt=Key().thumbprint, **form)
    assert other.error == "invalid_dpop_proof"
    assert app.post(PAR, dpop=key.proof(), **form).error == "invalid_dpop_proof"
    assert app.post(PAR, dpop=proof, **form).status == 201
    assert app.post(PAR, dpop=proof, **form).error == "invalid_dpop_proof"


@proves("RFC9700-2.2.1")
def test_an_app_that_must_use_dpop_gets_nothing_without_it(app, browser, key):
    """Withstands an attacker of apps."""
    before = app.sign_in(browser, SCOPE)["refresh_token"]
    set_client(app, requires_dpop=True)
    code = app.code(browser)

    assert app.redeem(code).error == "invalid_dpop_proof"
    assert app.refresh(before).error == "invalid_dpop_proof"

    assert app.redeem(code, dpop=key.proof())["token_type"] == "DPoP"
    assert AuthorizationCode.objects.filter(used_at=None).count() == 0


EC = Key()


def hs256(message):
    """Sign with the public key as a secret (CVE-2015-9235)."""
    pem = EC.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hmac.digest(pem, message, hashlib.sha256)


SHORT = Key("RS256", generate_rsa(65537, 1024))  # noqa: S505 it must be refused
PRIVATE = jwt.get_algorithm_by_name("ES256").to_jwk(EC.private, as_dict=True)


def seconds(after):
    return int(site_clock.now().timestamp()) + after


WRONG = {
    "another method": lambda: EC.proof("GET"),
    "another path": lambda: EC.proof(path=PAR),
    "another host": lambda: EC.proof(htu=f"https://mallory.example{TOKEN}"),
    "another scheme": lambda: EC.proof(htu=audience().replace("http:", "https:") + TOKEN),
    "a user name": lambda: EC.proof(htu=f"http://alice@localhost:8000{TOKEN}"),
    "no URL": lambda: EC.proof(htu="http://[::1"),
    "no jti": lambda: EC.proof(jti=None),
    "a jti that is no text": lambda: EC.proof(jti=["a"]),
    "an empty jti": lambda: EC.proof(jti=""),
    "an iat that is no integer": lambda: EC.proof(iat=seconds(0) + 0.5),
    "half a surrogate as jti": lambda: EC.proof(jti="\ud800"),
    "too old": lambda: EC.proof(iat=seconds(-301)),
    "from the future": lambda: EC.proof(iat=seconds(301)),
    "a huge iat": lambda: EC.proof(iat=10**400),
    "alg none": lambda: EC.proof(head={"alg": "none"}, sign=lambda _message: b""),
    "alg HS256": lambda: EC.proof(head={"alg": "HS256"}, sign=hs256),
    "alg PS256": lambda: EC.proof(head={"alg": "PS256"}),
    "alg Ed25519 with a P-256 key": lambda: EC.proof(head={"alg": "Ed25519"}),
    "the type of another token": lambda: EC.proof(head={"typ": "at+jwt"}),
    "an unknown extension": lambda: EC.proof(head={"crit": ["b64"], "b64": False}),
    "no key": lambda: EC.proof(head={"jwk": None}),
    "a private key": lambda: EC.proof(head={"jwk": PRIVATE}),
    "the key of somebody else": lambda: EC.proof(head={"jwk": Key().jwk}),
    "a point that is not on the curve": lambda: EC.proof(head={"jwk": EC.jwk | {"x": EC.jwk["y"]}}),
    "a member of the key that is no text": lambda: EC.proof(head={"jwk": EC.jwk | {"x": 5}}),
    "a short RSA key": SHORT.proof,
    "a key on another curve": Key("ES256", generate_private_key(SECP384R1())).proof,
    "two proofs": lambda: f"{EC.proof()},{EC.proof()}",
    "no JWT": lambda: "a.b.c",
    "too long": lambda: EC.proof(jti="a" * 4096),
    "a signature of something else": lambda: EC.proof(sign=lambda _message: EC.sign(b"else")),
    "claims that are no object": lambda: jwt.api_jws.encode(
        b'"htm"', EC.private, "ES256", headers={"typ": "dpop+jwt", "jwk": EC.jwk}
    ),
    "claims that are nested deeply": lambda: jwt.api_jws.encode(
        b"[" * 2000, EC.private, "ES256", headers={"typ": "dpop+jwt", "jwk": EC.jwk}
    ),
}


def test_a_proof_that_was_not_made_for_the_request_is_refused(clock):
    """Withstands an attacker of apps."""
    app = new_app(is_public=True)
    code = app.code(browser_of(make_user("alice")))

    found = {name: app.redeem(code, dpop=make()).error for name, make in WRONG.items()}

    assert {name for name in WRONG if found[name] != "invalid_dpop_proof"} == set()
    words = {"another path": "htu", "too old": "iat", "alg none": "alg", "no jti": "lacks a claim"}
    for name, word in words.items():
        assert word in app.redeem(code, dpop=WRONG[name]())["error_description"]
    oldest = EC.proof(iat=seconds(-300))
    assert app.redeem(code, dpop=oldest).status == 200, "the code is not spent"


@pytest.mark.parametrize("algorithm", dpop.ALGORITHMS)
def test_an_app_binds_its_tokens_to_a_key_of_its_own(browser, algorithm):
    app, key = new_app(scope=SCOPE, audiences=[audience()]), Key(algorithm)

    first = app.redeem(app.code(browser, SCOPE), dpop=key.proof())
    renewed = app.refresh(first["refresh_token"], dpop=key.proof())

    for given in (first, renewed):
        token = given["access_token"]
        assert given["token_type"] == "DPoP"
        assert claims_of(token)["cnf"] == {"jkt": key.thumbprint}
        state = app.introspect(token)
        assert (state["token_type"], state["cnf"]) == ("DPoP", {"jkt": key.thumbprint})
        for path in (ME, USERINFO):
            assert get(path, token, key.proof("GET", path, token=token)).status_code == 200


def test_equal_ways_to_write_a_url_are_equal(app, browser, settings):
    set_up(settings, origin="https://accounts.example.org")
    for htu in (
        "https://accounts.example.org:443/oauth/token?a=b#c",
        "HTTPS://ACCOUNTS.example.org/%6Fauth/token",
    ):
        code = app.code(browser)
        assert app.redeem(code, dpop=Key().proof(htu=htu)).status == 200
    other_port = Key().proof(htu="https://accounts.example.org:8443/oauth/token")
    assert app.redeem(app.code(browser), dpop=other_port).error == "invalid_dpop_proof"


def test_a_nonce_is_accepted_for_at_least_five_minutes_by_every_node(app, browser, clock, settings):
    nonce = dpop.nonce()
    clock.advance(seconds=299)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 64, [settings.SECRET_KEY]

    assert app.redeem(app.code(browser), dpop=Key().proof(nonce=nonce)).status == 200


def test_an_authorization_request_binds_its_code(browser):
    key, browser = Key(), signed_in(browser.user)
    app = new_app(scope=SCOPE, is_first_party=True)
    form = query(app.client, scope="openid")
    pushed = app.post(PAR, dpop=key.proof(path=PAR), **form)
    assert AuthorizationRequest.objects.get().dpop_jkt == key.thumbprint

    for asked in ({"request_uri": pushed["request_uri"]}, {"dpop_jkt": key.thumbprint}):
        code = result(begin(browser, app.client, scope="openid", **asked))["code"]
        assert AuthorizationCode.objects.filter(dpop_jkt=key.thumbprint, used_at=None).exists()
        for proof in ("", Key().proof()):
            refused = app.redeem(code, code_verifier=VERIFIER, dpop=proof)
            assert refused.error == "invalid_grant"
        bound = app.redeem(code, code_verifier=VERIFIER, dpop=key.proof())
        assert bound["token_type"] == "DPoP"
    wrong = result(begin(browser, app.client, scope="openid", dpop_jkt="a"))
    assert wrong["error"] == "invalid_request"


def test_used_proofs_that_have_expired_are_deleted(
    app, browser, clock, django_capture_on_commit_callbacks
):
    app.redeem(app.code(browser), dpop=Key().proof())
    assert UsedOnce.objects.count() == 1
    clock.advance(seconds=dpop.WINDOW + 9)
    call_command("prune")
    assert UsedOnce.objects.count() == 1, "another node's clock may be behind"
    clock.advance(seconds=1)

    with django_capture_on_commit_callbacks(execute=True):
        dpop.DpopProof("key", "00", clock.now()).consume()

    assert not UsedOnce.objects.exists()
