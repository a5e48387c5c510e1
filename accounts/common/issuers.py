"""The identity providers that people can sign in with, and the settings that enable them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from accounts.common.setting_parsers import from_json, setting

# The origins of each provider's sign-in pages: first the authorization endpoint, then the pages to
# which it may redirect. Chromium also applies ``form-action`` to redirects that follow a form.
ORIGINS = {
    "google": ("https://accounts.google.com",),
    "microsoft": ("https://login.microsoftonline.com", "https://login.live.com"),
    "apple": ("https://appleid.apple.com",),
    "github": ("https://github.com",),
    "facebook": ("https://www.facebook.com", "https://m.facebook.com"),
    "twitter_oauth2": ("https://x.com", "https://twitter.com"),
}
NAMES = {
    "google": "Google",
    "microsoft": "Microsoft",
    "apple": "Apple",
    "github": "GitHub",
    "facebook": "Facebook",
    "twitter_oauth2": "X",
}
# The prefix of the names of a provider's settings, if it differs from the provider's key.
PREFIXES = {"twitter_oauth2": "twitter"}
# The issuer under which the user ids of each provider are stored.
ISSUERS = {key: first for key, (first, *_others) in ORIGINS.items()}
GOOGLE = ISSUERS["google"]
# For each provider, the last parts of the names of its settings, without the prefix.
CREDENTIALS = {"apple": ("client_id", "private_key", "team_id", "key_id")}
GUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
LONGEST_ISSUER = 255
_REQUIRED = ("id", "name", "issuer", "client_id", "client_secret")


@dataclass(frozen=True)
class Issuer:
    """An identity provider: an OpenID Provider, or a site with its own sign-in API.

    Attributes:
        key: the part of this site's URLs that names the provider.
        name: the name that people see.
        client_secret: the client secret; for Apple, the private key that signs client secrets.
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
    # Only for Microsoft: the tenant whose people may sign in, or a word for several tenants.
    tenant: str = ""
    # Only for Apple: the team, and the id of the private key.
    team_id: str = ""
    key_id: str = ""

    @property
    def logo(self) -> str:
        """The path of the static file with the provider's logo, or empty if there is none."""
        return f"providers/{self.key}.svg" if self.key in NAMES else ""


def configured_issuers(config: Any) -> Iterator[Issuer]:
    """Yield the built-in providers for which ``config`` has credentials."""
    for key, name in NAMES.items():
        client_id, secret, *others = given = list(_credentials(config, key).values())
        if all(given):
            tenant = config.microsoft_tenant if key == "microsoft" else ""
            yield Issuer(
                key, name, client_id, secret, ISSUERS[key], ORIGINS[key], False, tenant, *others
            )


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
    ends = CREDENTIALS.get(key, ("client_id", "client_secret"))
    names = [f"{PREFIXES.get(key, key)}_{end}" for end in ends]
    return {name: getattr(config, name) for name in names}


def microsoft_tenant(text: str) -> str:
    """Return the Microsoft tenant ``text``, or a word for several tenants, in lower case.

    Raises:
        ValueError: ``text`` is neither.
    """
    if not re.fullmatch(f"common|organizations|consumers|{GUID}", text.lower()):
        raise ValueError("is common, organizations, consumers or the ID of a tenant")
    return text.lower()


def apple_key(text: str) -> str:
    """Return Apple's private key ``text``, which signs client secrets.

    Raises:
        ValueError: ``text`` is not a private key of the curve P-256 in PEM format.
    """
    try:
        key = load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if getattr(getattr(key, "curve", None), "name", "") != "secp256r1":
        raise ValueError("is a private key of the curve P-256 in PEM, without a password")
    return text


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
        "`ORIGIN/accounts/google/login/callback/`, and likewise `microsoft`, `apple`, `github`, "
        "`facebook`, `twitter_oauth2`."
    )
    google_client_secret: str = setting("The secret of GOOGLE_CLIENT_ID.", secret=True)
    microsoft_client_id: str = setting("Sign in with Microsoft.")
    microsoft_client_secret: str = setting("The secret of MICROSOFT_CLIENT_ID.", secret=True)
    microsoft_tenant: str = setting(
        "Whose accounts Microsoft lets sign in: `common` (all), `organizations`, `consumers`, or "
        "those of one tenant, by its ID.",
        microsoft_tenant,
        default="common",
    )
    apple_client_id: str = setting("Sign in with Apple: the ID of the service.")
    apple_team_id: str = setting("The ID of the team that APPLE_CLIENT_ID belongs to.")
    apple_key_id: str = setting("The ID of APPLE_PRIVATE_KEY.")
    apple_private_key: str = setting(
        "The private key with which the site signs its client secrets for Apple, in PEM.",
        apple_key,
        secret=True,
    )
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
