"""Access tokens: signed JWTs (RFC 9068), their signatures and the form of their claims.

Other services verify an access token with the public keys of this site. This site also looks up the
session of the token, and refuses the token as soon as the session is revoked.
"""

import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, override

from django.conf import settings
from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenBackendError, TokenError

from accounts.common import clock, secrets
from accounts.common.config import LONGEST_ACCESS_TOKEN
from accounts.sessions.models import SIGNED_OUT, LoginSession, other_sid
from accounts.tokens import keyring, scopes
from accounts.tokens.keyring import FIRST_ALGORITHM, Verifier
from accounts.tokens.signatures import LONGEST_WITH_GROUPS, SKEW, NotGenuine, sign, verified
from accounts.users.models import User

TYPE = "at+jwt"
# The maximum number of tokens whose verified claims a process caches, about 3 KB each.
MOST_VERIFIED = 4096
TEXTS = ("jti", "sid", "sub", "scope", "client_id")
TIMES = ("iat", "nbf", "exp", "auth_time")


class Backend(TokenBackend):
    """Signs tokens with the current signing key; verifies them with the key that ``kid`` names."""

    @override
    def encode(self, payload: dict[str, Any]) -> str:
        return sign(payload, TYPE, keyring.signer())

    @override
    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """Return the claims of ``token`` if one of this site's keys has signed it.

        ``verify`` is ignored: every token is verified.

        The claims of the last :data:`MOST_VERIFIED` tokens are cached, because clients send a token
        many times. Without the cache, ``GET me/`` takes 2.2 times as long. Cached claims are used
        only while the key that verified them is in the key ring.

        Raises:
            TokenBackendError: the token is malformed, or its signature does not verify.
        """
        key, claims = _verified(token)
        if keyring.find_key(key.kid) is not key:
            _verified.cache_clear()
            key, claims = _verified(token)
        return dict(claims)


@lru_cache(MOST_VERIFIED)
def _verified(token: str) -> tuple[Verifier, dict[str, Any]]:
    try:
        key, claims = verified(token, TYPE)
    except NotGenuine:
        raise TokenBackendError from None
    if not _is_complete(claims):
        raise TokenBackendError
    return key, claims


def _is_complete(claims: Any) -> bool:
    """Return whether ``claims`` has all claims of an access token, with the right types."""
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


# The longest access token that is accepted, in characters. This site issues shorter ones.
LONGEST = 8192


class AccessToken(tokens.AccessToken):
    """A signed JWT that gives access to the API.

    :meth:`issue` returns a new token. ``AccessToken(text)`` parses ``text`` and verifies its
    signature and claims. It does not check whether the session of the token has been revoked;
    ``families.find_family`` does that.

    ``audiences``: the audiences to accept. The default is only this site.
    ``takes_expired``: whether to accept an expired token.

    Raises:
        ExpiredTokenError: the token is genuine but has expired, and ``takes_expired`` is False.
        TokenError: the token is not valid for any other reason.
    """

    _token_backend = Backend(FIRST_ALGORITHM)

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
        client_id: str = "",
        first_at: int | None = None,
    ) -> "AccessToken":
        """Return a new token of ``session`` for ``audience``.

        The token expires after ``ACCESS_TOKEN_SECONDS`` or with its session, whichever is earlier.

        ``client_id``: of the connected app that gets the token; empty for other clients.
        ``first_at``: for an exchange, the Unix time of the first token in the chain of exchanges.
        """
        token, now = cls(), int(clock.now().timestamp())
        ends_at = int(session.expires_at.timestamp())
        token.payload |= {
            "iss": settings.AUTHSITE.origin,
            "sub": str(session.subject),
            "aud": audience,
            "exp": min(now + settings.AUTHSITE.access_token_seconds, ends_at),
            "iat": now,
            "nbf": now,
            "sid": str(session.sid),
            "scope": scopes.written(scope),
            # If the clock was set back, the session may be in the future, but a token must not be.
            "auth_time": min(now, int(session.auth_time.timestamp())),
            "amr": session.amr,
            "acr": session.claimed_acr,
            "client_id": client_id or session.kind,
        }
        if session.dpop_thumbprint:
            token["cnf"] = {"jkt": session.dpop_thumbprint}
        if first_at is not None:
            token["orig_iat"] = first_at
        if scopes.GROUPS in scope:
            token._add_groups(session.user)
        return token

    def _add_groups(self, user: User) -> None:
        self["groups"] = user.group_names
        if len(str(self)) > LONGEST_WITH_GROUPS:
            del self["groups"]
            self["groups_omitted"] = True

    @property
    def expires_in(self) -> int:
        """The lifetime of the token in seconds, from the time at which it was issued."""
        return int(self["exp"] - self["iat"])

    @property
    def first_at(self) -> int:
        """The time at which the first token in the chain of exchanges was issued.

        The time is in seconds since 1970. For a token that was not issued in exchange for another
        one, this is the time at which the token itself was issued.
        """
        return int(self.payload.get("orig_iat", self["iat"]))

    @property
    def subject(self) -> uuid.UUID:
        """The :attr:`LoginSession.subject` of the user whom the token authenticates."""
        return uuid.UUID(self["sub"])

    @property
    def owner(self) -> dict[str, Any]:
        """The arguments with which :func:`families.find_family` finds the session of the token."""
        sid = uuid.UUID(self["sid"])
        is_signed_out = sid.version == SIGNED_OUT
        family = other_sid(sid) if is_signed_out else sid
        return {"id": family, "subject": self.subject, "is_signed_out": is_signed_out}

    @property
    def key(self) -> str:
        """The thumbprint of the key to which the token is bound (RFC 9449 section 6.1).

        It is an empty string if the token is not bound.
        """
        return str(self.payload.get("cnf", {}).get("jkt", ""))

    @property
    def scope(self) -> frozenset[str]:
        """The scopes that the token grants."""
        return frozenset(self["scope"].split())

    @override
    def set_exp(self, *_args: Any, **_options: Any) -> None:
        """Do nothing, because :meth:`issue` sets all times."""

    @override
    def set_iat(self, *_args: Any, **_options: Any) -> None:
        """Do nothing, because :meth:`issue` sets all times."""

    @override
    def set_jti(self) -> None:
        self["jti"] = secrets.token(16)

    @override
    def verify(self) -> None:
        """Check that the claims are valid for this site at this time (RFC 9068 section 4).

        The backend has checked that no claim is missing. ``token_type`` must be ``access``.
        Otherwise a JWT that the same key signed for another purpose would be accepted as an access
        token.

        Raises:
            ExpiredTokenError: the token has expired, but is valid otherwise.
            TokenError: a claim is wrong.
        """
        claims, now = self.payload, clock.now().timestamp()
        is_ours = claims.get("iss") == settings.AUTHSITE.origin
        is_for_here = claims.get("aud") in tuple(self._audiences)
        is_begun = max(claims["iat"], claims["nbf"], claims["auth_time"]) <= now + SKEW
        # No token is issued for a longer time, because its key may not be published after that.
        is_short = claims["exp"] <= claims["iat"] + LONGEST_ACCESS_TOKEN
        is_access = claims.get("token_type") == self.token_type
        if not (is_ours and is_for_here and is_begun and is_short and is_access):
            raise TokenError
        if now >= claims["exp"] and not self._takes_expired:
            raise ExpiredTokenError
