"""Attacks on apps that authenticate by a key: forged, replayed and foreign assertions."""

import pytest

from accounts.activity.services import Actor
from accounts.codes import services as codes
from accounts.codes.models import UsedOnce
from accounts.oauth.clients import services as clients
from tests.support.client_keys import ASSERTION_TYPE, keyed_app, public_of
from tests.support.forgeries import Mint, by_hmac, join, key_of, unsigned
from tests.support.oauth_client import App, browser_of, new_app, set_client

pytestmark = pytest.mark.django_db

ENDPOINTS = ("/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/par")
TOKEN_URL = "http://localhost:8000/oauth/token"


@pytest.fixture
def app(db):
    return keyed_app()


def is_accepted(app, assertion="", **form):
    """Return whether the introspection endpoint accepts an assertion, by default a valid one."""
    sent = {"client_assertion": assertion} if assertion else {}
    answer = app.post("/oauth/introspect", token="x", **sent, **form)
    assert (answer.status, answer.error) in {(200, ""), (401, "invalid_client")}, answer.body
    return answer.status == 200


def signed(mint, **changes):
    """Return an assertion with a changed header."""
    return mint.token(header=changes)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_an_app_with_a_key_uses_every_endpoint_without_a_secret(alice, algorithm):
    app = keyed_app(algorithm=algorithm)

    given = app.sign_in(browser_of(alice))
    again = app.refresh(given["refresh_token"])

    assert app.introspect(again["access_token"])["active"]
    assert app.post("/oauth/par", response_type="token").error == "unsupported_response_type"
    assert app.revoke(again["refresh_token"]).status == 200
    assert app.refresh(again["refresh_token"]).error == "invalid_grant"


def test_an_assertion_works_only_once_and_at_one_endpoint(app, clock):
    assertion = app.mint().token()
    assert is_accepted(app, assertion)

    for endpoint in ENDPOINTS:
        assert app.post(endpoint, client_assertion=assertion).error == "invalid_client"

    # Other apps may choose the same ``jti``, and so may this one once the assertion has expired.
    jti = app.mint().claims["jti"]
    wiki = keyed_app("Wiki")
    for each in (app, wiki):
        assert is_accepted(each, each.mint().token(jti=jti))
    clock.advance(seconds=59)
    assert codes.prune() == 0
    clock.advance(seconds=12)
    assert codes.prune() == 3
    assert not is_accepted(app, assertion)
    assert not UsedOnce.objects.exists()


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example.org"},
        {"aud": TOKEN_URL},
        {"aud": ["http://localhost:8000", "https://other.example.org"]},
        {"aud": None},
        {"iss": "someone"},
        {"sub": None},
        {"sub": "\0"},
        {"jti": None},
        {"jti": 1},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": float("inf")},
        {"exp": 1},
        {"iat": "x"},
    ],
    ids=str,
)
def test_an_assertion_with_a_wrong_claim_is_refused(app, claims):
    assert not is_accepted(app, app.mint().token(**claims))
    assert not UsedOnce.objects.exists()


def test_an_assertion_is_valid_for_five_minutes_at_most(app):
    now = app.mint().claims["iat"]

    for wrong in ({"exp": now}, {"exp": now + 600}, {"nbf": now + 60}, {"iat": now + 60}):
        assert not is_accepted(app, app.mint().token(**wrong)), wrong
    for right in ({"exp": now + 300}, {"nbf": now + 5, "iat": now + 5}, {"iat": None}):
        assert is_accepted(app, app.mint().token(**right)), right


def test_the_key_decides_the_algorithm(app):
    mint = app.mint()
    public = public_of(app.key)["keys"][0]
    as_text = app.key.public_key().public_bytes(*_pem())

    for secret in (as_text, public["x"].encode(), b""):
        header = mint.header | {"alg": "HS256"}
        assert not is_accepted(app, join(header, mint.claims, by_hmac(secret)))
    for name in ("none", "None", "ES256"):
        assert not is_accepted(app, join(mint.header | {"alg": name}, mint.claims, unsigned))
    for name in ("RS256", "PS256", "ES384", "es256", ["ES256"], None):
        assert not is_accepted(app, signed(mint, alg=name)), name
    stranger = Mint(key_of("ES256", "mallory"), "ES256", mint.header, mint.claims)
    own = {"jwk": public_of(stranger.key)["keys"][0], "jku": "https://mallory.example/keys"}
    for header in ({}, own, {"kid": None}, {"kid": None} | own):
        assert not is_accepted(app, stranger.token(header=header))
    assert is_accepted(app, mint.token())


def test_an_assertion_names_its_key_its_type_and_no_extension(app):
    mint = app.mint()

    for wrong in (
        {"kid": "another"},
        {"kid": ["x"]},
        {"crit": ["exp"]},
        {"crit": []},
        {"typ": "dpop+jwt"},
        {"typ": "at+jwt"},
        {"typ": "logout+jwt"},
        {"typ": 1},
    ):
        assert not is_accepted(app, signed(mint, **wrong)), wrong
    for text in ("x", "..", "a.b.c", "e30.e30.", join([], mint.claims, mint.sign)):
        assert not is_accepted(app, text)
    for right in ({"kid": None}, {"typ": "JWT"}, {"typ": "client-authentication+jwt"}):
        assert is_accepted(app, signed(app.mint(), **right)), right


def test_no_app_authenticates_as_another(app):
    wiki = keyed_app("Wiki")

    for claims in ({"sub": app.client.pk}, {"iss": app.client.pk}):
        assert not is_accepted(wiki, wiki.mint().token(**claims))
    both = wiki.mint().token(sub=app.client.pk, iss=app.client.pk)
    assert not is_accepted(app, both)
    # The parameter ``client_id`` and the assertion must name the same app.
    assert not is_accepted(app, wiki.mint().token())
    unnamed = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": wiki.mint().token()}
    assert App(wiki.client, secret="").post("/oauth/introspect", token="x", **unnamed).status == 200


def test_no_token_of_this_site_is_an_assertion(app, alice):
    given = app.sign_in(browser_of(alice))

    for name in ("id_token", "access_token", "refresh_token"):
        assert not is_accepted(app, given[name])


def test_an_app_authenticates_only_as_it_is_registered(app):
    wiki = new_app("Wiki")
    as_wiki = Mint(app.key, "ES256", app.mint().header, app.mint().claims)
    forged = as_wiki.token(iss=wiki.client.pk, sub=wiki.client.pk)

    assert not is_accepted(App(wiki.client), forged, client_assertion_type=ASSERTION_TYPE)
    assert not is_accepted(App(app.client, wiki.secret))
    set_client(wiki, jwks=public_of(app.key))
    assert not is_accepted(wiki)
    set_client(wiki, jwks=None)
    assert is_accepted(wiki)
    assert App(app.client).post("/oauth/introspect", token="x").status == 401
    assert app.post("/oauth/introspect", token="x", client_secret=wiki.secret).error == (
        "invalid_request"
    )
    assert App(wiki.client, wiki.secret).post(
        "/oauth/introspect", token="x", client_assertion_type=ASSERTION_TYPE
    ).error == ("invalid_request")
    kind = {"client_id": app.client.pk, "client_assertion": app.mint().token()}
    for wrong in ({}, {"client_assertion_type": "urn:ietf:params:oauth:saml2-bearer"}):
        assert App(app.client).post("/oauth/introspect", token="x", **kind, **wrong).status == 401


def test_a_removed_key_and_a_disabled_app_are_refused_at_once(app):
    following = key_of("ES256", "the next key")
    set_client(app, jwks=public_of(app.key, following))
    assert is_accepted(app)
    set_client(app, jwks=public_of(following))
    assert not is_accepted(app)
    app.key = following
    assert is_accepted(app)

    clients.set_enabled(app.client, Actor(), enabled=False)

    assert not is_accepted(app)


def test_wrong_assertions_are_limited_and_never_stop_the_app_itself(app):
    answers = []
    for _time in range(40):
        wrong = app.mint().token(aud="https://other.example.org")
        answers.append(app.post("/oauth/introspect", client_assertion=wrong).status)

    assert set(answers) == {401, 429}
    assert 10 < answers.count(401) < 30
    assert is_accepted(app)


def _pem():
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
