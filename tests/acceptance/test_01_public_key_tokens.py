"""System 1, tokens signed with a public key: the programs of ``docs/verify.md``.

Rows 2 to 4, the tokens that the site itself refuses, are in ``tests/attacks/test_jwt*.py``.
"""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import product
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client

from accounts.tokens import keys
from tests.support import api, node
from tests.support.api import call
from tests.support.docs_examples import Shell, blocks_of
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
from tests.support.steps import member

JWKS = "/.well-known/jwks.json"
SHOP = "https://shop.example.org"
BLOCKS = blocks_of("verify.md", "python", "js", "sh")
# The blocks that begin with the name of their file.
PROGRAMS = {
    block.lines.split()[1]: block.lines for block in BLOCKS if block.lines.startswith(("# ", "// "))
}


def python(folder, _env):
    """Return the command that verifies with PyJWT, which fetches the keys from their URL."""
    return [sys.executable, "-I", folder / "verify.py"]


def javascript(folder, _env):
    """Return the command that verifies with jose, which fetches the keys from their URL."""
    (folder / "node_modules").symlink_to(node.packages())
    return [node.node(), folder / "verify.mjs"]


def openssl(folder, env):
    """Fetch the public key into a file, and return the command that verifies with openssl."""
    for program in ("bash", "curl", "jq", "openssl"):
        find(program) or missing(program)
    bash = ["bash", "-euo", "pipefail"]
    subprocess.run([*bash, "public.sh"], check=True, cwd=folder, env=env)
    return [*bash, folder / "verify.sh"]


def run_verifier(how, folder, issuer, audience, tokens):
    """Run a program of the page in a separate folder, and return its output for each token."""
    for name, text in PROGRAMS.items():
        (folder / name).write_text(text)
    env = {"PATH": os.environ["PATH"], "ISSUER": issuer, "AUDIENCE": audience}
    done = subprocess.run(
        how(folder, env),
        capture_output=True,
        check=False,
        cwd=folder,
        env=env,
        input="".join(f"{token}\n" for token in tokens.values()),
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(tokens, done.stdout.splitlines(), strict=True))


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
    }
    now, issuer = mint.claims["iat"], mint.claims["iss"]
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


@pytest.fixture
def published():
    """A server that answers every request with one body, the keys, and counts the requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            site.count += 1
            self.send_response(200)
            self.end_headers()
            self.wfile.write(site.body)

        def log_message(self, *_args):
            """Keep the server's access log out of the output of the tests."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        origin = f"http://127.0.0.1:{server.server_port}"
        site = SimpleNamespace(origin=origin, body=b"", count=0)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield site
        server.shutdown()
        thread.join()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "how, algorithm",
    [*product((python, javascript), ALGORITHMS), *product([openssl], ("ES256", "RS256"))],
)
def test_1_1_another_program_verifies_tokens_with_public_keys_only(
    how, algorithm, published, tmp_path
):
    """The program refuses all forged tokens, and fetches the keys once."""
    made = mint_with(algorithm)
    mint = replace(made, claims=made.claims | {"iss": published.origin, "aud": SHOP})
    published.body = Client().get(JWKS).content
    bad = forgeries(mint)

    said = run_verifier(how, tmp_path, published.origin, SHOP, bad | {"good": mint.token()})

    assert said.pop("good") == f"good {mint.claims['sub']}"
    assert {name: words for name, words in said.items() if not words.startswith("refused")} == {}
    assert published.count == 1


def test_1_1_a_running_site_signs_tokens_and_says_whether_their_session_is_live(site, tmp_path):
    for program in ("bash", "curl"):
        find(program) or missing(program)
    here = site.client()
    member(site, "verified")
    token = api.get_tokens("verified", here)["access"]
    (block,) = (block.lines for block in BLOCKS if block.lines not in PROGRAMS.values())
    # The other line is for tokens of connected apps.
    asking = block.splitlines()[0]

    said = run_verifier(python, tmp_path, site.origin, site.origin, {"real": token})
    with Shell(tmp_path, {"ISSUER": site.origin, "TOKEN": token}) as shell:
        alive = json.loads(shell.run(asking))
        call("token/revoke/", {"token": token}, client=here)
        dead = json.loads(shell.run(asking))

    assert said["real"] == f"good {alive['sub']}"
    assert alive == api.claims_of(token)
    assert dead["code"] == "token_not_valid"
