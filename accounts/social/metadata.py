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

from accounts.kernel import clock
from accounts.kernel.issuers import origin_of
from accounts.social import outside

LIFE = timedelta(hours=1)
# A provider that can't be reached: what was known of it counts for so long.
LONGEST = timedelta(days=1)
AGAIN = timedelta(seconds=30)
TROUBLE = (requests.RequestException, outside.Unreachable, ValueError)
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

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def get(self, name: str) -> Any:
        """One value, or None."""
        return self.values.get(name)

    def key(self, key_id: str | None, algorithm: str) -> PyJWK:
        """The key that signs as ``key_id``; :class:`Unusable`."""
        now = clock.now()
        age = now - self.keys_at if self.keys_at else LIFE
        if age >= LIFE or (self._pick(key_id) is None and age >= AGAIN):
            self._fetch_keys(now)
        if (key := self._pick(key_id)) is None:
            raise Unusable("unknown key")
        # A key that doesn't say for which is for any that its kind can do.
        return PyJWK(key, algorithm=key.get("alg", algorithm))

    def _fetch_keys(self, now: datetime) -> None:
        """Those that can't be had now are still good that were for the last day."""
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


def of(issuer: str) -> Metadata:
    """What ``issuer`` says of itself. Within :func:`outside.talk`, for it may have to be asked."""
    known, now = _known.get(issuer), clock.now()
    if known and now < (known.again_at or known.at + LIFE):
        return known
    try:
        new = _discover(issuer, now)
    except TROUBLE:
        if known is None or now >= known.at + LONGEST:
            raise
        # Not again by whoever comes next.
        known.again_at = now + AGAIN
        return known
    if known and known["jwks_uri"] == new["jwks_uri"]:
        new.keys, new.keys_at = known.keys, known.keys_at
    _known[issuer] = new
    return new


def reaching(metadata: Metadata) -> AbstractContextManager[object]:
    """Within, requests reach what that provider's may: private addresses only if it's private."""
    return outside.taking_private() if metadata.is_private else nullcontext()


def fetch(metadata: Metadata, url: str, **options: Any) -> Any:
    """The JSON at an endpoint of that provider."""
    with reaching(metadata):
        return _get(url, **options)


def _discover(issuer: str, now: datetime) -> Metadata:
    with outside.taking_private() as conversation:
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
    response = outside.session().get(url, **options)
    response.raise_for_status()
    return response.json()


def _keys(found: Any) -> dict[str, dict[str, Any]]:
    """Those that sign, by their names. Never a symmetric one: it would be known to everybody."""
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list):
        raise Unusable("keys")
    usable = [key for key in keys if isinstance(key, dict) and key.get("kty") != "oct"]
    return {str(key.get("kid", "")): key for key in usable if key.get("use", "sig") == "sig"}
