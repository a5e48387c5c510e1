"""The public keys of apps."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from django.core.exceptions import ValidationError
from jwt import get_algorithm_by_name

from accounts.oauth.clients import authentication
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.keys import checked
from accounts.oauth.clients.models import Client, ClientSecret, FetchedKeys
from tests.support.apps import WEB, act, change, register, shown_secret, the_app
from tests.support.client_keys import (
    EDDSA,
    ES256,
    PRIVATE,
    RS256,
    public_of,
    publish,
    publishing_app,
)
from tests.support.forgeries import encoded, key_of
from tests.support.invitations import superuser
from tests.support.receiver import say

URI = "https://paperless.example.org/keys"
MESSAGE = "Enter a JSON Web Key Set with one to 5 keys."


def public_jwk(key, algorithm):
    return get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)


def test_only_the_public_members_of_a_key_are_stored():
    bare = {name: ES256[name] for name in ("kty", "crv", "x", "y")}
    named = RS256 | {"kid": "2026", "x5c": ["x"], "key_ops": ["verify"], "alg": None}
    del named["alg"]

    found = checked({"keys": [bare, named, EDDSA | {"alg": "Ed25519"}], "more": 1})

    assert found == {"keys": [ES256, RS256 | {"kid": "2026"}, EDDSA]}
    assert checked(found) == found
    assert checked({"keys": [EDDSA | {"kid": str(number)} for number in range(5)]})


@pytest.mark.parametrize(
    "jwks, sentence",
    [
        ({}, MESSAGE),
        (["x"], MESSAGE),
        ({"keys": {}}, MESSAGE),
        ({"keys": [EDDSA] * 6}, MESSAGE),
        ({"keys": [ES256, EDDSA | {"kid": ES256["kid"]}]}, "Two keys have the same “kid”."),
        ({"keys": [PRIVATE]}, "This is a private key"),
        ({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, "This is a private key"),
    ],
)
def test_what_is_no_set_of_public_keys_is_refused(jwks, sentence):
    """Withstands a member of staff."""
    with pytest.raises(ValidationError, match=sentence):
        checked(jwks)


@pytest.mark.parametrize(
    "key",
    [
        "x",
        RS256 | {"alg": "PS256"},
        ES256 | {"alg": "HS256"},
        ES256 | {"use": "enc"},
        ES256 | {"key_ops": ["encrypt"]},
        ES256 | {"x": ES256["y"]},
        ES256 | {"kid": "\0"},
        RS256 | {"n": "A" * 100_000},
        RS256 | {"e": encoded(b"\3")},
        public_jwk(generate_rsa(65537, 1024), "RS256"),  # noqa: S505 it must be refused
        public_jwk(generate_private_key(SECP384R1()), "ES384"),
        EDDSA | {"x": EDDSA["x"][:-3]},
    ],
)
def test_a_key_that_is_weak_or_for_something_else_is_refused(key):
    with pytest.raises(ValidationError, match="One of the keys can’t be used"):
        checked({"keys": [key]})


def test_an_app_that_gets_a_key_in_the_admin_loses_its_secret_for_good():
    browser = superuser()[1]
    secret = shown_secret(register(browser))
    jwks = json.dumps({"keys": [ES256]})

    assert change(browser, jwks=jwks, is_public="on").status_code == 302

    assert the_app().jwks == {"keys": [ES256]}
    act(browser, "secret")
    assert not ClientSecret.objects.exists()
    assert change(browser, jwks="").status_code == 302
    assert clients.authenticate(the_app().pk, secret) is None
    new = shown_secret(act(browser, "secret"))
    assert clients.authenticate(the_app().pk, new) == the_app()


@pytest.fixture
def app(receiver):
    return publishing_app(receiver)


def is_accepted(app):
    return app.post("/oauth/introspect", token="x").status == 200


def test_a_new_key_works_at_once_and_a_removed_one_for_ten_minutes(app, receiver, clock):
    """Withstands an attacker of apps: a key of an app has leaked."""
    former = app.key
    assert is_accepted(app)
    assert is_accepted(app)
    clock.advance(minutes=2)
    app.key = key_of("EdDSA", "the next key")
    publish(receiver, app.key)

    assert is_accepted(app)
    assert is_accepted(app)
    assert len(receiver.got) == 2
    app.key = former
    assert not is_accepted(app)
    publish(receiver, app.key)
    clock.advance(minutes=2)
    assert is_accepted(app)
    publish(receiver, key_of("ES256", "another"))
    clock.advance(minutes=9, seconds=59)
    assert is_accepted(app)
    clock.advance(seconds=1)
    assert not is_accepted(app)


def test_known_keys_work_for_a_day_while_their_server_is_down(app, receiver, clock, caplog):
    assert is_accepted(app)
    receiver.answers["/keys"] = say(503)

    for _hour in range(24):
        clock.advance(minutes=59)
        assert is_accepted(app)
        assert is_accepted(app)
    assert len(receiver.got) == 25
    clock.advance(minutes=24)
    assert not is_accepted(app)
    assert f"The keys of app {app.client.pk} were not fetched: 'HTTPError'" in caplog.messages


def test_keys_for_other_purposes_do_not_make_the_others_useless(receiver, app):
    unusable = [PRIVATE, RS256 | {"use": "enc"}, "x", {"kty": "oct"}, ES256 | {"kid": ""}]
    mine = public_of(app.key)["keys"]
    body = json.dumps({"keys": [*unusable, *mine, *mine]}).encode()
    receiver.answers["/keys"] = say(200, body, **{"Content-Type": "application/jwk-set+json"})

    assert is_accepted(app)
    assert FetchedKeys.objects.get().jwks == {"keys": mine}
    assert receiver.sent[-1][1]["Accept"] == "application/jwk-set+json, application/json"


def test_keys_that_are_no_longer_used_are_pruned(app, clock):
    assert is_accepted(app)
    clock.advance(hours=23)
    assert authentication.prune() == 0
    clock.advance(hours=1)
    assert authentication.prune() == 1


@pytest.mark.parametrize(
    "fields, sentence",
    [
        ({"jwks": {"keys": [ES256]}}, "not both"),
        ({"is_public": True}, "A public app"),
        ({"jwks_uri": "http://paperless.example.org/keys"}, "isn’t allowed"),
        ({"jwks_uri": "https://a@paperless.example.org/keys"}, "isn’t allowed"),
    ],
)
def test_no_other_uri_and_no_further_keys_can_be_registered(fields, sentence):
    app = Client(**({"name": "Shop", "redirect_uris": [WEB], "jwks_uri": URI} | fields))

    with pytest.raises(ValidationError, match=sentence):
        app.full_clean()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1", "localhost", "a.localhost"])
@pytest.mark.parametrize("field", ["jwks_uri", "backchannel_logout_uri"])
def test_a_uri_in_a_private_network_needs_a_confirmation(field, host):
    app = Client(name="Shop", redirect_uris=[WEB], **{field: f"https://{host}/x"})

    with pytest.raises(ValidationError, match="private network"):
        app.full_clean()
