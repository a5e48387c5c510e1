"""1. Tokens signed with a public key. Rows 1 to 4, and the programs of ``docs/verify.md``."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from django.test import Client

from accounts.tokens import keys, ring
from tests.acceptance.conftest import Set
from tests.conftest import Clock
from tests.support import api, node
from tests.support.api import call
from tests.support.forgeries import Forger
from tests.support.missing import find, missing
from tests.support.pages import Shell, blocks_of
from tests.support.site import Site, text_of
from tests.support.steps import code_in, make_user
from tests.support.verifiers import ALGORITHMS, REFUSALS, by_jose, by_joserfc, by_jwcrypto

JWKS = "/.well-known/jwks.json"
SHOP = "https://shop.example.org"
SITE = {"TOKEN_AUDIENCES": SHOP}
BLOCKS = blocks_of("verify.md", "python", "js", "sh")
# Those that begin with the name of their file.
PROGRAMS = {
    block.lines.split()[1]: block.lines for block in BLOCKS if block.lines.startswith(("# ", "// "))
}


@pytest.fixture(scope="module")
def key(site: Site, tmp_path_factory: pytest.TempPathFactory) -> RSAPrivateKey:
    """The site's signing key, brought along: what is signed with it the site itself could sign."""
    key = keys.generate("RS256")
    assert isinstance(key, RSAPrivateKey)
    path = tmp_path_factory.mktemp("key") / "key.pem"
    path.write_text(keys.to_pem(key))
    assert "from now on" in site.manage("rotate_signing_key", "--key-file", str(path))
    return key


@pytest.fixture(scope="module")
def tokens(site: Site, key: RSAPrivateKey) -> dict[str, str]:
    """Alice's access tokens, by audience."""
    here, email = site.client(), "alice@example.org"
    person = {"username": "alice", "email": email, "password": api.PASSWORD}
    assert call("users/", person, client=here).status == 201
    code = code_in(text_of(site.wait_for_mail(to=email)))
    assert call("email/verify/", {"email": email, "code": code}, client=here).status == 200
    return {aud: api.get_tokens(client=here, audience=aud)["access"] for aud in (SHOP, site.origin)}


def python(folder: Path, _env: dict[str, str]) -> list[str | Path]:
    """PyJWT, which has the address of the keys."""
    return [sys.executable, "-I", folder / "verify.py"]


def javascript(folder: Path, _env: dict[str, str]) -> list[str | Path]:
    """jose, which has it, too."""
    (folder / "node_modules").symlink_to(node.packages())
    return [node.node(), folder / "verify.mjs"]


def openssl(folder: Path, env: dict[str, str]) -> list[str | Path]:
    """openssl, which has the public key as a file, once that was fetched."""
    for program in ("bash", "curl", "jq", "openssl"):
        find(program) or missing(program)
    bash = ["bash", "-euo", "pipefail"]
    subprocess.run([*bash, "public.sh"], check=True, cwd=folder, env=env)
    return [*bash, folder / "verify.sh"]


def say(how: Any, folder: Path, issuer: str, tokens: dict[str, str]) -> dict[str, str]:
    """What a program of the page, in a folder of its own, says to each token."""
    for name, text in PROGRAMS.items():
        (folder / name).write_text(text)
    env = {"PATH": os.environ["PATH"], "ISSUER": issuer, "AUDIENCE": SHOP}
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


each_program = pytest.mark.parametrize("how", [python, javascript, openssl])


@each_program
def test_1_1_another_process_verifies_with_what_is_public_alone(
    how: Any, site: Site, key: RSAPrivateKey, tokens: dict[str, str], tmp_path: Path
) -> None:
    forger = Forger(tokens[SHOP], key)
    good = {"real": tokens[SHOP], "signed by hand": forger.signed_as_good()}
    bad = forger.by_strangers() | forger.by_the_site() | {"for another": tokens[site.origin]}

    said = say(how, tmp_path, site.origin, good | bad)

    subject = api.claims_of(tokens[SHOP])["sub"]
    assert {name: said[name] for name in good} == dict.fromkeys(good, f"good {subject}")
    assert {name: said[name] for name in bad if not said[name].startswith("refused")} == {}


def test_1_3_each_forgery_is_401_here(
    site: Site, key: RSAPrivateKey, tokens: dict[str, str]
) -> None:
    forger, here = Forger(tokens[site.origin], key), site.client()
    # What is another service's for the verifiers elsewhere is just the site's own here.
    bad = forger.by_strangers() | forger.by_the_site() | {"for another": tokens[SHOP]}
    del bad["another audience"]

    assert api.is_good(forger.signed_as_good(), here)
    for name, token in bad.items():
        answer = call("me/", client=here, token=token or " ")
        assert (answer.status, name) == (401, name)
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.django_db
# What RFC 9864 calls Ed25519 now; every library of the three knows the name that the contract has.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("verify", [by_joserfc, by_jwcrypto, by_jose])
def test_1_1_three_other_libraries_in_two_languages_agree(
    algorithm: str, verify: Any, configure: Set
) -> None:
    configure(token_algorithm=algorithm)
    make_user("alice", password=api.PASSWORD)
    token = api.get_tokens()["access"]
    head, body, signature = token.split(".")
    changed = "B" if signature[9] == "A" else "A"
    jwks, claims = Client().get(JWKS).content, api.claims_of(token)
    expected = {name: claims[name] for name in ("iss", "aud")}

    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert verify(jwks, token, expected) == claims
    with pytest.raises(REFUSALS):
        verify(jwks, f"{head}.{body}.{signature[:9]}{changed}{signature[10:]}", expected)


def test_1_2_who_can_verify_cannot_mint(
    site: Site, key: RSAPrivateKey, tokens: dict[str, str], tmp_path: Path
) -> None:
    (jwk,) = json.loads(site.client().get(JWKS).body)["keys"]
    forger = Forger(tokens[site.origin], key)
    public = jwt.PyJWK(jwk).key

    assert jwk.keys() == {"kty", "kid", "alg", "use", "n", "e"}
    assert not hasattr(public, "sign")
    # All that can be done with it, and with anything that one thinks up.
    assert [t for t in forger.by_strangers().values() if t and api.is_good(t, site.client())] == []


@pytest.mark.django_db
def test_1_4_a_token_for_300_s_fails_after_300_s(clock: Clock) -> None:
    make_user("alice", password=api.PASSWORD)
    answer = api.get_tokens()
    claims = api.claims_of(answer["access"])

    assert (answer["expires_in"], claims["exp"] - claims["iat"]) == (300, 300)
    clock.set(datetime.fromtimestamp(claims["exp"], UTC) - timedelta(milliseconds=1))
    assert api.is_good(answer["access"])
    clock.advance(milliseconds=1)
    assert not api.is_good(answer["access"])


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [
        {"nbf": 60},
        {"iss": "https://mallory.example"},
        {"aud": SHOP},
        {"exp": -1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_1_4_nbf_iss_aud_and_exp_count(changes: dict[str, Any], clock: Clock) -> None:
    make_user("alice", password=api.PASSWORD)
    claims = api.claims_of(api.get_tokens()["access"])
    now = int(clock.now().timestamp())
    moved = {name: now + v if isinstance(v, int) else v for name, v in changes.items()}
    signer = ring.signer()

    def signed(payload: dict[str, Any]) -> str:
        header = {"typ": "at+jwt", "kid": signer.kid}
        return jwt.encode(payload, signer.key, signer.algorithm, headers=header)

    assert api.is_good(signed(claims))
    assert not api.is_good(signed(claims | moved))


def test_1_1_whoever_must_know_that_a_sign_in_lives_asks_as_the_docs_say(
    site: Site, tokens: dict[str, str], tmp_path: Path
) -> None:
    for program in ("bash", "curl"):
        find(program) or missing(program)
    (asking,) = (block.lines for block in BLOCKS if block.lines not in PROGRAMS.values())

    with Shell(tmp_path, {"ISSUER": site.origin, "TOKEN": tokens[SHOP]}) as shell:
        alive = json.loads(shell.run(asking))
        call("token/revoke/", {"token": tokens[SHOP]}, client=site.client())
        dead = json.loads(shell.run(asking))

    assert alive == api.claims_of(tokens[SHOP])
    assert dead["code"] == "token_not_valid"


class Published(BaseHTTPRequestHandler):
    """Serves a key set, and counts how often."""

    body, count = b"", 0

    def do_GET(self) -> None:
        type(self).count += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_args: object) -> None:
        """Nothing."""


@pytest.fixture
def publisher() -> Iterator[type[Published]]:
    """A site that has nothing but its keys, at ``origin``."""
    handler = type("Handler", (Published,), {})
    server = HTTPServer(("127.0.0.1", 0), handler)
    handler.origin = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("how", [python, javascript])
def test_1_1_the_keys_are_fetched_once_for_fifty_tokens_and_fifty_that_name_unknown_ones(
    how: Any, key: RSAPrivateKey, tokens: dict[str, str], publisher: Any, tmp_path: Path
) -> None:
    issuer, head = publisher.origin, jwt.get_unverified_header(tokens[SHOP])
    jwk = keys.public_jwk(key)
    publisher.body = json.dumps({"keys": [jwk]}).encode()
    claims = api.claims_of(tokens[SHOP]) | {"iss": issuer}
    shown = {
        f"{kid} {n}": jwt.encode(
            claims | {"jti": str(n)}, key, "RS256", headers=head | {"kid": kid}
        )
        for n in range(50)
        for kid in (f"unknown-{n}", jwk["kid"])
    }

    said = say(how, tmp_path, issuer, shown)

    taken = {name for name in shown if said[name].startswith("good")}
    assert taken == {name for name in shown if name.startswith(jwk["kid"])}
    assert publisher.count == 1
