"""Which sites may vouch for people: those with credentials in the settings, and no others."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

# Where each sends people to sign in: the first is its authorization endpoint's, the others are
# where that may send them on to. Chromium holds a form's redirects against form-action, too.
ORIGINS = {
    "google": ("https://accounts.google.com",),
    "github": ("https://github.com",),
    "facebook": ("https://www.facebook.com", "https://m.facebook.com"),
    "twitter_oauth2": ("https://x.com", "https://twitter.com"),
}
NAMES = {"google": "Google", "github": "GitHub", "facebook": "Facebook", "twitter_oauth2": "X"}
# What their settings begin with, where that isn't the key.
PREFIXES = {"twitter_oauth2": "twitter"}
GOOGLE = "https://accounts.google.com"
# Whose subjects their people are.
ISSUERS = {
    "google": GOOGLE,
    "github": "https://github.com",
    "facebook": "https://www.facebook.com",
    "twitter_oauth2": "https://x.com",
}
LONGEST_ISSUER = 255
_REQUIRED = ("id", "name", "issuer", "client_id", "client_secret")


@dataclass(frozen=True)
class Issuer:
    """A site that vouches for people: an OpenID Provider, or one that has an API of its own.

    ``key`` is its part of our addresses, ``name`` what people call it. ``issuer``: whose the
    subjects are that it names. ``origins``: where its pages are. ``tells_when``: it lets people
    sign in anew when asked to, and says when they did.
    """

    key: str
    name: str
    client_id: str
    client_secret: str = field(repr=False)
    issuer: str
    origins: tuple[str, ...] = ()
    tells_when: bool = False

    @property
    def logo(self) -> str:
        """The static file of its mark; empty where none is known."""
        return f"providers/{self.key}.svg" if self.key in NAMES else ""


def known(config: Any) -> Iterator[Issuer]:
    """Those of them that ``config`` has credentials for."""
    for key, name in NAMES.items():
        client_id, secret = _credentials(config, key).values()
        if client_id and secret:
            yield Issuer(key, name, client_id, secret, ISSUERS[key], ORIGINS[key])


def faults(config: Any) -> Iterator[tuple[bool, str]]:
    """Of each thing that may be wrong with them in ``config``: whether it is, and a sentence."""
    is_plain = any(provider.issuer.startswith("http:") for provider in config.oidc_providers)
    yield is_plain and not config.development, "OIDC_PROVIDERS: an issuer is not https"
    for key in NAMES:
        given = _credentials(config, key)
        for name, value in given.items():
            yield any(given.values()) and not value, f"{name.upper()} is missing"


def _credentials(config: Any, key: str) -> dict[str, str]:
    prefix = PREFIXES.get(key, key)
    names = (f"{prefix}_client_id", f"{prefix}_client_secret")
    return {name: getattr(config, name) for name in names}


def openid_providers(text: str) -> tuple[Issuer, ...]:
    """A reader of ``OIDC_PROVIDERS``: a JSON list; ``ValueError`` says what's wrong, no secret."""
    try:
        entries = json.loads(text)
    except ValueError:
        entries = None
    if not isinstance(entries, list):
        raise ValueError("is a JSON list of objects")  # noqa: TRY004 as readers do
    issuers = tuple(_openid_provider(entry) for entry in entries)
    if len({issuer.key for issuer in issuers}) < len(issuers):
        raise ValueError("has an id twice")
    return issuers


def _openid_provider(entry: Any) -> Issuer:
    if not isinstance(entry, dict) or not all(_is_text(entry.get(name)) for name in _REQUIRED):
        raise ValueError(f"has an entry without one of {', '.join(_REQUIRED)}")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", entry["id"]):
        raise ValueError("has an id that is not of a-z, 0-9 and -, at most 40")
    if not _is_issuer(entry["issuer"]):
        raise ValueError(f"{entry['id']}: the issuer is no https address without query or fragment")
    if entry["issuer"] in ISSUERS.values():
        # What is special about it would be missing, and its people would be that one's.
        raise ValueError(f"{entry['id']}: that issuer has settings of its own")
    further = entry.get("origins", [])
    if not isinstance(further, list) or not all(map(_is_origin, further)):
        raise ValueError(f"{entry['id']}: origins is a list such as https://login.example.org")
    return Issuer(
        f"oidc/{entry['id']}",
        entry["name"],
        entry["client_id"],
        entry["client_secret"],
        entry["issuer"],
        (origin_of(entry["issuer"]), *further),
        tells_when=True,
    )


def origin_of(url: str) -> str:
    """Its scheme, host and port; ``ValueError`` if it has none.

    It becomes a part of a policy (CSP): a semicolon or an asterisk would be one of its own words.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is no address of the web")
    if not re.fullmatch(r"[a-z0-9._:\[\]-]+", parts.netloc.lower()):
        raise ValueError("has no host that can be")
    if parts.port == 0:  # beyond 65535 it has raised itself
        raise ValueError("has no port 0")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 2000 and value.isprintable()


def _is_origin(value: Any) -> bool:
    try:
        return _is_text(value) and origin_of(value) == value.lower()
    except ValueError:
        return False


def _is_issuer(url: str) -> bool:
    """As OpenID Connect Discovery 1.0 section 3 has it; plain http is for `faults` to judge."""
    try:
        return (
            len(url) <= LONGEST_ISSUER
            and bool(origin_of(url))
            and re.fullmatch(r"[!-~]+", url) is not None
            and not set("?#;'\"") & set(url)
        )
    except ValueError:
        return False
