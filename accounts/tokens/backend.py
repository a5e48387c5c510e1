"""Signs access tokens and verifies their signatures (RFC 7515).

``accounts.tokens.access`` decides what the claims mean.
"""

import base64
import json
import uuid
from functools import lru_cache
from hashlib import sha256
from typing import Any, override

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.algorithms import get_default_algorithms
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError

from accounts.tokens import keyring
from accounts.tokens.signing_keys import FIRST_ALGORITHM, Signer, Verifier

TYPE = "at+jwt"
# The most tokens whose claims a process keeps after it has verified them. Each takes about 2 KB.
MOST_VERIFIED = 4096
TEXTS = ("jti", "sid", "sub", "scope", "client_id")
TIMES = ("iat", "nbf", "exp", "auth_time")

_algorithms = get_default_algorithms()
_ECDSA = ec.ECDSA(SHA256())
_json = json.JSONEncoder(separators=(",", ":")).encode


class Backend(TokenBackend):
    """Signs tokens with the current signing key; verifies them with the key that `kid` names."""

    def __init__(self) -> None:
        super().__init__(FIRST_ALGORITHM)
        self._verified: dict[bytes, tuple[Verifier, dict[str, Any]]] = {}

    @override
    def encode(self, payload: dict[str, Any]) -> str:
        """Return the signed token (RFC 7515 section 7.1).

        PyJWT takes as long to encode a token as to sign it.
        """
        key = keyring.signer()
        signed = f"{_head(key.kid, key.algorithm)}.{_text(_json(payload).encode())}"
        return f"{signed}.{_text(_sign(key, signed.encode()))}"

    @override
    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """Return the claims of ``token`` if one of this site's keys has signed it.

        The header must be exactly the one that this site writes, so ``crit``, ``jku``, ``x5u`` and
        ``jwk`` are never evaluated (RFC 8725 section 3.10). The key decides the algorithm, not the
        token (RFC 8725 section 3.1). ``verify`` is ignored: every token is verified.

        PyJWT is used only to verify the signature. Its own parser checks the token character by
        character, which took a third of the time of an API call.

        The claims of the last :data:`MOST_VERIFIED` tokens are kept, because clients send a token
        many times. They count only while the key that verified them is in the key ring.

        Raises:
            TokenBackendError: the token is malformed, or its signature does not verify.
        """
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        key, claims = self._verified.get(digest) or self._verify(token)
        if keyring.find(key.kid) is not key:
            key, claims = self._verify(token)
        if len(self._verified) >= MOST_VERIFIED:
            self._verified.clear()
        self._verified[digest] = key, claims
        return dict(claims)

    def _verify(self, token: str) -> tuple[Verifier, dict[str, Any]]:
        try:
            signed, _, signature = token.rpartition(".")
            head, payload = signed.split(".")
            header = json.loads(_bytes(head).decode())
            key = keyring.find(header["kid"])
            if key is None or header != {"typ": TYPE, "alg": key.algorithm, "kid": key.kid}:
                raise TokenBackendError
            algorithm = _algorithms[key.algorithm]
            if not algorithm.verify(signed.encode(), key.key, _bytes(signature)):
                raise TokenBackendError
            claims = json.loads(_bytes(payload).decode())
            # NaN and unpaired surrogates cannot be sent as JSON, and this site never signs them.
            json.dumps(claims, allow_nan=False, ensure_ascii=False).encode()
        except (LookupError, ValueError, TypeError, RecursionError):
            raise TokenBackendError from None
        if not _is_complete(claims):
            raise TokenBackendError
        return key, claims


@lru_cache(16)
def _head(kid: str, algorithm: str) -> str:
    return _text(_json({"alg": algorithm, "kid": kid, "typ": TYPE}).encode())


def _sign(key: Signer, message: bytes) -> bytes:
    if not isinstance(key.key, ec.EllipticCurvePrivateKey):
        return _algorithms[key.algorithm].sign(message, key.key)
    # RFC 7518 section 3.4. In PyJWT, this conversion takes as long as the signature.
    r, s = decode_dss_signature(key.key.sign(message, _ECDSA))
    return r.to_bytes(32) + s.to_bytes(32)


def _text(part: bytes) -> str:
    """Encode one part of a token in base64url (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _bytes(part: str) -> bytes:
    """Decode one part of a token from base64url (RFC 7515 section 2).

    Raises:
        ValueError: the part is not canonical base64url.
    """
    decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if _text(decoded) != part:
        raise ValueError("not as base64url is written")
    return decoded


def _is_complete(claims: Any) -> bool:
    """Return whether ``claims`` has the claims of an access token, each with the right type."""
    return (
        isinstance(claims, dict)
        and all(isinstance(claims.get(name), str) for name in TEXTS)
        and all(type(claims.get(name)) is int for name in TIMES)
        and type(claims.get("orig_iat", 0)) is int
        and _is_id(claims["sub"])
        and _is_id(claims["sid"])
    )


def _is_id(text: str) -> bool:
    """Return whether ``text`` is a UUID in canonical form."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
