"""Signs JWTs and verifies their signatures with the key ring (RFC 7515).

The caller must check the claims. Each kind of token has a type in its header, so that no kind is
accepted as another (RFC 8725 section 3.11).
"""

import json
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from accounts.common import crypto
from accounts.tokens import keyring
from accounts.tokens.keyring import Signer, Verifier
from accounts.tokens.keys import PublicKey

# The maximum length, in characters, of a token that lists the groups of its user. A user may be in
# any number of groups, but proxies and servers refuse headers over 8 KiB.
LONGEST_WITH_GROUPS = 4096
# The maximum difference in seconds between the clocks of two nodes. The start of a token's validity
# has this tolerance, but its end does not.
SKEW = 10
_ECDSA = ec.ECDSA(SHA256())
_json = json.JSONEncoder(separators=(",", ":")).encode


class Parts(NamedTuple):
    """The decoded parts of a JWT. ``signed`` is the text that ``signature`` covers."""

    header: Any
    payload: bytes
    signed: bytes
    signature: bytes


class NotGenuine(Exception):
    """A token is malformed, or no key of this site has signed it as a token of its type."""


def be_ready() -> None:
    """Load the signing key, so that :func:`sign` cannot fail later.

    Call this before a code, a refresh token or a challenge is used up.

    Raises:
        CannotSign: the signing key cannot be decrypted.
    """
    keyring.signer()


def sign(claims: dict[str, Any], typ: str, key: Signer) -> str:
    """Return a JWT of the type ``typ`` with ``claims``, signed with ``key`` (RFC 7515 section 7.1).

    PyJWT is not used, because it takes as long to encode a token as to sign it.
    """
    signed = f"{_head(key.kid, key.algorithm, typ)}.{crypto.encode(_json(claims).encode())}"
    return f"{signed}.{crypto.encode(_signature(key, signed.encode()))}"


def verified(
    token: str, typ: str, find: Callable[[str], Verifier | None] = keyring.find_key
) -> tuple[Verifier, dict[str, Any]]:
    """Verify ``token``; return the key that has signed it, and the claims.

    ``find``: returns the key with a ``kid``; None if there is none for tokens of this type.

    The header must be exactly the header that this site writes, so ``crit``, ``jku``, ``x5u`` and
    ``jwk`` are never evaluated (RFC 8725 section 3.10). The key decides the algorithm, not the
    token (RFC 8725 section 3.1).

    PyJWT is used only to verify the signature. Its own parser checks the token character by
    character, which took a third of the time of an API call.

    Raises:
        NotGenuine: ``token`` is malformed, of another type, or its signature does not verify.
    """
    try:
        parts = split(token)
        key = find(parts.header["kid"])
        if key is None or parts.header != {"typ": typ, "alg": key.algorithm, "kid": key.kid}:
            raise NotGenuine
        if not is_signed(parts, key.algorithm, key.key):
            raise NotGenuine
        claims = json.loads(parts.payload.decode())
        # NaN and unpaired surrogates cannot be sent as JSON, and this site never signs them.
        json.dumps(claims, allow_nan=False, ensure_ascii=False).encode()
    except (LookupError, ValueError, TypeError, RecursionError):
        raise NotGenuine from None
    return key, claims


def split(token: str) -> Parts:
    """Split ``token`` into its parts (RFC 7515 section 7.1). Nothing is verified.

    Raises:
        ValueError: ``token`` is malformed.
        RecursionError: its header is nested too deeply.
    """
    signed, _, signature = token.rpartition(".")
    head, payload = signed.split(".")
    header, claims, sealed = map(crypto.canonical, (head, payload, signature))
    return Parts(json.loads(header.decode()), claims, signed.encode(), sealed)


def is_signed(parts: Parts, algorithm: str, key: PublicKey) -> bool:
    """Return whether the signature of a JWT verifies with ``key`` for ``algorithm``."""
    return bool(_algorithms()[algorithm].verify(parts.signed, key, parts.signature))


@cache
def _algorithms() -> dict[str, Any]:
    from jwt.algorithms import get_default_algorithms  # noqa: PLC0415 commands rarely need it

    found: dict[str, Any] = get_default_algorithms()
    # RFC 9864 renames EdDSA to Ed25519.
    return found | {"Ed25519": found["EdDSA"]}


@lru_cache(16)
def _head(kid: str, algorithm: str, typ: str) -> str:
    return crypto.encode(_json({"alg": algorithm, "kid": kid, "typ": typ}).encode())


def _signature(key: Signer, message: bytes) -> bytes:
    if isinstance(key.key, RSAPrivateKey):
        return key.key.sign(message, PKCS1v15(), SHA256())
    if isinstance(key.key, Ed25519PrivateKey):
        return key.key.sign(message)
    # RFC 7518 section 3.4. The conversion in PyJWT takes as long as the signature.
    r, s = decode_dss_signature(key.key.sign(message, _ECDSA))
    return r.to_bytes(32) + s.to_bytes(32)
