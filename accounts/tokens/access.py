"""Access tokens: signed JWTs (RFC 9068) that anybody can verify, and that this site lets die at
once."""

import base64
import json
import uuid
from collections.abc import Iterable
from typing import Any, override

import jwt
from django.conf import settings
from jwt.algorithms import get_default_algorithms
from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import (
    ExpiredTokenError,
    TokenBackendError,
    TokenError,
)

from accounts.common import clock, secrets
from accounts.common.config import LONGEST_ACCESS_TOKEN
from accounts.sessions.models import LoginSession
from accounts.tokens import keyring, scopes

TYPE = "at+jwt"
# No token of ours is longer, and nothing longer is looked at.
LONGEST = 8192
# Proxies and servers take headers of 8 KiB; a person may be in any number of groups.
LONGEST_WITH_GROUPS = 4096
# The clocks of two nodes, apart at most. Only for the begin of a token's life, never for its end.
SKEW = 10
TEXTS = ("jti", "sid", "sub", "scope", "client_id")
TIMES = ("iat", "nbf", "exp", "auth_time")

_algorithms = get_default_algorithms()


def be_ready() -> None:
    """Have what signs at hand; ``ring.CannotSign``."""
    keyring.signer()


class Backend(TokenBackend):
    """Signs with the ring's signing key, verifies with the one that the header names."""

    def __init__(self) -> None:
        super().__init__(settings.AUTHSITE.token_algorithm)

    @override
    def encode(self, payload: dict[str, Any]) -> str:
        """``payload`` as a signed token."""
        key = keyring.signer()
        header = {"typ": TYPE, "kid": key.kid}
        return jwt.encode(payload, key.key, algorithm=key.algorithm, headers=header)

    @override
    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """The claims of a token that one of our keys has signed; ``TokenBackendError``.

        The header is exactly what we write there: no ``crit``, ``jku``, ``x5u`` or ``jwk`` is ever
        looked at (RFC 8725 section 3.10), and the key decides the algorithm, not the token
        (section 3.1). ``verify`` changes nothing: an unverified token is worth nothing. PyJWT's
        own reading of a token goes through its text character by character, twice: that took a
        third of the time of a call, so only the algorithms are PyJWT's.
        """
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
            # What can't be answered as JSON, as NaN or half a surrogate pair, was never ours.
            json.dumps(claims, allow_nan=False, ensure_ascii=False).encode()
        except (LookupError, ValueError, TypeError, RecursionError):
            raise TokenBackendError from None
        if not isinstance(claims, dict):
            raise TokenBackendError
        return claims


class AccessToken(tokens.AccessToken):
    """One access token, new or as it was shown.

    ``AccessToken(text)`` is a good one of this site for one of ``audiences`` (by default this site
    itself), or ``TokenError``. If it has only expired, that is ``ExpiredTokenError``, or with
    ``takes_expired`` no error. That its sign-in is still alive is for the database to say.
    """

    _token_backend = Backend()

    def __init__(
        self,
        token: Any = None,
        verify: bool = True,
        *,
        audiences: Iterable[str] | None = None,
        takes_expired: bool = False,
    ) -> None:
        self._audiences = audiences or (settings.AUTHSITE.origin,)
        self._takes_expired = takes_expired
        if token is not None and len(token) > LONGEST:
            raise TokenError
        super().__init__(token, verify)

    @classmethod
    def issue(
        cls,
        session: LoginSession,
        audience: str,
        scope: frozenset[str],
        *,
        first_at: int | None = None,
    ) -> "AccessToken":
        """Return a token of ``session`` that lives for ``ACCESS_TOKEN_SECONDS`` at most.

        It never outlives its session. ``first_at`` is when the first token was issued of those
        that were exchanged for this one, in seconds since 1970.
        """
        now = int(clock.now().timestamp())
        ends_at = int(min(session.idle_at, session.ends_at).timestamp())
        token = cls()
        token.payload |= {
            "iss": settings.AUTHSITE.origin,
            "sub": str(session.user_id),
            "aud": audience,
            "exp": min(now + settings.AUTHSITE.access_token_seconds, ends_at),
            "iat": now,
            "nbf": now,
            "sid": str(session.pk),
            "scope": scopes.written(scope),
            "auth_time": int(session.auth_time.timestamp()),
            "amr": session.amr,
            "acr": session.acr,
            "client_id": session.kind,
        }
        if first_at is not None:
            token["orig_iat"] = first_at
        if scopes.GROUPS in scope:
            token["groups"] = session.user.group_names
            if len(str(token)) > LONGEST_WITH_GROUPS:
                del token["groups"]
                token["groups_omitted"] = True
        return token

    @property
    def expires_in(self) -> int:
        """The seconds that a new one lives."""
        return int(self["exp"] - self["iat"])

    @property
    def first_at(self) -> int:
        """When the first token was issued of those that were exchanged for this one, or this."""
        return int(self.payload.get("orig_iat", self["iat"]))

    @property
    def subject(self) -> uuid.UUID:
        """The id of the person."""
        return uuid.UUID(self["sub"])

    @property
    def sid(self) -> uuid.UUID:
        """The id of the sign-in."""
        return uuid.UUID(self["sid"])

    @property
    def scope(self) -> frozenset[str]:
        """What it may be used for."""
        return frozenset(self["scope"].split())

    @override
    def set_jti(self) -> None:
        """An id from our own source of randomness."""
        self["jti"] = secrets.token(16)

    @override
    def verify(self) -> None:
        """``TokenError`` unless every claim is there, of its type, and right (RFC 9068 section 4).

        By the site's own clock. Whatever one of our keys signs for another purpose isn't one.
        """
        claims, now = self.payload, clock.now().timestamp()
        is_whole = all(isinstance(claims.get(name), str) for name in TEXTS) and all(
            type(claims.get(name)) is int for name in TIMES
        )
        is_whole = is_whole and type(claims.get("orig_iat", 0)) is int
        if not is_whole or not (_is_id(claims["sub"]) and _is_id(claims["sid"])):
            raise TokenError
        is_ours = claims.get("iss") == settings.AUTHSITE.origin
        is_for_here = claims.get("aud") in tuple(self._audiences)
        is_begun = max(claims["iat"], claims["nbf"], claims["auth_time"]) <= now + SKEW
        # None is made to live longer, and its key is gone from the ring after that.
        is_short = claims["exp"] <= claims["iat"] + LONGEST_ACCESS_TOKEN
        is_access = claims.get("token_type") == self.token_type
        if not (is_ours and is_for_here and is_begun and is_short and is_access):
            raise TokenError
        if now >= claims["exp"] and not self._takes_expired:
            raise ExpiredTokenError


def _bytes(part: str) -> bytes:
    """What a part of a token spells. One spelling only (RFC 7515 section 2); ``ValueError``."""
    spelt = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(spelt).rstrip(b"=").decode() != part:
        raise ValueError("not as base64url is written")
    return spelt


def _is_id(text: str) -> bool:
    """Whether it's an id as we write it: nothing else is looked for in the database."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
