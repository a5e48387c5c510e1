"""Signs access tokens, and verifies their signatures and the form of their claims.

``accounts.tokens.access`` decides what the claims mean.
"""

import uuid
from hashlib import sha256
from typing import Any, override

from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError

from accounts.tokens import keyring
from accounts.tokens.signatures import NotGenuine, sign, verified
from accounts.tokens.signing_keys import FIRST_ALGORITHM, Verifier

TYPE = "at+jwt"
# The most tokens whose claims a process keeps after it has verified them. Each takes about 2 KB.
MOST_VERIFIED = 4096
TEXTS = ("jti", "sid", "sub", "scope", "client_id")
TIMES = ("iat", "nbf", "exp", "auth_time")


class Backend(TokenBackend):
    """Signs tokens with the current signing key; verifies them with the key that `kid` names."""

    def __init__(self) -> None:
        super().__init__(FIRST_ALGORITHM)
        self._verified: dict[bytes, tuple[Verifier, dict[str, Any]]] = {}

    @override
    def encode(self, payload: dict[str, Any]) -> str:
        return sign(payload, TYPE, keyring.signer())

    @override
    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """Return the claims of ``token`` if one of this site's keys has signed it.

        ``verify`` is ignored: every token is verified.

        The claims of the last :data:`MOST_VERIFIED` tokens are kept, because clients send a token
        many times: without that, ``GET me/`` takes 2.2 times as long. They count only while the key
        that verified them is in the key ring.

        Raises:
            TokenBackendError: the token is malformed, or its signature does not verify.
        """
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        key, claims = self._verified.get(digest) or _verified(token)
        if keyring.find(key.kid) is not key:
            key, claims = _verified(token)
        if len(self._verified) >= MOST_VERIFIED:
            self._verified.clear()
        self._verified[digest] = key, claims
        return dict(claims)


def _verified(token: str) -> tuple[Verifier, dict[str, Any]]:
    try:
        key, claims = verified(token, TYPE)
    except NotGenuine:
        raise TokenBackendError from None
    if not _is_complete(claims):
        raise TokenBackendError
    return key, claims


def _is_complete(claims: Any) -> bool:
    """Return whether ``claims`` has the claims of an access token, each with the right type."""
    return (
        isinstance(claims, dict)
        and all(isinstance(claims.get(name), str) for name in TEXTS)
        and all(type(claims.get(name)) is int for name in TIMES)
        and type(claims.get("orig_iat", 0)) is int
        and isinstance(claims.get("cnf", {}), dict)
        and _is_id(claims["sub"])
        and _is_id(claims["sid"])
    )


def _is_id(text: str) -> bool:
    """Return whether ``text`` is a UUID in canonical form."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
