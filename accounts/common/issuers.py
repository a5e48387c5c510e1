"""The identity providers that people can sign in with, and the settings that enable them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from accounts.common.setting_parsers import from_json, setting

# The origins of each provider's sign-in pages: first the authorization endpoint, then the pages to
# which it may redirect. Chromium also applies ``form-action`` to redirects that follow a form.
ORIGINS = {
    "google": ("https://accounts.google.com",),
    "github": ("https://github.com",),
    "facebook": ("https://www.facebook.com", "https://m.facebook.com"),
    "twitter_oauth2": ("https://x.com", "https://twitter.com"),
}
NAMES = {"google": "Google", "github": "GitHub", "facebook": "Facebook", "twitter_oauth2": "X"}
# The prefix of the names of a provider's settings, if it differs from the provider's key.
PREFIXES = {"twitter_oauth2": "twitter"}
# The issuer under which each provider's user ids are stored.
ISSUERS = {key: first for key, (first, *_others) in ORIGINS.items()}
GOOGLE = ISSUERS["google"]
LONGEST_ISSUER = 255
_REQUIRED = ("id", "name", "issuer", "client_id", "client_secret")


@dataclass(frozen=True)
class Issuer:
    """An identity provider: an OpenID Provider, or a site with its own sign-in API.

    Attributes:
        key: the part of this site's URLs that names the provider.
        name: the name that people see.
        issuer: the issuer under which the provider's user ids are stored.
        origins: the origins of the provider's sign-in pages.
        tells_when: whether the provider reauthenticates people on request and reports the time.
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
        """The path of the static file with the provider's logo, or empty if there is none."""
        return f"providers/{self.key}.svg" if self.key in NAMES else ""


def configured_issuers(config: Any) -> Iterator[Issuer]:
    """Yield the built-in providers for which ``config`` has credentials."""
    for key, name in NAMES.items():
        client_id, secret = _credentials(config, key).values()
        if client_id and secret:
            yield Issuer(key, name, client_id, secret, ISSUERS[key], ORIGINS[key])


def faults(config: Any) -> Iterator[str]:
    """Yield a sentence for each problem of the provider settings in ``config``."""
    is_plain = any(provider.issuer.startswith("http:") for provider in config.oidc_providers)
    if is_plain and not config.development:
        yield "OIDC_PROVIDERS: an issuer is not https"
    for key in NAMES:
        given = _credentials(config, key)
        if any(given.values()):
            yield from (f"{name.upper()} is missing" for name, value in given.items() if not value)


def _credentials(config: Any, key: str) -> dict[str, str]:
    prefix = PREFIXES.get(key, key)
    names = (f"{prefix}_client_id", f"{prefix}_client_secret")
    return {name: getattr(config, name) for name in names}


def openid_providers(text: str) -> tuple[Issuer, ...]:
    """Return the providers in ``text``, the JSON list of the setting ``OIDC_PROVIDERS``.

    Raises:
        ValueError: the list is invalid; the message says why and contains no secret.
    """
    issuers = tuple(map(_openid_provider, from_json(text, list, "is a JSON list of objects")))
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
        # A built-in provider needs special handling. A second entry for its issuer would lack that
        # handling, but share the stored user ids.
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
    """Return the origin of ``url``: its scheme, host and port.

    The origin becomes part of a Content Security Policy, so characters that have a meaning in a
    policy, such as the semicolon and the asterisk, are refused.

    Raises:
        ValueError: ``url`` is not an HTTP URL, or its host or port is invalid.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is no address of the web")
    if not re.fullmatch(r"[a-z0-9._:\[\]-]+", parts.netloc.lower()):
        raise ValueError("has no host that can be")
    if parts.port == 0:  # ``parts.port`` raises for ports above 65535
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
    """Return whether ``url`` is a valid issuer (OpenID Connect Discovery 1.0 section 3).

    Plain HTTP is accepted here; :func:`faults` refuses it in production.
    """
    try:
        return (
            len(url) <= LONGEST_ISSUER
            and bool(origin_of(url))
            and re.fullmatch(r"[!-~]+", url) is not None
            and not set("?#;'\"") & set(url)
        )
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class ProviderSettings:
    """The part of the settings that enables providers."""

    google_client_id: str = setting(
        "Sign in with Google. A provider is enabled by its ID and secret; its redirect URI is "
        "`ORIGIN/accounts/google/login/callback/`, and likewise `github`, `facebook`, "
        "`twitter_oauth2`."
    )
    google_client_secret: str = setting("The secret of GOOGLE_CLIENT_ID.", secret=True)
    github_client_id: str = setting("Sign in with GitHub.")
    github_client_secret: str = setting("The secret of GITHUB_CLIENT_ID.", secret=True)
    facebook_client_id: str = setting("Sign in with Facebook.")
    facebook_client_secret: str = setting("The secret of FACEBOOK_CLIENT_ID.", secret=True)
    twitter_client_id: str = setting("Sign in with X.")
    twitter_client_secret: str = setting("The secret of TWITTER_CLIENT_ID.", secret=True)
    oidc_providers: tuple[Issuer, ...] = setting(
        "OpenID Providers: a JSON list of `{id, name, issuer, client_id, client_secret}`. Each can "
        "have `origins` too, a list of further origins that its sign-in redirects to. The redirect "
        "URI is `ORIGIN/accounts/oidc/ID/login/callback/`.",
        openid_providers,
        default=(),
        secret=True,
    )

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """The configured identity providers, in the order of their sign-in buttons."""
        return (*self.oidc_providers, *configured_issuers(self))
