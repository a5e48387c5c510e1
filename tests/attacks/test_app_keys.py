"""Attacks on apps that authenticate by a key: assertions, and keys that the site fetches."""

import json
import time
from threading import BoundedSemaphore

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from accounts.activity.services import Actor
from accounts.codes import services as codes
from accounts.codes.models import UsedOnce
from accounts.common import http_client
from accounts.common.errors import Busy
from accounts.oauth.clients import authentication
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.authentication import PATIENCE, PAUSE
from accounts.oauth.clients.models import FetchedKeys
from tests.support.client_keys import (
    ASSERTION_TYPE,
    KeyedApp,
    keyed_app,
    public_of,
    publish,
    publishing_app,
)
from tests.support.forgeries import Mint, by_hmac, join, key_of, unsigned
from tests.support.oauth_client import App, browser_of, new_app, set_client
from tests.support.process import slack
from tests.support.receiver import PUBLIC, WITHIN, drip, hang, say
from tests.support.standards import proves

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


@proves("RFC9700-2.5")
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
    """Withstands an attacker of apps."""
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
        {"aud": TOKEN_URL},
        {"aud": ["http://localhost:8000", "https://other.example.org"]},
        {"aud": None},
        {"iss": "someone"},
        {"sub": "\0"},
        {"jti": None},
        {"jti": 1},
        {"jti": ""},
        {"exp": None},
        {"exp": float("inf")},
        {"iat": "x"},
    ],
    ids=str,
)
def test_an_assertion_with_a_wrong_claim_is_refused(app, claims):
    """Withstands an attacker of apps."""
    assert not is_accepted(app, app.mint().token(**claims))
    assert not UsedOnce.objects.exists()


def test_an_assertion_is_valid_for_five_minutes_at_most(app, clock):
    """The clock of the app may be ten seconds ahead."""
    clock.set(clock.now().replace(microsecond=0))
    now = app.mint().claims["iat"]

    for wrong in ({"exp": now}, {"exp": now + 311}, {"nbf": now + 11}, {"iat": now + 11}):
        assert not is_accepted(app, app.mint().token(**wrong)), wrong
    for right in ({"exp": now + 310}, {"nbf": now + 10, "iat": now + 10}, {"iat": None}):
        assert is_accepted(app, app.mint().token(**right)), right


def test_the_key_decides_the_algorithm(app):
    """Withstands an attacker of apps."""
    mint = app.mint()
    public = public_of(app.key)["keys"][0]
    as_text = app.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

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

    for wrong in ({"kid": "another"}, {"kid": ["x"]}, {"crit": ["exp"]}, {"typ": "at+jwt"}):
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


@proves("V2.2.3")
def test_an_app_authenticates_only_as_it_is_registered(app):
    """Withstands an attacker of apps."""
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


URI = "https://shop.example.org/keys"


@pytest.fixture
def publisher(receiver):
    """An app that publishes its key at the receiver, which counts as private."""
    return publishing_app(receiver)


def status(app, **header):
    """Return the status of the answer to an assertion, which may have a changed header."""
    assertion = app.mint().token(header=header)
    return app.post("/oauth/introspect", token="x", client_assertion=assertion).status


def forged(app, **header):
    """Do the same as :func:`status` with a key of mallory."""
    return status(KeyedApp(app.client, key=key_of("ES256", "mallory")), **header)


def test_no_private_address_is_reached_unless_the_registration_says_so(
    publisher, receiver, connections, clock
):
    """Withstands a malicious server: SSRF by jwks_uri."""
    for host in WITHIN:
        set_client(publisher, jwks_uri=receiver.url(host=host), jwks_uri_is_private=False)
        assert status(publisher) in {401, 429}
    assert (connections, FetchedKeys.objects.count()) == ([], len(WITHIN))

    set_client(publisher, jwks_uri=receiver.url("/keys"))
    assert (status(publisher), connections) == (200, [PUBLIC])


@pytest.mark.parametrize(
    "answer",
    [
        drip,
        hang,
        say(200, json.dumps(public_of(key_of("ES256", "Paperless"))).encode() + b" " * 200_000),
        say(200, b'{"keys": ' + b"[" * 90_000),
        say(200, b"<html>"),
        say(200, b'{"keys": {}}'),
        say(200, b'{"keys": [null, 1, {}, {"kty": []}]}'),
        say(404),
        say(500, json.dumps(public_of(key_of("ES256", "Paperless"))).encode()),
    ],
    ids=lambda answer: answer.__qualname__,
)
def test_an_answer_that_is_slow_endless_or_odd_gives_no_keys_and_no_server_error(
    publisher, receiver, answer, monkeypatch
):
    """Withstands a malicious server."""
    monkeypatch.setattr(authentication, "PATIENCE", PATIENCE / 6)
    receiver.answers["/keys"] = answer
    began = time.monotonic()

    assert status(publisher) == 401

    assert time.monotonic() - began < 2 * slack()
    assert FetchedKeys.objects.get().jwks == {}
    assert len(receiver.got) == 1


def test_a_slow_name_server_holds_no_request(publisher, receiver, monkeypatch):
    monkeypatch.setattr(authentication, "PATIENCE", PATIENCE / 6)
    monkeypatch.setattr(http_client, "_addresses", lambda *_: time.sleep(2) or [])
    monkeypatch.setattr(http_client, "WAIT", 0.1)
    # One thread, which goes on although the request has ended. The next request must not queue.
    slot = BoundedSemaphore(1)
    monkeypatch.setattr(http_client, "_slots", slot)
    began = time.monotonic()

    assert status(publisher) == 401
    http_client._silent_until.clear()
    assert status(publishing_app(receiver, "Wiki", "/other")) == 429

    assert time.monotonic() - began < 1.5 * slack()
    assert slot.acquire(timeout=5 * slack())


def test_a_flood_of_assertions_fetches_once_in_a_minute_and_stops_neither_app(
    publisher, receiver, clock
):
    """Withstands a flood."""
    wiki, known = keyed_app("Wiki"), {200: 0, 401: 0, 429: 0}
    expired = publisher.mint().token(exp=1)
    assert publisher.post("/oauth/introspect", token="x", client_assertion=expired).status == 401
    assert receiver.got == []
    for number in range(60):
        known[forged(publisher, kid=f"unknown {number}")] += 1
        clock.advance(seconds=1)
    assert len(receiver.got) == 1
    assert known[200] == 0
    assert (status(publisher), status(wiki)) == (200, 200)

    # A stranger takes the attempts, but the keys that they bring are the publisher's.
    publisher.key = key_of("ES256", "the next key")
    publish(receiver, publisher.key)
    assert forged(publisher, kid="unknown") in {401, 429}
    assert status(publisher) == 200
    assert len(receiver.got) == 2


def test_servers_that_hang_hold_few_requests_and_no_app_whose_keys_are_known(
    publisher, receiver, clock, monkeypatch
):
    monkeypatch.setattr(http_client, "WAIT", 0.1)
    assert status(publisher) == 200
    clock.advance(minutes=11)
    for _slot in range(http_client.MOST_AT_ONCE):
        assert http_client._slots.acquire(timeout=5 * slack())
    try:
        assert status(publisher) == 200
        other = publishing_app(receiver, "Wiki", "/other")
        answer = other.post("/oauth/introspect", token="x")
        assert (answer.status, answer.error) == (429, "temporarily_unavailable")
        assert answer.headers["Retry-After"] == "1"
    finally:
        http_client._slots.release(http_client.MOST_AT_ONCE)
    assert (status(other), status(publisher), len(receiver.got)) == (200, 200, 3)


def test_while_another_node_fetches_the_keys_requests_do_not_wait(publisher, receiver, clock):
    client = publisher.client
    FetchedKeys.objects.create(client=client, uri=client.jwks_uri, tried_at=clock.now())

    answer = publisher.post("/oauth/introspect", token="x")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    clock.advance(seconds=PATIENCE.seconds)
    assert status(publisher) == 401
    assert receiver.got == []
    clock.advance(seconds=PAUSE.seconds)
    as_read_elsewhere = authentication._held(publisher.client)
    assert status(publisher) == 200
    with pytest.raises(Busy) as caught:
        authentication._renew(as_read_elsewhere)
    assert caught.value.retry_after == 1
    # The clock of that node is behind.
    clock.advance(seconds=-10)
    assert not authentication._claim(as_read_elsewhere)
    assert (status(publisher), len(receiver.got)) == (200, 1)


def test_no_app_uses_its_former_keys_its_secret_or_the_keys_of_another_app(publisher, receiver):
    assert status(publisher) == 200
    mallory = publishing_app(receiver, "mallory", "/mallory")
    assert (status(mallory), forged(publisher)) == (200, 401)

    set_client(publisher, jwks_uri=mallory.client.jwks_uri)
    assert (status(publisher), forged(publisher)) == (401, 200)
    wiki = new_app("Wiki")
    assert wiki.introspect("x").status == 200
    set_client(wiki, jwks_uri=URI)
    assert wiki.introspect("x").status == 401
