"""Registering the public keys of an app, in the admin and by ``add_client``."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from django.core.exceptions import ValidationError
from django.core.management import CommandError
from jwt import get_algorithm_by_name

from accounts.oauth.clients import services as clients
from accounts.oauth.clients.keys import ALGORITHMS, checked
from accounts.oauth.models import Client, ClientSecret
from tests.support.apps import (
    WEB,
    act,
    add,
    change,
    document,
    page_of,
    register,
    shown_secret,
    the_app,
)
from tests.support.client_keys import EDDSA, ES256, PRIVATE, RS256
from tests.support.forgeries import encoded
from tests.support.invitations import superuser

pytestmark = pytest.mark.django_db

MESSAGE = "Enter a JSON Web Key Set with one to 5 keys."
UNUSABLE = "A key can’t be used"


def rsa(bits: int, exponent: int = 65537) -> dict[str, Any]:
    key = generate_rsa(exponent, bits).public_key()
    return get_algorithm_by_name("RS256").to_jwk(key, as_dict=True)


def test_only_the_public_members_of_a_key_are_stored() -> None:
    bare = {name: ES256[name] for name in ("kty", "crv", "x", "y")}
    named = RS256 | {"kid": "2026", "x5c": ["x"], "key_ops": ["verify"], "alg": None}
    del named["alg"]

    found = checked({"keys": [bare, named, EDDSA | {"alg": "Ed25519"}], "more": 1})

    assert found == {"keys": [ES256, RS256 | {"kid": "2026"}, EDDSA]}
    assert checked(found) == found


@pytest.mark.parametrize(
    "keys, sentence",
    [
        ([], MESSAGE),
        ([EDDSA] * 6, MESSAGE),
        ([ES256, EDDSA | {"kid": ES256["kid"]}], "Two keys have the same “kid”."),
        ([PRIVATE], "This is a private key"),
        ([{"kty": "oct", "k": "c2VjcmV0"}], "This is a private key"),
        (["x"], UNUSABLE),
        ([{}], UNUSABLE),
        ([RS256 | {"alg": "PS256"}], UNUSABLE),
        ([ES256 | {"alg": "HS256"}], UNUSABLE),
        ([ES256 | {"use": "enc"}], UNUSABLE),
        ([ES256 | {"key_ops": ["encrypt"]}], UNUSABLE),
        ([ES256 | {"crv": "secp256k1"}], UNUSABLE),
        ([ES256 | {"x": ES256["y"]}], UNUSABLE),
        ([ES256 | {"kid": ""}], UNUSABLE),
        ([ES256 | {"kid": "\0"}], UNUSABLE),
        ([ES256 | {"kid": 1}], UNUSABLE),
        ([RS256 | {"n": "A" * 100_000}], UNUSABLE),
        ([RS256 | {"e": encoded(b"\3")}], UNUSABLE),
        ([rsa(1024)], UNUSABLE),
        ([EDDSA | {"x": EDDSA["x"][:-3]}], UNUSABLE),
    ],
)
def test_a_key_that_is_private_weak_or_for_something_else_is_refused(
    keys: list[Any], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        checked({"keys": keys})


@pytest.mark.parametrize("jwks", [{}, [], "x", 1, {"keys": {}}, ["x"]], ids=str)
def test_what_is_no_set_of_keys_is_refused(jwks: Any) -> None:
    with pytest.raises(ValidationError, match=MESSAGE):
        checked(jwks)


def test_another_curve_is_refused() -> None:
    key = generate_private_key(SECP384R1()).public_key()
    jwk = get_algorithm_by_name("ES384").to_jwk(key, as_dict=True)
    with pytest.raises(ValidationError, match=UNUSABLE):
        checked({"keys": [jwk]})


def test_an_app_that_gets_a_key_in_the_admin_loses_its_secret_for_good() -> None:
    browser = superuser()[1]
    secret = shown_secret(register(browser))
    jwks = json.dumps({"keys": [ES256]})

    page = change(browser, jwks=json.dumps({"keys": [PRIVATE]}))
    assert "This is a private key" in page.text
    assert change(browser, jwks=jwks, is_public="on").status_code == 302

    assert the_app().jwks == {"keys": [ES256]}
    assert clients.authenticate(the_app().pk, secret) is None
    assert "Make a new secret" not in browser.get(page_of(the_app())).text
    act(browser, "secret")
    assert not ClientSecret.objects.exists()
    assert change(browser, jwks="").status_code == 302
    assert clients.authenticate(the_app().pk, secret) is None
    page = browser.get(page_of(the_app())).text
    assert "Make a new secret" in page
    assert ">\nnull</textarea>" not in page
    new = shown_secret(act(browser, "secret"))
    assert clients.authenticate(the_app().pk, new) == the_app()


def test_an_app_registered_with_a_key_gets_no_secret(tmp_path: Path) -> None:
    page = register(superuser()[1], jwks=json.dumps({"keys": [EDDSA]}))
    assert the_app().pk in page.text
    assert shown_secret(page) == ""

    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [ES256]}))
    added = add("Wiki", "--redirect-uri", WEB, "--jwks", str(file))

    assert added.keys() == {"client_id"}
    assert Client.objects.get(pk=added["client_id"]).jwks == {"keys": [ES256]}
    assert not ClientSecret.objects.exists()


def test_a_public_app_has_no_key_and_a_file_must_be_json(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    for text in ("", "{", json.dumps({"keys": [PRIVATE]})):
        file.write_text(text)
        with pytest.raises(CommandError):
            add("Wiki", "--redirect-uri", WEB, "--jwks", str(file))
    file.write_text(json.dumps({"keys": [ES256]}))
    with pytest.raises(CommandError, match="A public app"):
        add("Wiki", "--redirect-uri", WEB, "--public", "--jwks", str(file))
    with pytest.raises(CommandError, match="can't be read"):
        add("Wiki", "--redirect-uri", WEB, "--jwks", str(tmp_path / "missing"))
    assert not Client.objects.exists()


def test_clients_learn_which_signatures_each_endpoint_takes() -> None:
    found = document()

    for name in ("token", "revocation", "introspection"):
        assert "private_key_jwt" in found[f"{name}_endpoint_auth_methods_supported"]
        assert found[f"{name}_endpoint_auth_signing_alg_values_supported"] == ALGORITHMS
