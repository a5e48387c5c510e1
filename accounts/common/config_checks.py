"""Checks that the settings are complete, consistent and safe.

The site does not start with settings that are unsafe in every deployment. Operators may choose
settings that are merely unwise, or that are safe behind a firewall.
"""

import base64
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from stat import S_IROTH, S_IWOTH, S_IXOTH
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from accounts.common import brand_settings, issuers

if TYPE_CHECKING:
    from accounts.common.config import Config

WEAK = "weak: at least 50 varied characters, made by make_secret"
# The least number of different bytes in a key of 32 bytes. Random keys have more; phrases and
# repeated bytes have fewer.
LEAST_DIFFERENT_BYTES = 16
# By IP version: the shortest prefix length of a trusted proxy network. These are the prefix lengths
# of the widest private networks, 10.0.0.0/8 and fc00::/7.
WIDEST = {4: 8, 6: 7}


def faults(config: "Config") -> Iterator[str]:
    """Yield a sentence for each problem of ``config``. It names the setting, but no secret."""
    if not _is_strong(config.secret_key):
        yield f"SECRET_KEY is missing or {WEAK}"
    if not all(map(_is_strong, config.secret_key_fallbacks)):
        yield f"SECRET_KEY_FALLBACKS: one is {WEAK}"
    for name in ("encryption_keys", "origin", "email_url", "mail_from"):
        if not getattr(config, name):
            yield f"{name.upper()} is missing"
    if not all(map(_is_random, config.encryption_keys)):
        yield "ENCRYPTION_KEYS: one is weak: make it by make_secret encryption-key"
    token = config.metrics_token
    if token and not (len(token) >= 32 and token.isascii()):
        yield "METRICS_TOKEN has less than 32 characters, or others than ASCII's"
    for name in ("client_metadata_audiences", "audience_scopes"):
        if not set(getattr(config, name)) <= set(config.token_audiences):
            yield f"{name.upper()} has a service that is missing in TOKEN_AUDIENCES"
    if config.origin in config.audience_scopes:
        # Apps could otherwise get the scopes of API keys, such as ``write``.
        yield "AUDIENCE_SCOPES has scopes of this site"
    yield from issuers.faults(config)
    yield from brand_settings.faults(config, production=not config.development)
    yield from _tls_faults(config)
    if not config.development:
        yield from _production_faults(config)


def _tls_faults(config: "Config") -> Iterator[str]:
    own = bool(config.tls_cert_file)
    if own != bool(config.tls_key_file):
        yield "TLS_CERT_FILE and TLS_KEY_FILE: one is missing"
    if own and config.unix_socket:
        yield "UNIX_SOCKET and TLS_CERT_FILE: leave one out"
    if own and not config.https:
        yield "TLS_CERT_FILE is given, and ORIGIN is not https"
    if config.redirect_port and not own:
        yield "REDIRECT_PORT needs TLS_CERT_FILE"
    if config.acme_webroot and not config.redirect_port:
        yield "ACME_WEBROOT needs REDIRECT_PORT"


def _production_faults(config: "Config") -> Iterator[str]:
    mail = urlsplit(config.email_url)
    if config.origin and not config.https:
        yield "ORIGIN is not https"
    if any(origin.startswith("http:") for origin in config.cors_origins):
        yield "CORS_ORIGINS: one is not https"
    # Emails contain codes and links that give access to accounts.
    if mail.scheme == "smtp+plain" and not is_loopback(mail.hostname or "localhost"):
        yield "EMAIL_URL has no TLS, and the mail server is another machine: smtp:// or smtps://"
    # A trusted proxy can claim any client IP address, and so evade every rate limit.
    if any(network.prefixlen < WIDEST[network.version] for network in config.trusted_proxies):
        yield "TRUSTED_PROXIES: one is wider than networks of proxies are"
    # A password that is sent over plain HTTP crosses the network unencrypted before any redirect.
    if not (is_loopback(config.bind) or config.trusted_proxies or config.tls_cert_file):
        yield "BIND lets other machines in: TLS_CERT_FILE or TRUSTED_PROXIES is missing"
    if _is_open(config.database_url):
        yield "DATABASE_URL: everybody on this machine can read or change the file: chmod o= FILE"


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is a loopback address, or ``localhost`` or a name below it."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_strong(secret: str) -> bool:
    """Return whether ``secret`` passes Django's deployment check security.W009."""
    return len(secret) >= 50 and len(set(secret)) >= 5 and not secret.startswith("django-insecure-")


def _is_random(key: str) -> bool:
    return len(set(base64.urlsafe_b64decode(key))) >= LEAST_DIFFERENT_BYTES


def _is_open(database_url: str) -> bool:
    """Return whether ``database_url`` names an SQLite file that any user can read or change."""
    path = Path(unquote(urlsplit(database_url).path)[1:])
    if not database_url.startswith("sqlite:") or not path.is_file():
        return False
    path = path.resolve()
    is_reached = all(folder.stat().st_mode & S_IXOTH for folder in path.parents)
    return is_reached and bool(path.stat().st_mode & (S_IROTH | S_IWOTH))
