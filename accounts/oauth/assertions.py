"""Authenticates clients by a JWT that they sign: ``private_key_jwt`` (RFC 7523 sections 2.2 and 3).

See also OpenID Connect Core section 9. The audience must be the issuer alone, as FAPI 2.0 and
draft-ietf-oauth-rfc7523bis require. If the URL of an endpoint were accepted, a malicious server
could publish that URL as its own, and use at this site the assertions that clients then send to it.
"""

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from django.conf import settings

from accounts.codes.once import use_once
from accounts.common import clock
from accounts.oauth import client_keys, clients, fetched_keys
from accounts.oauth.models import Client
from accounts.tokens import signatures
from accounts.tokens.access import SKEW
from accounts.tokens.signatures import Parts

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# The seconds for which an assertion is valid at most. Its ``jti`` is stored until then.
LIFE = 300
# The types of a JWT in its header, in lower case. Clients sign other JWTs with the same key, such
# as proofs for DPoP, and nobody may use those to authenticate.
JWT_TYPES = ("jwt", "client-authentication+jwt")


def authenticate(text: str, client_id: str | None) -> Client | None:
    """Return the enabled client that has signed the assertion ``text``, and use ``text`` up.

    Return None if the assertion is not valid, was used before, or is from a client other than
    ``client_id``. ``client_id`` is None if the request does not have it.

    Raises:
        Busy: see :func:`fetched_keys.has_signed`.
    """
    try:
        parts = signatures.split(text)
        claims = json.loads(parts.payload)
        subject = claims["sub"]
        if client_id not in (None, subject) or not subject.isprintable():
            return None
        client = clients.find_with_keys(subject)
        # The signature comes last, because its check may fetch keys.
        if client is None or not _is_valid(claims) or not _is_signed(parts, client):
            return None
        digest = sha256(json.dumps([subject, claims["jti"]]).encode()).hexdigest()
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    # Keep the record longer than the assertion: the clock of another node may be behind.
    expires_at = datetime.fromtimestamp(claims["exp"] + SKEW, UTC)
    return client if use_once("assertion", digest, expires_at) else None


def _is_signed(parts: Parts, client: Client) -> bool:
    # Extensions that ``crit`` names must be understood (RFC 7515 section 4.1.11).
    if "crit" in parts.header or parts.header.get("typ", "JWT").lower() not in JWT_TYPES:
        return False
    if client.jwks is None:
        return fetched_keys.has_signed(client, parts)
    return client_keys.is_signed_by(client.jwks, parts)


def _is_valid(claims: dict[str, Any]) -> bool:
    """Return whether the assertion with ``claims`` is for this site and valid now.

    Raises:
        LookupError, TypeError: a claim is missing or has another type.
    """
    now, issuer = clock.now().timestamp(), settings.AUTHSITE.origin
    return (
        claims["iss"] == claims["sub"]
        and claims["aud"] in (issuer, [issuer])
        and now < claims["exp"] <= now + LIFE + SKEW
        and all(claims.get(name, now) <= now + SKEW for name in ("iat", "nbf"))
        and isinstance(claims["jti"], str)
        and claims["jti"] != ""
    )
