"""Access tokens: signed JWTs (RFC 9068).

Other services verify an access token with the public keys of this site. This site also looks up the
session of the token, and refuses the token as soon as the session is revoked.
"""

import base64
import json
import uuid
from collections.abc import Iterable
from hashlib import sha256
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
from accounts.tokens.signing_keys import FIRST_ALGORITHM, Verifier
from accounts.users.models import User

TYPE = "at+jwt"
# The longest access token that is accepted, in characters. This site issues shorter ones.
LONGEST = 8192
# The most tokens whose claims a process keeps after it has verified them. Each takes about 2 KB.
MOST_VERIFIED = 4096
# The longest token that may list the groups of its user, in characters. A user may be in any number
# of groups, but proxies and servers refuse headers over 8 KiB.
LONGEST_WITH_GROUPS = 4096
# The seconds by which the clocks of two nodes may differ. The start of a token's validity has this
# tolerance, its end has none.
SKEW = 10
TEXTS = ("jti", "sid", "sub", "scope", "client_id")
TIMES = ("iat", "nbf", "exp", "auth_time")

_algorithms = get_default_algorithms()


def be_ready() -> None:
    """Load the signing key, so that :meth:`AccessToken.issue` cannot fail later.

    Call this before a code, a refresh token or a challenge is used up.

    Raises:
        CannotSign: the signing key cannot be decrypted.
    """
    keyring.signer()


class Backend(TokenBackend):
    """Signs tokens with the current signing key; verifies them with the key that `kid` names."""

    def __init__(self) -> None:
        super().__init__(FIRST_ALGORITHM)
        self._verified: dict[bytes, tuple[Verifier, dict[str, Any]]] = {}

    @override
    def encode(self, payload: dict[str, Any]) -> str:
        key = keyring.signer()
        header = {"typ": TYPE, "kid": key.kid}
        return jwt.encode(payload, key.key, algorithm=key.algorithm, headers=header)

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


class AccessToken(tokens.AccessToken):
    """A signed JWT that gives access to the API.

    ``AccessToken()`` is a new token. ``AccessToken(text)`` parses ``text`` and verifies its
    signature and claims. It does not check whether the session of the token has been revoked;
    ``families.find`` does that.

    ``audiences``: the audiences to accept. The default is only this site.
    ``takes_expired``: whether to accept an expired token.

    Raises:
        ExpiredTokenError: the token is genuine but has expired, and ``takes_expired`` is False.
        TokenError: the token is not valid for any other reason.
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
        """Return a new token of ``session`` for ``audience``.

        The token expires after ``ACCESS_TOKEN_SECONDS`` or with its session, whichever comes first.

        ``first_at``: the time at which the first token in a chain of exchanges was issued, in
            seconds since 1970. Pass it only if the token is issued in exchange for another one.
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
            # If the clock was set back, the session is from the future, and a token must not be.
            "auth_time": min(now, int(session.auth_time.timestamp())),
            "amr": session.amr,
            "acr": session.acr,
            "client_id": session.client_id or session.kind,
        }
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
        """The lifetime of the token in seconds, counted from when it was issued."""
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
        """The id of the user whom the token authenticates."""
        return uuid.UUID(self["sub"])

    @property
    def sid(self) -> uuid.UUID:
        """The id of the session that the token belongs to."""
        return uuid.UUID(self["sid"])

    @property
    def scope(self) -> frozenset[str]:
        """The scopes that the token grants."""
        return frozenset(self["scope"].split())

    @override
    def set_jti(self) -> None:
        self["jti"] = secrets.token(16)

    @override
    def verify(self) -> None:
        """Check that the claims are valid here and now (RFC 9068 section 4).

        The backend has checked that none is missing. ``token_type`` must be ``access``. Otherwise a
        JWT that the same key signed for another purpose would be accepted as an access token.

        Raises:
            ExpiredTokenError: the token has expired, but is valid otherwise.
            TokenError: a claim is wrong.
        """
        claims, now = self.payload, clock.now().timestamp()
        is_ours = claims.get("iss") == settings.AUTHSITE.origin
        is_for_here = claims.get("aud") in tuple(self._audiences)
        is_begun = max(claims["iat"], claims["nbf"], claims["auth_time"]) <= now + SKEW
        # No token is issued for longer, because its key may not be published after that time.
        is_short = claims["exp"] <= claims["iat"] + LONGEST_ACCESS_TOKEN
        is_access = claims.get("token_type") == self.token_type
        if not (is_ours and is_for_here and is_begun and is_short and is_access):
            raise TokenError
        if now >= claims["exp"] and not self._takes_expired:
            raise ExpiredTokenError


def _bytes(part: str) -> bytes:
    """Decode one part of a token from base64url (RFC 7515 section 2).

    Raises:
        ValueError: the part is not canonical base64url.
    """
    decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != part:
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
