"""ID tokens and what comes with them: whatever isn't right in all its parts signs nobody in."""

import hmac
import json
import time
import warnings
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client
from joserfc.jwk import ECKey, RSAKey

from accounts.identities.models import Identity
from accounts.users.models import User
from tests.support.forgeries import decoded, encoded
from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIDProvider, send
from tests.support.social import come_back, go, through
from tests.support.steps import is_signed_in

pytestmark = pytest.mark.django_db

type Json = dict[str, Any]
type Sign = Callable[[OpenIDProvider, bytes], bytes]

NOW = int(time.time())
OTHER = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})
DEEP = "[" * 200_000


def by(key: Any = None, algorithm: str = "ES256") -> Sign:
    """Signed with that key, or with the one that the provider publishes."""

    def sign(op: OpenIDProvider, text: bytes) -> bytes:
        made = jwt.get_algorithm_by_name(algorithm)
        return made.sign(text, (key or op.published).private_key)

    return sign


def unsigned(_op: OpenIDProvider, _text: bytes) -> bytes:
    return b""


def hs256(secret: Callable[[OpenIDProvider], bytes]) -> Sign:
    """With a secret that more than the provider have."""
    return lambda op, text: hmac.digest(secret(op), text, "sha256")


def pem(op: OpenIDProvider) -> bytes:
    public = op.published.public_key
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def forge(op: OpenIDProvider, head: Json, claims: Json, sign: Sign) -> None:
    """From now on each ID token is the right one but for that."""
    made = op._id_token

    def laid_over(part: str, changes: Json) -> str:
        right = json.loads(decoded(part))
        changed = {k: v(right[k]) if callable(v) else v for k, v in changes.items()}
        kept = {k: v for k, v in (right | changed).items() if v is not None}
        return encoded(json.dumps(kept).encode())

    def forged(grant: Any) -> str:
        header, body, _signature = made(grant).split(".")
        text = f"{laid_over(header, head)}.{laid_over(body, claims)}"
        return f"{text}.{encoded(sign(op, text.encode()))}"

    op._id_token = forged  # type: ignore[method-assign]


def refused(op: OpenIDProvider) -> None:
    """By a plain page, and nobody is made or signed in."""
    browser = Client()
    answer = through(browser, op)

    assert answer.status_code == 400
    assert b"That didn" in answer.content
    assert not is_signed_in(browser)
    assert not User.objects.exists()
    assert not Identity.objects.exists()


# A function stands for what it makes of the right value, None for nothing.
CLAIMS: dict[str, Json] = {
    "nonce missing": {"nonce": None},
    "nonce of another": {"nonce": lambda right: right[::-1]},
    "nonce in a list": {"nonce": lambda right: [right]},
    "nonce of other letters": {"nonce": "\ud800é"},
    "iss missing": {"iss": None},
    "iss of another": {"iss": "https://mallory.example"},
    "iss with a slash": {"iss": lambda right: right + "/"},
    "iss in a list": {"iss": lambda right: [right]},
    "aud missing": {"aud": None},
    "aud of another": {"aud": "other"},
    "aud in words": {"aud": f"other {CLIENT_ID}"},
    "aud of several": {"aud": [CLIENT_ID, "other"]},
    "aud of several, azp another": {"aud": [CLIENT_ID, "other"], "azp": "other"},
    "azp another": {"azp": "other"},
    "azp in a list": {"azp": [CLIENT_ID]},
    "exp missing": {"exp": None},
    "exp past": {"exp": NOW - 120},
    "exp true": {"exp": True},
    "exp a word": {"exp": "tomorrow"},
    "exp infinite": {"exp": float("inf")},
    "iat missing": {"iat": None},
    "iat to come": {"iat": NOW + 3600},
    "nbf to come": {"nbf": NOW + 3600},
    "sub missing": {"sub": None},
    "sub empty": {"sub": ""},
    "sub a number": {"sub": 1},
    "sub long": {"sub": "a" * 300},
    "sub with NUL": {"sub": "alice-1\0"},
    "sub half a character": {"sub": "\ud800"},
    "auth_time beyond all calendars": {"auth_time": 10**20},
}


@pytest.mark.parametrize("case", CLAIMS)
def test_10_2_an_id_token_with_a_wrong_claim_is_refused(op: OpenIDProvider, case: str) -> None:
    op.metadata = {"userinfo_endpoint": None}
    forge(op, {}, CLAIMS[case], by())

    refused(op)


SIGNATURES: dict[str, tuple[Json, Sign]] = {
    "none": ({"alg": "none"}, unsigned),
    "nOnE": ({"alg": "nOnE"}, unsigned),
    "no alg": ({"alg": None}, by()),
    "no signature": ({}, unsigned),
    "HS256 by the client's secret": ({"alg": "HS256"}, hs256(lambda _op: CLIENT_SECRET.encode())),
    "HS256 by the published key": ({"alg": "HS256"}, hs256(pem)),
    "HS256 by the JWK": (
        {"alg": "HS256"},
        hs256(lambda op: json.dumps(op.published.as_dict(private=False)).encode()),
    ),
    "another key": ({}, by(OTHER)),
    "RS256 by a key of another kind": (
        {"alg": "RS256"},
        by(RSAKey.generate_key(2048), "RS256"),
    ),
    "another key, shown": ({"jwk": OTHER.as_dict(private=False)}, by(OTHER)),
    "another key, its address": ({"jku": "{origin}/evil"}, by(OTHER)),
    "another key, its certificate's address": ({"x5u": "{origin}/evil"}, by(OTHER)),
    "another key, its certificate": ({"x5c": ["MIIB"]}, by(OTHER)),
    "kid unknown": ({"kid": "two"}, by()),
    "kid a path": ({"kid": "../../dev/null"}, by()),
    "kid a number": ({"kid": 1}, by()),
    "kid in a list": ({"kid": ["one"]}, by()),
    "crit unknown": ({"crit": ["mallory"], "mallory": 1}, by()),
}


@pytest.mark.parametrize("case", SIGNATURES)
def test_an_id_token_that_the_published_key_did_not_sign_is_refused(
    op: OpenIDProvider, case: str
) -> None:
    head, sign = SIGNATURES[case]
    filled = {k: v.format(origin=op.origin) if isinstance(v, str) else v for k, v in head.items()}
    forge(op, filled, {}, sign)

    refused(op)

    assert op.count("/evil") == 0


def test_a_secret_that_is_published_as_a_key_signs_nothing(op: OpenIDProvider) -> None:
    key = {"kty": "oct", "kid": "one", "k": encoded(b"known to everybody, as is all published")}
    op.instead["/jwks"] = lambda request: send(request, json.dumps({"keys": [key]}).encode())
    forge(op, {"alg": "HS256"}, {}, hs256(lambda _op: decoded(key["k"])))

    refused(op)


@pytest.mark.parametrize(
    "use, good", [({"use": "enc"}, False), ({"use": "sig"}, True), ({}, True)], ids=str
)
def test_a_key_for_something_else_signs_nothing(op: OpenIDProvider, use: Json, good: bool) -> None:
    op.published = ECKey.generate_key("P-256", {"kid": "one", **use})
    if good:
        assert through(Client(), op).url == "/"
    else:
        refused(op)


def rsa(bits: int) -> RSAKey:
    with warnings.catch_warnings(action="ignore"):
        return RSAKey.generate_key(bits, {"kid": "one", "use": "sig"})


LONG = encoded(b"\xff" * 20_000)
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


@pytest.mark.parametrize("case", ODD_KEYS)
def test_an_odd_key_of_the_provider_is_its_fault_and_holds_nobody_up(
    op: OpenIDProvider, case: str
) -> None:
    key = op.published.as_dict(private=False) | ODD_KEYS[case]
    op.instead["/jwks"] = lambda request: send(request, json.dumps({"keys": [key]}).encode())
    began = time.monotonic()

    refused(op)

    assert time.monotonic() - began < 5


def test_a_private_key_that_is_published_is_not_computed_with(op: OpenIDProvider) -> None:
    """PyJWT would find its primes, in Python, whatever the lengths: all threads stand still."""
    key = rsa(2048).as_dict(private=False) | {"d": encoded(b"\xff" * 300_000)}
    op.instead["/jwks"] = lambda request: send(request, json.dumps({"keys": [key]}).encode())
    forge(op, {"alg": "RS256"}, {}, unsigned)
    began = time.monotonic()

    refused(op)

    assert time.monotonic() - began < 5


@pytest.mark.parametrize("bits, good", [(1024, False), (2048, True)])
def test_an_rsa_key_has_2048_bits_at_least(op: OpenIDProvider, bits: int, good: bool) -> None:
    """RFC 7518 section 3.3."""
    op.published, op.key = rsa(bits), OTHER
    forge(op, {"alg": "RS256"}, {}, by(algorithm="RS256"))

    if good:
        assert through(Client(), op).url == "/"
    else:
        refused(op)


WHOLE: dict[str, Callable[[str], Any]] = {
    "absent": lambda _good: None,
    "a list": lambda good: [good],
    "no token": lambda _good: "a.b.c",
    "two parts": lambda good: good.rpartition(".")[0],
    "other letters": lambda good: f"é{good}\0",
    "deep header": lambda good: f"{encoded(DEEP.encode())}.{good.partition('.')[2]}",
    "long": lambda good: good + "A" * 500_000,
}


@pytest.mark.parametrize("case", WHOLE)
def test_what_is_no_id_token_is_refused(op: OpenIDProvider, case: str) -> None:
    made = op._id_token
    op._id_token = lambda grant: WHOLE[case](made(grant))  # type: ignore[method-assign]

    refused(op)


@pytest.mark.parametrize("payload", [DEEP, "[]", "null", "{", ""], ids=repr)
def test_signed_claims_that_are_no_object_are_refused(op: OpenIDProvider, payload: str) -> None:
    text = f"{encoded(b'{"alg": "ES256", "kid": "one"}')}.{encoded(payload.encode())}"
    token = f"{text}.{encoded(by()(op, text.encode()))}"
    op._id_token = lambda _grant: token  # type: ignore[method-assign]

    refused(op)


@pytest.mark.parametrize("sub", ["bob-1", None, ["alice-1"], "ALICE-1"], ids=str)
def test_userinfo_of_another_subject_is_refused(op: OpenIDProvider, sub: Any) -> None:
    op.userinfo = {"sub": sub}

    refused(op)


@pytest.mark.parametrize(
    "body",
    ["[]", "null", "", DEEP, '{"sub": "alice-1"'],
    ids=lambda body: body[:9],
)
def test_userinfo_that_is_no_object_is_refused(op: OpenIDProvider, body: str) -> None:
    op.instead["/userinfo"] = lambda request: send(request, body.encode())

    refused(op)


@pytest.mark.parametrize("iss", [None, "https://mallory.example", "{}/"])
def test_rfc_9207_an_answer_of_another_issuer_is_refused_before_the_code_is_sent(
    op: OpenIDProvider, iss: str | None
) -> None:
    browser = Client()
    answer = op.answer(go(browser))
    answer["iss"] = "" if iss is None else iss.format(op.issuer)
    if iss is None:
        del answer["iss"]

    assert come_back(browser, answer).status_code == 400

    assert op.count("/token") == 0
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "change", [{}, {"aud": [CLIENT_ID]}, {"aud": [CLIENT_ID, "o"], "azp": CLIENT_ID}], ids=str
)
def test_what_is_forged_without_a_fault_is_taken(op: OpenIDProvider, change: Json) -> None:
    """So that the cases above fail for their own reason."""
    forge(op, {}, change, by())

    assert through(Client(), op).url == "/"
