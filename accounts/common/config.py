"""The site's own settings: one frozen dataclass, which is validated as a whole.

The site does not start with settings that are unsafe in every deployment. Operators may choose
settings that are merely unwise, or that are safe behind a firewall.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from stat import S_IROTH, S_IWOTH, S_IXOTH
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from accounts.common import issuers
from accounts.common.brand import files as brand
from accounts.common.brand.files import BrandSettings
from accounts.common.client_info import location_file
from accounts.common.issuers import ProviderSettings
from accounts.common.setting_parsers import (
    OAuthSettings,
    ServerSettings,
    address,
    choice,
    contact,
    database,
    fernet_keys,
    host_name,
    mailbox,
    one_line,
    origin,
    origins,
    passkey_origins,
    redis,
    scale,
    setting,
    whole,
    words,
)

WEAK = "weak: at least 50 varied characters, made by make_secret"
# The minimum number of different bytes in a key of 32 bytes. Random keys have more; phrases and
# repeated bytes have fewer.
LEAST_DIFFERENT_BYTES = 16
# By IP version: the shortest prefix length of a trusted proxy network. These are the prefix lengths
# of the widest private networks, 10.0.0.0/8 and fc00::/7.
WIDEST = {4: 8, 6: 7}
# What STRICT=on requires beyond the defaults: the values follow ASVS 5.0 level 3 and, for
# authenticator assurance level 2, NIST SP 800-63B-4. The allowed words, the default first.
STRICT_WORDS = {
    "second_factor": ("all",),
    "staff_factor": ("passkey",),
    "session_protection": ("basic", "strong"),
    "api_basic_password": ("off",),
}
# The largest allowed value of each setting, which is also the default.
STRICT_MOST = {
    "trusted_browser_days": 0,
    "session_idle_minutes": 60,
    "session_days": 1,
    "remember_days": 1,
    "access_token_seconds": 300,
    "refresh_token_days": 1,
    "refresh_idle_days": 1,
}
STRICT_DEFAULTS: Mapping[str, Any] = {
    name: words[0] for name, words in STRICT_WORDS.items()
} | STRICT_MOST


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
    if bool(config.terms_url) != bool(config.terms_version):
        yield "TERMS_URL and TERMS_VERSION: one is missing"
    if len(config.terms_version) > LONGEST_TERMS_VERSION:
        yield f"TERMS_VERSION has more than {LONGEST_TERMS_VERSION} characters"
    yield from issuers.faults(config)
    yield from brand.faults(config, production=not config.development)
    yield from _tls_faults(config)
    yield from _strict_faults(config)
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


def _strict_faults(config: "Config") -> Iterator[str]:
    """Yield a sentence for each setting in ``config`` that is weaker than ``STRICT=on`` allows."""
    if not config.is_strict:
        return
    for name, allowed in STRICT_WORDS.items():
        if getattr(config, name) not in allowed:
            yield f"{name.upper()} is not {' or '.join(allowed)}, which STRICT=on requires"
    for name, most in STRICT_MOST.items():
        if getattr(config, name) > most:
            yield f"{name.upper()} is more than {most}, the most that STRICT=on allows"


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


LONGEST_TERMS_VERSION = 64
DATA_DIR = Path("var")
LONGEST_ACCESS_TOKEN, LONGEST_EXCHANGE = 3600, 366 * 24 * 3600  # in seconds


@dataclass(frozen=True, kw_only=True)
class Config(BrandSettings, OAuthSettings, ProviderSettings, ServerSettings):
    """All settings of the site. ``docs/settings.md`` is generated from this class."""

    environment: str = setting(
        "`production` refuses to start on an unsafe or missing setting. `development` is the "
        "default of `make run` and `manage.py`.",
        choice("production", "development"),
        default="production",
    )
    origin: str = setting(
        "The site's only public origin; links in emails and redirects are built from it. In "
        "development, `http://localhost:PORT`.",
        origin,
    )
    data_dir: Path = setting(  # noqa: RUF009 a field, like the others
        "The folder of the static files and the SQLite database; in development, of emails and "
        "secrets too.",
        Path,
        default=DATA_DIR,
    )
    secret_key: str = setting("Django's secret key, 50+ characters, by `make_secret`.", secret=True)
    secret_key_fallbacks: tuple[str, ...] = setting(
        "Former values of SECRET_KEY that are still accepted.", words, default=(), secret=True
    )
    encryption_keys: tuple[str, ...] = setting(
        "Keys that encrypt secrets in the database. The first one encrypts, all of them decrypt. "
        "`make_secret encryption-key` prints one.",
        fernet_keys,
        default=(),
        secret=True,
    )
    database_url: str = setting(
        "`postgres://user:password@host/name`, with the options of libpq, such as several hosts: "
        "`host:port,host:port`; or `sqlite:////folder/db.sqlite3` with the absolute path. If "
        "unset, the file `db.sqlite3` in DATA_DIR.",
        database,
        secret=True,
    )
    database_replica_url: str = setting(
        "A standby server of the database, from which `export_users` reads. If unset, it reads "
        "from DATABASE_URL.",
        database,
        secret=True,
    )
    redis_url: str = setting(
        "The Redis that counts the limits of all nodes: `redis://`, `rediss://` (TLS), `unix://`, "
        "or `redis+sentinel://user:password@host:26379,host:26379/name` for the service `name` of "
        "Redis Sentinel (`rediss+sentinel://` with TLS). If unset, the database counts them.",
        redis,
        secret=True,
    )
    email_url: str = setting(
        "Outgoing mail: `smtp://user:password@host:587` (STARTTLS), `smtps://…:465`, "
        "`smtp+plain://…:25` (no TLS; in production only on this machine), or `file:///folder` (a "
        "file for each email). In development, `DATA_DIR/mail`.",
        address("smtp", "smtps", "smtp+plain", "file"),
        secret=True,
    )
    mail_from: str = setting(
        "The sender of emails, without a name. In development, `authsite@localhost`.", mailbox
    )
    mail_per_second: int = setting(
        "How many mass emails all processes together send per second, on average. Mass emails are "
        "those that one act, such as a bulk act of staff, sends to many people. Other emails are "
        "sent first, without such a limit.",
        whole(1000),
        default=10,
    )
    security_contact: str = setting(
        "Where people report vulnerabilities, in `security.txt` and, without SITE_SUPPORT, on the "
        "help page: `mailto:security@example.org` or an `https:` URL. If unset, MAIL_FROM.",
        contact,
    )
    signup: str = setting(
        "`open`; `invite`: only people with an invitation by staff can sign up, also with a "
        "provider; or `closed`: nobody can sign up.",
        choice("open", "invite", "closed"),
        default="open",
    )
    reserved_usernames: tuple[str, ...] = setting(
        "Further reserved usernames, besides `admin` and the like. Only operators can assign them.",
        words,
        default=(),
    )
    terms_url: str = setting(
        "The address of the terms that people accept when they sign up, and at the next sign-in "
        "after TERMS_VERSION changes.",
        address("https", "http"),
    )
    avatars: str = setting(
        "Whether people can upload a profile picture: `on` or `off`. Apps with the scope `profile` "
        "get its address, which needs no sign-in and cannot be guessed, as the claim `picture`. "
        "While an upload is decoded, a process takes up to 230 MB more.",
        choice("on", "off"),
        default="off",
    )
    terms_version: str = setting(
        "The version of these terms, such as their date. Change it when they change; sessions "
        "that exist go on until their end.",
        one_line,
    )
    pwned_passwords_file: str = setting(
        "Path of a copy of the whole Have I Been Pwned list, lines `HASH:COUNT` sorted by SHA-1 "
        "hash. The passwords on it are refused. It is searched on disk, not loaded."
    )
    passkey_domain: str = setting(
        "The host name to which passkeys are bound. If unset, the host name of ORIGIN. After you "
        "change ORIGIN, set this to the former host name, so that existing passkeys still work.",
        host_name,
    )
    passkey_origins: tuple[str, ...] = setting(
        "Further origins at which passkeys of this site work: `/.well-known/webauthn` lists them. "
        "Their operators can use the passkeys to sign in here. Also your own apps: "
        "`android:apk-key-hash:HASH@org.example.app`, `webcredentials:TEAM123456.org.example.app`.",
        passkey_origins,
        default=(),
    )
    strict: str = setting(
        "`on` makes the site [stricter](operating.md#strict-operation): what ASVS 5.0 level 3 and "
        "AAL2 of NIST SP 800-63B-4 require beyond the defaults. Weaker settings are refused.",
        choice("off", "on"),
        default="off",
    )
    second_factor: str = setting(
        "Who must have a second factor: `optional` (nobody), `staff` or `all`. People who lack "
        "one add it at the next sign-in. People who have one always need it.",
        choice("optional", "staff", "all"),
        default="staff",
    )
    staff_factor: str = setting(
        "The second factor that staff need: `any` or the phishing-resistant `passkey` (NIST SP "
        "800-63B section 3.2.5).",
        choice("any", "passkey"),
        default="any",
    )
    trusted_browser_days: int = setting(
        "Days for which a trusted browser skips two-step verification; 0 disables trust. Staff "
        "need it for the admin all the same.",
        whole(365, least=0),
        default=30,
    )
    factor_recovery_hours: int = setting(
        "Hours that a person with the mailbox alone must wait to unlock an account or to remove "
        "lost second factors. Whoever could do so at once can stop it. Not for staff. 0 disables "
        "this.",
        whole(8760, least=0),
        default=72,
    )
    session_protection: str = setting(
        "What happens when another browser (another family or system, not another version) uses a "
        "session: `off` nothing, `basic` it must reauthenticate, `strong` the session is revoked.",
        choice("off", "basic", "strong"),
        default="basic",
    )
    session_protection_network: str = setting(
        "Whether SESSION_PROTECTION also applies when the network (an IPv4 address or IPv6 /64) "
        "changes; not with `off`.",
        choice("off", "on"),
        default="off",
    )
    session_idle_minutes: int = setting(
        'Minutes without use after which a session without "remember me" expires.',
        whole(525600),
        default=60,
    )
    session_days: int = setting('Days of a session without "remember me".', whole(3650), default=1)
    remember_days: int = setting('Days of a "remember me" session.', whole(3650), default=30)
    max_sessions: int = setting(
        "Live sessions of an account. Beyond it, the least recently used end, at most 20 at once, "
        "API sessions first.",
        whole(100_000),
        default=200,
    )
    token_algorithm: str = setting(
        "How access tokens are signed: `ES256` (P-256), `RS256` (RSA) or `EdDSA` (Ed25519). "
        "If unset, a new site uses `ES256`, and each new key the algorithm of the key before it.",
        choice("ES256", "RS256", "EdDSA"),
        default="",
    )
    signing_key_days: int = setting(
        "Days after which a signing key is replaced automatically; 0 for never.",
        whole(3650, least=0),
        default=90,
    )
    access_token_seconds: int = setting(
        "Lifetime of an access token in seconds, 30 to 3600. This site refuses it once its "
        "session is revoked; other services accept it until it expires.",
        whole(LONGEST_ACCESS_TOKEN, least=30),
        default=300,
    )
    exchange_seconds: int | None = setting(
        "Seconds for which an access token, and the tokens exchanged for it, can be exchanged, "
        "counted from the issue of the first; 0 for never. If unset, ACCESS_TOKEN_SECONDS.",
        whole(LONGEST_EXCHANGE, least=0),
        default=None,
    )
    refresh_token_days: int = setting(
        "Days that an API session lasts, however often it is refreshed.", whole(3650), default=30
    )
    refresh_grace_seconds: int = setting(
        "Seconds in which a refresh token whose answer was lost can be sent again; 0 for never.",
        whole(300, least=0),
        default=30,
    )
    refresh_idle_days: int = setting(
        "Days without a refresh after which an API session expires.", whole(3650), default=7
    )
    token_audiences: tuple[str, ...] = setting(
        "Further services that access tokens can be for, by `aud`: `https://shop.example.org`.",
        words,
        default=(),
    )
    cors_origins: tuple[str, ...] = setting(
        "Origins whose pages may call the API from scripts: `https://app.example.org`. They must "
        "belong to the same site (registrable domain), since the refresh token is in a cookie.",
        origins,
        default=(),
    )
    api_basic_password: str = setting(
        "`on` or `off`: whether API calls accept a username and password by HTTP Basic, at a hash "
        "each; never with a second factor. If unset, `on` in development only.",
        choice("on", "off"),
    )
    metrics_token: str = setting(
        "The bearer token for `/metrics`, at least 32 characters: `make_secret`. If unset, "
        "`/metrics` is disabled.",
        secret=True,
    )
    log_level: str = setting(
        "`info` logs each request; `warning` and `error` log only problems. If unset, `info`, in "
        "development `warning`.",
        choice("info", "warning", "error"),
    )
    backup_days: int = setting(
        "Days after which `doctor` reports that no backup was made or verified. 0 if another "
        "program than the command `backup` makes the backups.",
        whole(3650, least=0),
        default=2,
    )
    activity_days: int = setting(
        "Days after which `prune` deletes the history of accounts; at least the 30 for which the "
        "link in a security email works.",
        whole(36500, least=30),
        default=365,
    )
    deletion_days: int = setting(
        "Days for which people can undo the deletion of their accounts; with 0, until the next "
        "`prune`.",
        whole(30, least=0),
        default=14,
    )
    deletion_log: str = setting(
        "Path of the file to which the ids of deleted accounts are appended. It must survive the "
        "loss of the database, and `after_restore` reads it. If unset, `deletions.log` in DATA_DIR."
    )
    event_log: str = setting(
        "Path of a file to which each event of the history is appended as a line of JSON, or "
        "`stdout`. The lines have ids and IP addresses, so delete old ones."
    )
    staff_views_shown: str = setting(
        "Whether people see in their history that staff looked at them. It is always recorded.",
        choice("on", "off"),
        default="on",
    )
    settings_file: str = setting(
        "Path of the [settings file](operating.md#settings-as-a-file) that `apply` reads without "
        "FILE."
    )
    geoip_file: str = setting(
        "Path of a location file in MaxMind format, for place names.", location_file
    )
    limits_scale: float = setting("Multiplies every limit, for load tests.", scale, default=1.0)

    @property
    def development(self) -> bool:
        """Whether this is a development site, with features that are unsafe on a public site."""
        return self.environment == "development"

    @property
    def is_strict(self) -> bool:
        """Whether ``STRICT`` is on."""
        return self.strict == "on"

    @property
    def shortest_password(self) -> int:
        """The minimum length of a new password (NIST SP 800-63B-4 section 3.1.1.2)."""
        return 15 if self.is_strict else 12

    @property
    def https(self) -> bool:
        """Whether ``ORIGIN`` uses TLS."""
        return self.origin.startswith("https://")

    @property
    def host(self) -> str:
        """The host of ``ORIGIN``, with its port if it has one."""
        return self.origin.partition("://")[2]

    @property
    def hostname(self) -> str:
        """The host of ``ORIGIN`` without a port; an IPv6 address is in brackets."""
        name = urlsplit(self.origin).hostname or ""
        return f"[{name}]" if ":" in name else name

    @property
    def contact(self) -> str:
        """The URI for contacting the operator: a page, or a ``mailto:`` URI (RFC 6068)."""
        return self.security_contact or f"mailto:{quote(self.mail_from, safe='@+')}"

    @property
    def takes_basic(self) -> bool:
        """Whether API calls accept a username and password by HTTP Basic."""
        return (self.api_basic_password or ("on" if self.development else "off")) == "on"

    @property
    def lowest_log_level(self) -> str:
        """The lowest level that is logged, as `logging` names it."""
        return (self.log_level or ("warning" if self.development else "info")).upper()

    @property
    def seconds_to_exchange(self) -> int:
        """How many seconds a session can exchange its access token for a new one.

        The time begins when the first access token of the session is issued.
        """
        return self.access_token_seconds if self.exchange_seconds is None else self.exchange_seconds
