"""DPoP proofs that are forged, malformed, or were made for another request (RFC 9449)."""

import hashlib
import hmac

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from accounts.common import clock as site_clock
from tests.support.authorize import PAR
from tests.support.clock import Clock
from tests.support.dpop import TOKEN, Key
from tests.support.oauth_client import audience, browser_of, new_app
from tests.support.steps import make_user

EC = Key()
RSA = Key("RS256", generate_rsa(65537, 2048))


def hs256(message: bytes) -> bytes:
    """Sign with the public key as a secret (CVE-2015-9235)."""
    pem = EC.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hmac.digest(pem, message, hashlib.sha256)


def p384() -> str:
    private = generate_private_key(SECP384R1())
    jwk = jwt.get_algorithm_by_name("ES384").to_jwk(private.public_key(), as_dict=True)
    return Key("ES384", private).proof(head={"jwk": jwk})


def rsa(exponent: int, bits: int) -> str:
    return Key("RS256", generate_rsa(exponent, bits)).proof()


PRIVATE = jwt.get_algorithm_by_name("ES256").to_jwk(EC.private, as_dict=True)
OCTETS = {"kty": "oct", "k": "c2VjcmV0"}


def seconds(after: int) -> int:
    return int(site_clock.now().timestamp()) + after


WRONG = {
    "another method": lambda: EC.proof("GET"),
    "another method in lower case": lambda: EC.proof("post"),
    "another path": lambda: EC.proof(path=PAR),
    "another path that begins alike": lambda: EC.proof(path=f"{TOKEN}/"),
    "another host": lambda: EC.proof(htu=f"https://mallory.example{TOKEN}"),
    "a host that begins alike": lambda: EC.proof(htu=f"{audience()}.mallory.example{TOKEN}"),
    "another scheme": lambda: EC.proof(htu=audience().replace("http:", "https:") + TOKEN),
    "another port": lambda: EC.proof(htu=f"http://localhost:8001{TOKEN}"),
    "a user name": lambda: EC.proof(htu=f"http://alice@localhost:8000{TOKEN}"),
    "no URL": lambda: EC.proof(htu="http://[::1"),
    "a URL that is no text": lambda: EC.proof(htu=5),
    "no claim htu": lambda: EC.proof(htu=None),
    "no claim htm": lambda: EC.proof(htm=None),
    "no jti": lambda: EC.proof(jti=None),
    "an empty jti": lambda: EC.proof(jti=""),
    "a jti that is no text": lambda: EC.proof(jti=["a"]),
    "half a surrogate as jti": lambda: EC.proof(jti="\ud800"),
    "no iat": lambda: EC.proof(iat=None),
    "too old": lambda: EC.proof(iat=seconds(-301)),
    "from the future": lambda: EC.proof(iat=seconds(301)),
    "a huge iat": lambda: EC.proof(iat=10**400),
    "an iat that is no number": lambda: EC.proof(iat=str(seconds(0))),
    "alg none": lambda: EC.proof(head={"alg": "none"}, sign=lambda _message: b""),
    "alg HS256": lambda: EC.proof(head={"alg": "HS256"}, sign=hs256),
    "alg HS256 with its key": lambda: EC.proof(head={"alg": "HS256", "jwk": OCTETS}, sign=hs256),
    "alg ES384": p384,
    "alg PS256": lambda: RSA.proof(head={"alg": "PS256"}),
    "an algorithm that is no text": lambda: EC.proof(head={"alg": ["ES256"]}),
    "alg Ed25519 with a P-256 key": lambda: EC.proof(head={"alg": "Ed25519"}),
    "an algorithm of another key": lambda: EC.proof(head={"alg": "RS256"}),
    "the type of another token": lambda: EC.proof(head={"typ": "at+jwt"}),
    "no type": lambda: EC.proof(head={"typ": None}),
    "an unknown extension": lambda: EC.proof(head={"crit": ["b64"], "b64": False}),
    "no key": lambda: EC.proof(head={"jwk": None}),
    "a private key": lambda: EC.proof(head={"jwk": PRIVATE}),
    "the key of somebody else": lambda: EC.proof(head={"jwk": Key().jwk}),
    "a curve of another algorithm": lambda: EC.proof(head={"jwk": EC.jwk | {"crv": "P-521"}}),
    "a point that is not on the curve": lambda: EC.proof(head={"jwk": EC.jwk | {"x": EC.jwk["y"]}}),
    "a coordinate that is no text": lambda: EC.proof(head={"jwk": EC.jwk | {"x": 5}}),
    "a list as key": lambda: EC.proof(head={"jwk": [EC.jwk]}),
    "a short RSA key": lambda: rsa(65537, 1024),
    "a small exponent": lambda: rsa(3, 2048),
    "a modulus of zero": lambda: RSA.proof(head={"jwk": RSA.jwk | {"n": "AA"}}),
    "two proofs": lambda: f"{EC.proof()},{EC.proof()}",
    "no JWT": lambda: "a.b.c",
    "one part": lambda: "a",
    "spaces": lambda: " ",
    "too long": lambda: EC.proof(jti="a" * 4096),
    "a signature of something else": lambda: EC.proof(sign=lambda _message: EC.sign(b"else")),
    "claims that are no object": lambda: jwt.api_jws.encode(
        b'"htm"', EC.private, "ES256", headers={"typ": "dpop+jwt", "jwk": EC.jwk}
    ),
    "claims that are nested deeply": lambda: jwt.api_jws.encode(
        b"[" * 2000, EC.private, "ES256", headers={"typ": "dpop+jwt", "jwk": EC.jwk}
    ),
}


@pytest.mark.django_db
def test_a_proof_that_was_not_made_for_the_request_is_refused(clock: Clock) -> None:
    app = new_app(is_public=True)
    code = app.code(browser_of(make_user("alice")))

    found = {name: app.redeem(code, dpop=make()).error for name, make in WRONG.items()}

    assert {name for name in WRONG if found[name] != "invalid_dpop_proof"} == set()
    assert app.redeem(code, dpop=EC.proof()).status == 200, "the code is not spent"
