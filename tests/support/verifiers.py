"""Three other implementations of JWTs, in two languages, as somebody else's service has them."""

import json
import subprocess
from typing import Any

from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet
from jwcrypto.jwk import JWKSet
from jwcrypto.jwt import JWT, JWTMissingKey

from tests.support.node import SOURCE, node, packages

ALGORITHMS = ["RS256", "ES256", "EdDSA"]


class Refused(Exception):
    """By a program of Node."""


def by_joserfc(jwks: bytes, token: str, claims: dict[str, str]) -> Any:
    """The claims, if joserfc takes the token."""
    names: Any = {name: {"essential": True, "value": value} for name, value in claims.items()}
    ring = KeySet.import_key_set(json.loads(jwks))
    read = jwt.decode(token, ring, algorithms=ALGORITHMS)
    registry = jwt.JWTClaimsRegistry(exp={"essential": True}, **names)
    registry.validate(read.claims)
    assert read.header["typ"] == "at+jwt"
    return read.claims


def by_jwcrypto(jwks: bytes, token: str, claims: dict[str, str]) -> Any:
    """The claims, if jwcrypto does."""
    read = JWT(algs=ALGORITHMS, check_claims={**claims, "exp": None})
    read.deserialize(token, JWKSet.from_json(jwks.decode()))
    assert json.loads(read.header)["typ"] == "at+jwt"
    return json.loads(read.claims)


def by_jose(jwks: bytes, token: str, claims: dict[str, str]) -> Any:
    """The claims, if jose does, in Node."""
    asked = {"jwks": json.loads(jwks), "token": token, "issuer": claims["iss"]}
    done = subprocess.run(
        [node(), "--input-type=module", "--eval", (SOURCE / "verify.mjs").read_text()],
        capture_output=True,
        check=False,
        cwd=packages().parent,
        input=json.dumps({**asked, "audience": claims["aud"]}),
        text=True,
        timeout=60,
    )
    if "JWSSignatureVerificationFailed" in done.stderr:
        raise Refused
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# jwcrypto's name for it when none of a set's keys fits.
REFUSALS = (BadSignatureError, JWTMissingKey, Refused)
