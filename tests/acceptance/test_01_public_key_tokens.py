"""System 1, tokens signed with a public key: the programs of ``docs/verify.md``.

Rows 2 to 4, the tokens that the site itself refuses, are in ``tests/attacks/test_jwt*.py``.
"""

import json
import os
import time
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client

from accounts.tokens import keys
from tests.support import api
from tests.support.api import call
from tests.support.clients.verifiers import BLOCKS, PROGRAMS, SERVICES, service, write
from tests.support.docs_examples import Shell
from tests.support.forgeries import (
    ALGORITHMS,
    by_hmac,
    by_key,
    decoded,
    encoded,
    join,
    key_of,
    mint_with,
    unsigned,
)
from tests.support.missing import find, missing
from tests.support.process import run
from tests.support.receiver import Server, say
from tests.support.steps import member

JWKS = "/.well-known/jwks.json"
SHOP = "https://shop.example.org"
SCOPE = "orders:read"


def bearer(token):
    """Return the headers of a request with an access token."""
    return {"Authorization": f"Bearer {token}"}


def run_openssl(folder, issuer, audience, tokens):
    """Fetch the public key into a file, and return the output of openssl for each token."""
    for program in ("bash", "curl", "jq", "openssl"):
        find(program) or missing(program)
    write(folder)
    options = {
        "cwd": folder,
        "env": {"PATH": os.environ["PATH"], "ISSUER": issuer, "AUDIENCE": audience},
    }
    bash = ["bash", "-euo", "pipefail"]
    run(*bash, "public.sh", **options)
    said = run(
        *bash, "verify.sh", input="".join(f"{token}\n" for token in tokens.values()), **options
    )
    return dict(zip(tokens, said.splitlines(), strict=True))


def forgeries(mint):
    """Return forged tokens of an attacker who has a valid token, the public key and another key."""
    head, body, signature = mint.token().split(".")
    raw, public = decoded(signature), mint.key.public_key()
    jwk = keys.public_jwk(mint.key)
    stranger = replace(mint, key=key_of(mint.algorithm, "mallory"))
    hs256 = mint.header | {"alg": "HS256"}
    changed = encoded(json.dumps(mint.claims | {"sub": "bob"}))
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    made = {
        "payload changed": f"{head}.{changed}.{signature}",
        "signature changed": f"{head}.{body}.{encoded(bytes([raw[0] ^ 1]) + raw[1:])}",
        "none": join(mint.header | {"alg": "none"}, mint.claims, unsigned),
        "another key": stranger.token(),
        **{f"{n} unknown": stranger.token({"kid": f"unknown-{n}"}) for n in range(10)},
        "HS256 by the PEM": join(hs256, mint.claims, by_hmac(pem)),
        "HS256 by the JWK": join(hs256, mint.claims, by_hmac(json.dumps(jwk).encode())),
        "no token": "a.b.c",
        "no kid": stranger.token({"kid": None}),
        "typ: JWT": mint.token({"typ": "JWT"}),
        "bound to a key": mint.token(cnf={"jkt": "of a DPoP key"}),
    }
    now, issuer = int(time.time()), mint.claims["iss"]
    for claim, values in {
        "exp": (now - 10, None),
        "nbf": (now + 60,),
        "aud": (issuer, SHOP[:-1], f"{SHOP}/"),
        "iss": ("https://mallory.example", issuer[:-1], f"{issuer}/"),
    }.items():
        made |= {f"{claim} {value}": mint.token(**{claim: value}) for value in values}
    if mint.algorithm == "RS256":
        for alg in ("RS384", "PS256"):
            made[alg] = join(mint.header | {"alg": alg}, mint.claims, by_key(mint.key, alg))
    return made


class Keys(Server):
    """Answers every request with one status and body, the keys, and counts the requests."""

    status, body, count = 200, b"", 0

    def receive(self, request, body):
        self.count += 1
        say(self.status, self.body)(request)


@pytest.fixture
def published():
    with Keys() as server:
        yield server


def mint_at(published, algorithm):
    """Publish a new key, and return a mint for tokens of alice for the shop."""
    made = mint_with(algorithm)
    published.body = Client().get(JWKS).content
    issuer = f"http://127.0.0.1:{published.port}"
    return replace(made, claims=made.claims | {"iss": issuer, "aud": SHOP, "scope": SCOPE})


# Go takes most of a minute to compile the program for the first time.
CASES = [
    pytest.param(
        how, algorithm, marks=[pytest.mark.proof] * (how.__name__ == "go" or algorithm != "ES256")
    )
    for how in SERVICES
    for algorithm in ALGORITHMS
    # Its WebCrypto has no EdDSA.
    if (how.__name__, algorithm) != ("njs", "EdDSA")
]


@pytest.mark.server
@pytest.mark.parametrize("how, algorithm", CASES)
def test_1_1_services_verify_tokens_with_public_keys_only(how, algorithm, published, tmp_path):
    """Withstands an attacker of apps.

    Each refuses all forged tokens and bound ones, and fetches the keys once.
    """
    mint = mint_at(published, algorithm)
    issuer, good = mint.claims["iss"], mint.token()

    with service(how, tmp_path, issuer, SHOP) as client:
        published.status = 503
        assert client.get("/orders", headers=bearer(good)).status == 503
        published.status, published.count = 200, 0
        bad = {
            name: client.get("/orders", headers=bearer(token)).status
            for name, token in forgeries(mint).items()
        }
        answer = client.get("/orders", headers=bearer(good))
        narrow = client.get("/orders", headers=bearer(mint.token(scope="orders:reader profile")))
        strangers = [
            client.get("/orders", headers=had) for had in ({}, {"Authorization": f"DPoP {good}"})
        ]

    assert (answer.status, mint.claims["sub"] in answer.text) == (200, True), answer.text
    assert {name: status for name, status in bad.items() if status != 401} == {}
    assert narrow.status == 403
    assert [(one.status, one.headers["WWW-Authenticate"]) for one in strangers] == [
        (401, "Bearer")
    ] * 2
    assert published.count == 1


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_1_1_openssl_verifies_tokens_with_a_public_key_only(algorithm, published, tmp_path):
    mint = mint_at(published, algorithm)
    tokens = forgeries(mint) | {"good": mint.token()}

    said = run_openssl(tmp_path, mint.claims["iss"], SHOP, tokens)

    assert said.pop("good") == f"good {mint.claims['sub']}"
    assert set(said.values()) == {"refused"}


def test_1_1_a_running_site_signs_tokens_and_says_whether_their_session_is_live(site, tmp_path):
    here = site.client()
    member(site, "verified")
    token = api.get_tokens("verified", here)["access"]
    (block,) = (block.lines for block in BLOCKS if block.lines not in PROGRAMS.values())
    # The other line is for tokens of connected apps.
    asking = block.splitlines()[0]

    said = run_openssl(tmp_path, site.origin, site.origin, {"real": token})
    with Shell(tmp_path, {"ISSUER": site.origin, "TOKEN": token}) as shell:
        alive = json.loads(shell.run(asking))
        call("token/revoke/", {"token": token}, client=here)
        dead = json.loads(shell.run(asking))

    assert said["real"] == f"good {alive['sub']}"
    assert alive == api.claims_of(token)
    assert dead["code"] == "token_not_valid"
