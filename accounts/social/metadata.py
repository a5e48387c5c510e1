"""What an OpenID Provider says of itself, and its keys: fetched once, kept for an hour.

OpenID Connect Discovery 1.0. A process asks again when a key is missing, at most twice a minute.
"""

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import requests
from jwt import PyJWK

from accounts.common import clock
from accounts.common.issuers import origin_of
from accounts.social import http_client

LIFE = timedelta(hours=1)
# A provider that can't be reached: what was known of it counts for so long.
LONGEST = timedelta(days=1)
AGAIN = timedelta(seconds=30)
TROUBLE = (requests.RequestException, http_client.Unreachable, ValueError)
# Of a key: its public members, and no more. With a private one PyJWT would compute, for as long as
# its numbers are long, and no other thread would go on.
MEMBERS = ("kty", "kid", "use", "alg", "crv", "x", "y", "n", "e")
# In base 64: 8192 bits, and the exponent of FIPS 186-5.
LONGEST_MEMBER, LONGEST_EXPONENT = 1366, 43
LEAST_RSA_BITS = 2048
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Unusable(ValueError):
    """It contradicts itself, or leads where it mustn't."""


@dataclass
class Metadata:
    """What one issuer says, when it was asked, and the keys that were read last."""

    issuer: str
    values: dict[str, Any]
    at: datetime
    # Whether the operator chose an issuer within the own network.
    is_private: bool
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys_at: datetime | None = None
    # When to ask again, after it couldn't be reached.
    again_at: datetime | None = None
    keys_again_at: datetime | None = None

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def get(self, name: str) -> Any:
        """One value, or None."""
        return self.values.get(name)

    def key(self, key_id: str | None, algorithm: str) -> PyJWK:
        """The key that signs as ``key_id`` by ``algorithm``; :class:`Unusable`."""
        if self._wants_keys(key_id, clock.now()):
            self._fetch_keys(clock.now())
        if (key := self._pick(key_id)) is None:
            raise Unusable("unknown key")
        # A key that doesn't say for which is for any that its kind can do.
        if key.get("alg", algorithm) != algorithm:
            raise Unusable("another algorithm")
        made = PyJWK(key, algorithm=algorithm)
        if made.key_type == "RSA" and made.key.key_size < LEAST_RSA_BITS:
            raise Unusable("weak key")
        return made

    def _wants_keys(self, key_id: str | None, now: datetime) -> bool:
        if self.keys_at is None or now >= self.keys_at + LONGEST:
            return True
        if self.keys_again_at and now < self.keys_again_at:
            return False
        age = now - self.keys_at
        return age >= LIFE or (self._pick(key_id) is None and age >= AGAIN)

    def _fetch_keys(self, now: datetime) -> None:
        """Those that can't be had now are still good that were for the last day."""
        # Not again by whoever comes next, also if this one is cut off.
        self.keys_again_at = now + AGAIN
        try:
            self.keys, self.keys_at = _keys(fetch(self, self["jwks_uri"])), now
        except TROUBLE:
            if self.keys_at is None or now >= self.keys_at + LONGEST:
                raise

    def _pick(self, key_id: str | None) -> dict[str, Any] | None:
        # One key needs no name (OpenID Connect Core section 10.1).
        if key_id is None and len(self.keys) == 1:
            return next(iter(self.keys.values()))
        return self.keys.get(key_id or "")


_known: dict[str, Metadata] = {}


def known(issuer: str) -> Metadata | None:
    """What it has said lately, if it has."""
    found = _known.get(issuer)
    return found if found and clock.now() < (found.again_at or found.at + LIFE) else None


def of(issuer: str) -> Metadata:
    """What ``issuer`` says of itself. Within :func:`outside.talk`, for it may have to be asked."""
    if young := known(issuer):
        return young
    old, now = _known.get(issuer), clock.now()
    try:
        new = _discover(issuer, now)
    except TROUBLE:
        if old is None or now >= old.at + LONGEST:
            raise
        # Not again by whoever comes next.
        old.again_at = now + AGAIN
        return old
    if old and old["jwks_uri"] == new["jwks_uri"]:
        new.keys, new.keys_at = old.keys, old.keys_at
    _known[issuer] = new
    return new


def reaching(metadata: Metadata) -> AbstractContextManager[object]:
    """Within, requests reach what that provider's may: private addresses only if it's private."""
    return http_client.taking_private() if metadata.is_private else nullcontext()


def fetch(metadata: Metadata, url: str, **options: Any) -> Any:
    """The JSON at an endpoint of that provider."""
    with reaching(metadata):
        return _get(url, **options)


def _discover(issuer: str, now: datetime) -> Metadata:
    with http_client.taking_private() as conversation:
        values = _get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        is_private = conversation.saw_private
    # Section 4.3: exactly the same, or one issuer could speak for another.
    if not isinstance(values, dict) or values.get("issuer") != issuer:
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
    return Metadata(issuer, values, now, is_private)


def _get(url: str, **options: Any) -> Any:
    response = http_client.session().get(url, **options)
    response.raise_for_status()
    return response.json()


def _keys(found: Any) -> dict[str, dict[str, Any]]:
    """Those that sign, by their names. Never a symmetric one: it would be known to everybody."""
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
