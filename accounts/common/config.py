"""The site's own settings: one frozen dataclass, which is validated as a whole."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from accounts.common.brand_settings import BrandSettings
from accounts.common.oauth_settings import OAuthSettings
from accounts.common.places import location_file
from accounts.common.provider_settings import ProviderSettings
from accounts.common.server_settings import ServerSettings
from accounts.common.setting_parsers import (
    address,
    choice,
    contact,
    fernet_keys,
    host_name,
    mailbox,
    origin,
    origins,
    scale,
    setting,
    whole,
    words,
)

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
        "`postgres://user:password@host/name`, or `sqlite:////folder/db.sqlite3` with the absolute "
        "path. If unset, the file `db.sqlite3` in DATA_DIR.",
        address("sqlite", "postgres", "postgresql"),
        secret=True,
    )
    redis_url: str = setting(
        "The Redis that counts the limits of all nodes. If unset, the database counts them.",
        address("redis", "rediss", "unix"),
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
        "Their operators can use the passkeys to sign in here.",
        origins,
        default=(),
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
        "Hours that a person with too few older proofs must wait to unlock an account or to remove "
        "lost second factors. As many proofs can cancel it. Not for staff. 0 disables this.",
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
        "Live sessions of an account. Beyond it, the least recently used ends, API sessions first.",
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
    activity_days: int = setting(
        "Days after which `prune` deletes the history of accounts; at least the 30 for which the "
        "link in a security email works.",
        whole(36500, least=30),
        default=365,
    )
    staff_views_shown: str = setting(
        "Whether people see in their history that staff opened the page about them in the admin.",
        choice("on", "off"),
        default="on",
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
        """How long a session can exchange its access token for a fresh one, in seconds.

        The time begins when the first access token of the session is issued.
        """
        return self.access_token_seconds if self.exchange_seconds is None else self.exchange_seconds
