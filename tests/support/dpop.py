"""Proofs that a client holds a key (DPoP, RFC 9449), made as clients and attackers make them."""

import json
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from typing import Any

from django.test import Client as Browser
from jwt import get_algorithm_by_name

from accounts.common import clock, secrets
from accounts.tokens import dpop, keys
from tests.support.forgeries import encoded
from tests.support.oauth_client import audience

TOKEN, ME, USERINFO = "/oauth/token", "/api/v1/me/", "/oauth/userinfo"


class Key:
    """The key of a client. RFC 9864 calls the algorithm EdDSA ``Ed25519``."""

    def __init__(self, algorithm: str = "ES256", private: Any = None) -> None:
        self.algorithm = algorithm
        self._algorithm = algorithm.replace("Ed25519", "EdDSA")
        self.private = private or keys.generate(self._algorithm)

    @cached_property
    def jwk(self) -> dict[str, str]:
        known = keys.public_jwk(self.private)
        return {name: known[name] for name in keys.MEMBERS[known["kty"]]}

    @cached_property
    def thumbprint(self) -> str:
        return keys.thumbprint(self.jwk)

    def sign(self, message: bytes) -> bytes:
        return get_algorithm_by_name(self._algorithm).sign(message, self.private)

    def proof(
        self,
        method: str = "POST",
        path: str = TOKEN,
        *,
        token: str = "",
        head: dict[str, Any] | None = None,
        sign: Callable[[bytes], bytes] | None = None,
        **changes: Any,
    ) -> str:
        """Return a new proof with the nonce of this moment; a change to None leaves a claim out."""
        header = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk} | (head or {})
        claims = {
            "jti": secrets.token(),
            "htm": method,
            "htu": audience() + path,
            "iat": int(clock.now().timestamp()),
            "nonce": dpop.nonce(),
            "ath": ath(token) if token else None,
        }
        sent = {name: value for name, value in (claims | changes).items() if value is not None}
        text = f"{encoded(json.dumps(header))}.{encoded(json.dumps(sent))}"
        return f"{text}.{encoded((sign or self.sign)(text.encode()))}"


def ath(token: str) -> str:
    """Return the hash of an access token that proofs have (section 4.2)."""
    return encoded(sha256(token.encode()).digest())


def get(path: str, token: str, proof: str = "", *, scheme: str = "DPoP") -> Any:
    """Call the API or userinfo with an access token."""
    headers = {"Authorization": f"{scheme} {token}"} | ({"DPoP": proof} if proof else {})
    return Browser().get(path, headers=headers)
