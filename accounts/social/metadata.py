"""The metadata and public keys of OpenID Providers, cached for an hour.

See OpenID Connect Discovery 1.0. If an ID token names an unknown key, the keys are fetched again,
but at most every 30 seconds in each process.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import requests
from jwt import PyJWK

from accounts.common import clock, http_client
from accounts.common.issuers import origin_of

LIFE = timedelta(hours=1)
# The maximum age of cached metadata and keys while a provider is unreachable.
LONGEST = timedelta(days=1)
AGAIN = timedelta(seconds=30)
TROUBLE = (requests.RequestException, http_client.Unreachable, ValueError)
# The public members of a JWK; all others are removed. PyJWT would compute a private key from
# private members, which blocks the other threads for a long time if the numbers are long.
MEMBERS = ("kty", "kid", "use", "alg", "crv", "x", "y", "n", "e", "issuer")
# The base64 lengths of a number of 8192 bits and of the largest exponent in FIPS 186-5.
LONGEST_MEMBER, LONGEST_EXPONENT = 1366, 43
LEAST_RSA_BITS = 2048
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Unusable(ValueError):
    """The metadata or the keys of a provider are inconsistent, unsafe or incomplete."""


@dataclass
class Cached[T]:
    """The cached result of ``fetch``, which is fetched again after an hour.

    While it cannot be fetched, the cached result is used for up to a day.
    """

    fetch: Callable[[], T]
    value: T | None = None
    at: datetime | None = None
    # After a failure, the time before which it is not fetched again.
    again_at: datetime | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether the value may be used without fetching it again."""
        if self.at is None:
            return False
        until, span = (self.again_at, AGAIN) if self.again_at else (self.at + LIFE, LIFE)
        return not clock.is_past(until, span)

    @property
    def is_renewable(self) -> bool:
        """Whether the last attempt to fetch the value was at least 30 seconds ago."""
        again_at = self.again_at or (self.at + AGAIN if self.at else None)
        return again_at is None or clock.is_past(again_at, AGAIN)

    def get(self) -> T:
        """Return the value; fetch it if it is missing or outdated.

        Raises:
            RequestException, Unreachable, ValueError: the value cannot be fetched, and the
                cached value is missing or older than a day.
        """
        return cast(T, self.value) if self.is_fresh else self.renew()

    def renew(self) -> T:
        """Fetch the value and return it.

        Raises:
            RequestException, Unreachable, ValueError: see :meth:`get`.
        """
        now = clock.now()
        # This comes first, so that no other request fetches the value until then, even if this
        # request is aborted.
        self.again_at = now + AGAIN
        try:
            self.value, self.at, self.again_at = self.fetch(), now, None
        except TROUBLE:
            if self.at is None or now >= self.at + LONGEST:
                raise
        return cast(T, self.value)


class Metadata(dict[str, Any]):
    """The metadata of one issuer, and its keys.

    ``is_private``: whether the issuer has a private IP address. If so, its other endpoints may have
        one, too.
    """

    def __init__(self, values: dict[str, Any], *, is_private: bool) -> None:
        super().__init__(values)
        self.is_private = is_private
        self.jwks = Cached(lambda: _keys(fetch(self, self["jwks_uri"])))

    def key(self, key_id: str | None, algorithm: str) -> PyJWK:
        """Return the public key with this ``kid`` for ``algorithm``; fetch the keys if needed.

        Raises:
            Unusable: the key is unknown, for another algorithm, or too weak.
            RequestException, Unreachable, ValueError: see :meth:`Cached.get`.
        """
        key = _pick(self.jwks.get(), key_id)
        if key is None and self.jwks.is_renewable:
            key = _pick(self.jwks.renew(), key_id)
        if key is None:
            raise Unusable("unknown key")
        # A key without ``alg`` may be used with every algorithm of its type.
        if key.get("alg", algorithm) != algorithm:
            raise Unusable("another algorithm")
        made = PyJWK(key, algorithm=algorithm)
        if made.key_type == "RSA" and made.key.key_size < LEAST_RSA_BITS:
            raise Unusable("weak key")
        return made

    def issuer_of(self, key_id: str | None) -> str:
        """Return the issuer that the key with this ``kid`` names (Microsoft), or this issuer."""
        key = _pick(self.jwks.get(), key_id) or {}
        return str(key.get("issuer", self["issuer"]))


def _pick(keys: dict[str, dict[str, Any]], key_id: str | None) -> dict[str, Any] | None:
    # Without a ``kid``, the only key is used (OpenID Connect Core section 10.1).
    if key_id is None and len(keys) == 1:
        return next(iter(keys.values()))
    return keys.get(key_id or "")


_known: dict[str, Cached[Metadata]] = {}


def cached(issuer: str) -> Metadata | None:
    """Return the cached metadata of ``issuer``, or None if it is missing or outdated."""
    found = _known.get(issuer)
    return found.value if found and found.is_fresh else None


def of(issuer: str, named: str = "") -> Metadata:
    """Return the metadata of ``issuer``; fetch it if the cached copy is missing or outdated.

    ``named``: the issuer that the metadata names, if it differs from ``issuer``.

    Call this within :func:`http_client.talk`.

    Raises:
        RequestException, Unreachable, ValueError: see :meth:`Cached.get`.
    """
    return _known.setdefault(issuer, Cached(lambda: _discover(issuer, named))).get()


def reaching(metadata: Metadata) -> AbstractContextManager[object]:
    """Return a context manager in which this site may call the endpoints in ``metadata``.

    If the issuer has a private IP address, requests in the context may go to private IP addresses.
    All other requests may not.
    """
    return http_client.taking_private() if metadata.is_private else nullcontext()


def fetch(metadata: Metadata, url: str, **options: Any) -> Any:
    """Request ``url``, an endpoint of ``metadata``, and return the parsed JSON response."""
    with reaching(metadata):
        return _get(url, **options)


def _discover(issuer: str, named: str) -> Metadata:
    with http_client.taking_private() as conversation:
        values = _get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        is_private = conversation.saw_private
    # The issuer must match exactly, or one issuer could impersonate another (Discovery section
    # 4.3).
    if not isinstance(values, dict) or values.get("issuer") != (named or issuer):
        raise Unusable("another issuer")
    scheme = issuer.partition(":")[0]
    endpoints = {name: values.get(name) for name in ENDPOINTS}
    if "userinfo_endpoint" in values:
        endpoints["userinfo_endpoint"] = values["userinfo_endpoint"]
    for name, url in endpoints.items():
        if not isinstance(url, str) or not re.fullmatch(r"[!-~]{1,2000}", url):
            raise Unusable(name)
        if "#" in url or origin_of(url).partition(":")[0] not in {"https", scheme}:
            raise Unusable(name)
    new, old = Metadata(values, is_private=is_private), _known[issuer].value
    if old and old["jwks_uri"] == new["jwks_uri"]:
        new.jwks.value, new.jwks.at = old.jwks.value, old.jwks.at
    return new


def _get(url: str, **options: Any) -> Any:
    response = http_client.session().get(url, **options)
    response.raise_for_status()
    return response.json()


def _keys(found: Any) -> dict[str, dict[str, Any]]:
    """Return the signing keys of a JWK set by their ``kid``, without symmetric keys.

    Everyone who can read the set would know a symmetric key, and could sign with it.
    """
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list):
        raise Unusable("keys")
    public = [{name: key[name] for name in MEMBERS if name in key} for key in keys if _is_ours(key)]
    return {str(key.get("kid", "")): key for key in public}


def _is_ours(key: Any) -> bool:
    if not isinstance(key, dict) or key.get("kty") == "oct" or key.get("use", "sig") != "sig":
        return False
    lengths = {name: len(str(key.get(name, ""))) for name in ("n", "e", "x", "y")}
    return max(lengths.values()) <= LONGEST_MEMBER and lengths["e"] <= LONGEST_EXPONENT
