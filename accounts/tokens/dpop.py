"""Proofs that a client holds the key to which its tokens are bound (DPoP, RFC 9449).

A proof is a JWT in the header ``DPoP``, which the client signs for one request. A thief of a token
does not have the key, and so cannot use the token.

Each proof works once, and contains a nonce of this site, so that proofs cannot be made in advance.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from accounts.codes.services import use_once
from accounts.common import clock, crypto, secrets
from accounts.common.errors import PublicError
from accounts.tokens import keys, signatures
from accounts.tokens.signatures import SKEW

TYPE = "dpop+jwt"
# By algorithm: the type and the curve of the key.
KEYS = {
    "ES256": ("EC", "P-256"),
    "RS256": ("RSA", None),
    **dict.fromkeys(("EdDSA", "Ed25519"), ("OKP", "Ed25519")),
}
ALGORITHMS = tuple(KEYS)
# The maximum length of a proof in characters. The longest key, of 8192 bits, takes about half of
# it.
LONGEST = 4096
# The maximum difference in seconds between the clocks. The nonce also limits the age of a proof.
WINDOW = 300
# The number of seconds for which one nonce is sent, and then accepted for the same time again.
NONCE_PERIOD = 300
PORTS = {"http": 80, "https": 443}


class InvalidDpopProof(PublicError):
    """The request needs a proof but has none, or its proof is invalid or was used before.

    ``problem``: a sentence for the developer of the client, in ASCII and without quotes.
    """

    code = "invalid_dpop_proof"
    status = 401
    message = _("The DPoP proof is missing, invalid for this request, or was used before.")

    def __init__(self, problem: str = "The DPoP proof is no JWT, or it lacks a claim.") -> None:
        super().__init__()
        self.problem = problem
        self.www_authenticate = f'Bearer error="{self.code}", error_description="{problem}"'


class NonceRequired(InvalidDpopProof):
    """The proof has no nonce or an old one. The response contains a new nonce (section 8)."""

    code = "use_dpop_nonce"
    message = _("The DPoP proof must have the nonce of the DPoP-Nonce header.")


@dataclass(frozen=True)
class DpopProof:
    """The verified proof of a request. Only :meth:`consume` checks that it was not used before.

    ``thumbprint``: the thumbprint (RFC 7638) of the key that the client has proved to hold; an
        empty string if the request has no proof.
    ``digest``: identifies the proof among all proofs.
    """

    thumbprint: str = ""
    digest: str = ""
    expires_at: datetime = datetime.min

    def consume(self) -> None:
        """Use up the proof. If there is none, do nothing.

        Call this after all other checks, so that strangers cannot cause rows to be stored.

        Raises:
            InvalidDpopProof: the proof was used before.
        """
        if self.thumbprint and not use_once("dpop", self.digest, self.expires_at):
            raise InvalidDpopProof("The DPoP proof was used before.")


def proof_of(request: HttpRequest, token: str = "") -> DpopProof:
    """Verify and return the proof of ``request`` (RFC 9449 section 4.3).

    If there is no header ``DPoP``, return a :class:`DpopProof` with an empty ``thumbprint``.

    ``token``: the access token with which the request is made; empty at endpoints that issue
        tokens.

    Raises:
        NonceRequired: the proof is valid, but does not have a current nonce.
        InvalidDpopProof: the proof is not valid for the request and ``token``.
    """
    text = request.META.get("HTTP_DPOP")
    if text is None:
        return DpopProof()
    try:
        return _read(text, request, token)
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        raise InvalidDpopProof from None


def token_type(key: str) -> str:
    """Return the type of a token: ``DPoP`` if it is bound to a key, else ``Bearer``.

    ``key``: the thumbprint of the key; empty for a token that is not bound.
    """
    return "DPoP" if key else "Bearer"


def complete(request: HttpRequest, response: HttpResponse) -> None:
    """Add the headers that a client with DPoP needs to ``response``.

    If ``request`` has a proof, add the nonce for the next one. If ``response`` asks for credentials
    and the client has sent a DPoP token, ask for DPoP instead of ``Bearer`` (RFC 9449 section 7.1).
    """
    meta = request.META
    if "HTTP_DPOP" in meta:
        response["DPoP-Nonce"] = nonce()
    scheme, _, rest = response.headers.get("WWW-Authenticate", "").partition(" ")
    if scheme == "Bearer" and meta.get("HTTP_AUTHORIZATION", "").lower().startswith("dpop "):
        own = f'algs="{" ".join(ALGORITHMS)}"'
        response["WWW-Authenticate"] = f"DPoP {', '.join(filter(None, (rest, own)))}"


def nonce() -> str:
    """Return the nonce that new proofs must have.

    It is the same for all clients and nodes during :data:`NONCE_PERIOD`, so nothing is stored.
    """
    return _nonces(clock.now().timestamp())[0]


def _read(text: str, request: HttpRequest, token: str) -> DpopProof:
    """Parse and verify the proof ``text``.

    Raises:
        NonceRequired, InvalidDpopProof, and the errors that :func:`proof_of` converts.
    """
    if len(text) > LONGEST:
        raise InvalidDpopProof(f"The DPoP proof has more than {LONGEST} characters.")
    jwt = signatures.split(text)
    algorithm = jwt.header["alg"]
    # Extensions that ``crit`` names must be supported (RFC 7515 section 4.1.11).
    if jwt.header["typ"] != TYPE or "crit" in jwt.header or algorithm not in ALGORITHMS:
        names = " or ".join(ALGORITHMS)
        raise InvalidDpopProof(f"The header must have the typ {TYPE}, the alg {names}, no crit.")
    jwk = _public(jwt.header["jwk"], algorithm)
    if not signatures.is_signed(jwt, algorithm, keys.checked_public_key(jwk)):
        raise InvalidDpopProof("The signature is not one of the key in the header jwk.")
    claims = json.loads(jwt.payload)
    _check(claims, request, token)
    key = keys.thumbprint(jwk)
    digest = sha256(f"{key}.{claims['jti']}".encode()).hexdigest()
    expires_at = datetime.fromtimestamp(claims["iat"] + WINDOW + SKEW, UTC)
    return DpopProof(key, digest, expires_at)


def _public(jwk: dict[str, Any], algorithm: str) -> keys.Jwk:
    """Return the members of the public key ``jwk``, which must be for ``algorithm``.

    Raises:
        InvalidDpopProof: the key is for another algorithm, or has a private half.
    """
    kind, curve = KEYS[algorithm]
    if keys.SECRET_MEMBERS & jwk.keys() or jwk["kty"] != kind or jwk.get("crv") != curve:
        raise InvalidDpopProof(f"The header jwk must be a public key for {algorithm}.")
    members = {name: jwk[name] for name in keys.MEMBERS[kind]}
    if not all(isinstance(value, str) for value in members.values()):
        raise InvalidDpopProof("The members of the header jwk must be texts.")
    return members


def _check(claims: dict[str, Any], request: HttpRequest, token: str) -> None:
    """Require that the proof with ``claims`` was made now, for this request and ``token``.

    Raises:
        NonceRequired, InvalidDpopProof: see :func:`proof_of`.
    """
    now = clock.now().timestamp()
    is_for_here = claims["htm"] == request.method and _normalized(claims["htu"]) == _normalized(
        settings.AUTHSITE.origin + request.path
    )
    is_new = type(claims["iat"]) is int and abs(int(now) - claims["iat"]) <= WINDOW
    is_named = isinstance(claims["jti"], str) and claims["jti"] != ""
    # A proof that was made for one token must not be used with another one (section 11.7).
    digest = crypto.encode(sha256(token.encode()).digest())
    is_for_token = not token or claims["ath"] == digest
    problems = {
        "The htm and htu must be the method and the URL of this request.": is_for_here,
        f"The iat must differ by at most {WINDOW} seconds from the time here.": is_new,
        "The jti must be a text.": is_named,
        "The ath must be the hash of the access token.": is_for_token,
    }
    for problem, is_right in problems.items():
        if not is_right:
            raise InvalidDpopProof(problem)
    accepted = [good for at in (now, now - NONCE_PERIOD, now + SKEW) for good in _nonces(at)]
    if claims.get("nonce") not in accepted:
        raise NonceRequired("The nonce must be that of the header DPoP-Nonce.")


def _normalized(url: str) -> tuple[str, str | None, str | None, int | None, str]:
    """Return the parts of ``url`` that are compared (RFC 3986 sections 6.2.2 and 6.2.3).

    The query and the fragment are ignored (section 4.3).
    """
    parts = urlsplit(url)
    port = PORTS.get(parts.scheme) if parts.port is None else parts.port
    return parts.scheme, parts.username, parts.hostname, port, unquote(parts.path) or "/"


def _nonces(at: float) -> list[str]:
    """Return the nonces for the time ``at``: one for each ``SECRET_KEY``, the newest first."""
    macs = secrets.macs(str(int(at) // NONCE_PERIOD), "dpop.nonce")
    return [crypto.encode(mac) for mac in macs]
