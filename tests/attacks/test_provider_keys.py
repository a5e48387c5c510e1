"""The keys that a provider publishes: which ones may sign ID tokens."""

import json
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from joserfc.jwk import ECKey, RSAKey

from tests.support.forgeries import decoded, encoded
from tests.support.id_tokens import assert_refused, forge, hs256, pem, signed_by, unsigned
from tests.support.openid_provider import CLIENT_SECRET, OpenIDProvider, send
from tests.support.process import slack
from tests.support.social import round_trip

pytestmark = pytest.mark.django_db

type Json = dict[str, Any]
type Sign = Callable[[OpenIDProvider, bytes], bytes]

OTHER = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})
LONG = encoded(b"\xff" * 20_000)


SIGNATURES: dict[str, tuple[Json, Sign]] = {
    "none": ({"alg": "none"}, unsigned),
    "nOnE": ({"alg": "nOnE"}, unsigned),
    "no alg": ({"alg": None}, signed_by()),
    "no signature": ({}, unsigned),
    "HS256 by the client's secret": ({"alg": "HS256"}, hs256(lambda _op: CLIENT_SECRET.encode())),
    "HS256 by the published key": ({"alg": "HS256"}, hs256(pem)),
    "HS256 by the JWK": (
        {"alg": "HS256"},
        hs256(lambda op: json.dumps(op.published.as_dict(private=False)).encode()),
    ),
    "another key": ({}, signed_by(OTHER)),
    "RS256 by a key of another kind": (
        {"alg": "RS256"},
        signed_by(RSAKey.generate_key(2048), "RS256"),
    ),
    "another key, shown": ({"jwk": OTHER.as_dict(private=False)}, signed_by(OTHER)),
    "another key, its address": ({"jku": "{origin}/evil"}, signed_by(OTHER)),
    "another key, its certificate's address": ({"x5u": "{origin}/evil"}, signed_by(OTHER)),
    "another key, its certificate": ({"x5c": ["MIIB"]}, signed_by(OTHER)),
    "kid unknown": ({"kid": "two"}, signed_by()),
    "kid a path": ({"kid": "../../dev/null"}, signed_by()),
    "kid a number": ({"kid": 1}, signed_by()),
    "kid in a list": ({"kid": ["one"]}, signed_by()),
    "crit unknown": ({"crit": ["mallory"], "mallory": 1}, signed_by()),
}

ODD_KEYS: dict[str, Json] = {
    "no algorithm": {"alg": "none"},
    "another algorithm": {"alg": "ES384"},
    "an algorithm that is none": {"alg": ["ES256"]},
    "an endless number": {"x": LONG},
    "an endless key of another kind": {"kty": "RSA", "n": LONG, "e": "AQAB"},
    "an endless exponent": {"kty": "RSA", "n": encoded(b"\xff" * 256), "e": LONG[:1000]},
    "a curve that isn't": {"crv": "P-999"},
    "no curve": {"crv": None},
}


LONG = encoded(b"\xff" * 20_000)


@pytest.mark.parametrize("case", SIGNATURES)
def test_an_id_token_that_the_published_key_did_not_sign_is_refused(
    op: OpenIDProvider, case: str
) -> None:
    head, sign = SIGNATURES[case]
    filled = {k: v.format(origin=op.origin) if isinstance(v, str) else v for k, v in head.items()}
    forge(op, filled, {}, sign)

    assert_refused(op)

    assert op.count("/evil") == 0


def test_a_symmetric_key_that_is_published_is_not_accepted(op: OpenIDProvider) -> None:
    key = {"kty": "oct", "kid": "one", "k": encoded(b"known to everybody, as is all published")}
    op.instead["/jwks"] = lambda request: send(request, json.dumps({"keys": [key]}).encode())
    forge(op, {"alg": "HS256"}, {}, hs256(lambda _op: decoded(key["k"])))

    assert_refused(op)


@pytest.mark.parametrize(
    "use, good", [({"use": "enc"}, False), ({"use": "sig"}, True), ({}, True)], ids=str
)
def test_a_key_published_for_another_use_is_not_accepted(
    op: OpenIDProvider, use: Json, good: bool
) -> None:
    op.published = ECKey.generate_key("P-256", {"kid": "one", **use})
    if good:
        assert round_trip(Client(), op).url == "/"
    else:
        assert_refused(op)


def rsa(bits: int) -> RSAKey:
    with warnings.catch_warnings(action="ignore"):
        return RSAKey.generate_key(bits, {"kid": "one", "use": "sig"})


@pytest.mark.parametrize("case", ODD_KEYS)
def test_a_malformed_key_of_the_provider_is_refused_quickly(op: OpenIDProvider, case: str) -> None:
    key = op.published.as_dict(private=False) | ODD_KEYS[case]
    op.instead["/jwks"] = lambda request: send(request, json.dumps({"keys": [key]}).encode())
    began = time.monotonic()

    assert_refused(op)

    assert time.monotonic() - began < 5 * slack()


def test_a_published_private_key_is_refused_quickly(op: OpenIDProvider) -> None:
    """PyJWT would compute the primes in Python, whatever the length, and block all threads."""
    key = rsa(2048).as_dict(private=False) | {"d": encoded(b"\xff" * 300_000)}
    op.instead["/jwks"] = lambda request: send(request, json.dumps({"keys": [key]}).encode())
    forge(op, {"alg": "RS256"}, {}, unsigned)
    began = time.monotonic()

    assert_refused(op)

    assert time.monotonic() - began < 5 * slack()


@pytest.mark.parametrize("bits, good", [(1024, False), (2048, True)])
def test_an_rsa_key_needs_at_least_2048_bits(op: OpenIDProvider, bits: int, good: bool) -> None:
    """RFC 7518 section 3.3."""
    op.published, op.key = rsa(bits), OTHER
    forge(op, {"alg": "RS256"}, {}, signed_by(algorithm="RS256"))

    if good:
        assert round_trip(Client(), op).url == "/"
    else:
        assert_refused(op)
