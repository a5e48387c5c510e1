"""Make access tokens as attackers do: from a valid token, a public key or a stolen key."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt

from accounts.tokens import keyring, keys
from tests.support.api import get_tokens
from tests.support.steps import make_user

type Sign = Callable[[bytes], bytes]
type Json = dict[str, Any]

ALGORITHMS = ("RS256", "ES256", "EdDSA")


def encoded(data: bytes | str) -> str:
    """Encode a segment of a token: base64url without padding (RFC 7515 section 2)."""
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    """Decode a segment of a token."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def join(header: Any, claims: Any, sign: Sign) -> str:
    """Make a token. A header or claims that are text or bytes are used unchanged, not as JSON."""
    parts = [
        part if isinstance(part, bytes | str) else json.dumps(part, separators=(",", ":"))
        for part in (header, claims)
    ]
    signed = ".".join(map(encoded, parts))
    return f"{signed}.{encoded(sign(signed.encode()))}"


def by_hmac(secret: bytes, bits: int = 256) -> Sign:
    """Return a function that signs with HMAC.

    With the public key as ``secret``, this forges tokens for a verifier that lets the token
    choose the algorithm.
    """
    return lambda signed: hmac.digest(secret, signed, getattr(hashlib, f"sha{bits}"))


def by_key(key: Any, algorithm: str) -> Sign:
    """Return a function that signs with a private key."""
    return lambda signed: jwt.get_algorithm_by_name(algorithm).sign(signed, key)


def unsigned(_signed: bytes) -> bytes:
    """Return the empty signature that ``alg: none`` has (RFC 7519 section 6.1)."""
    return b""


@dataclass(frozen=True)
class Mint:
    """A private key with the header and claims of a valid token, from which others are made."""

    key: Any
    algorithm: str
    header: Json
    claims: Json

    @property
    def sign(self) -> Sign:
        """The function that signs as the site does."""
        return by_key(self.key, self.algorithm)

    def token(self, header: Json | None = None, **claims: Any) -> str:
        """Make a token with changed members of the header and claims; ``None`` removes a member."""
        return join(_changed(self.header, header or {}), _changed(self.claims, claims), self.sign)


def mint_of(token: str, key: Any) -> Mint:
    """Return a mint with the header and claims of ``token``, which was signed with ``key``."""
    header, claims = (json.loads(decoded(part)) for part in token.split(".")[:2])
    return Mint(key, header["alg"], header, claims)


def mint_with(algorithm: str) -> Mint:
    """Create alice, and return a mint for her tokens with a new site key of ``algorithm``."""
    keyring.add(key_of(algorithm))
    make_user("alice")
    return mint_of(get_tokens()["access"], key_of(algorithm))


@cache
def key_of(algorithm: str, owner: str = "the site") -> Any:
    """Return the private key of an owner. It is made once, because RSA keys take long."""
    return keys.generate(algorithm)


def _changed(old: Json, changes: Json) -> Json:
    return {name: value for name, value in {**old, **changes}.items() if value is not None}
