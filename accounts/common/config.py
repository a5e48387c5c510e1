"""The site's own settings: one frozen dataclass, which is validated as a whole."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from accounts.common import issuers
from accounts.common.client_ip import Network
from accounts.common.issuers import Issuer
from accounts.common.setting_parsers import (
    address,
    choice,
    contact,
    fernet_keys,
    ip,
    line,
    mailbox,
    networks,
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
class Config:
    """All settings of the site. ``docs/settings.md`` is generated from this class."""

    environment: str = setting(
        "`production`, which refuses to start on an unsafe or missing setting, or `development`, "
        "which `make run` and `manage.py` take when it is not given.",
        choice("production", "development"),
        default="production",
    )
    origin: str = setting(
        "The one public origin: links in mails and redirects are built from it. In development "
        "`http://localhost:PORT`.",
        origin,
    )
    port: int = setting("The port that the server listens on.", whole(65535), default=8000)
    bind: str = setting("The address that the server listens on.", ip, default="127.0.0.1")
    tls_cert_file: str = setting(
        "The path of the certificate chain (PEM) with which the server itself speaks TLS 1.2 and "
        "1.3 at PORT. On SIGHUP it reads both files anew and loses no request. If not given, a "
        "proxy before it speaks TLS."
    )
    tls_key_file: str = setting("The path of its private key (PEM), which only its owner may read.")
    redirect_port: int = setting(
        "With TLS_CERT_FILE: the port whose plain HTTP redirects to the same page of ORIGIN and "
        "answers ACME challenges; 0 for none.",
        whole(65535, least=0),
        default=0,
    )
    acme_webroot: str = setting(
        "The folder below which an ACME client puts `.well-known/acme-challenge/TOKEN` "
        "(`certbot --webroot -w`, `lego --http.webroot`), served at REDIRECT_PORT."
    )
    data_dir: Path = setting(  # noqa: RUF009 it is a field, as the others are
        "Where the database, the mails and the generated secrets of development are.",
        Path,
        default=DATA_DIR,
    )
    site_name: str = setting("The name that people see.", line, default="authsite")
    secret_key: str = setting("Django's: at least 50 characters. `make_secret`.", secret=True)
    secret_key_fallbacks: tuple[str, ...] = setting(
        "Former values of SECRET_KEY that are still read.", words, default=(), secret=True
    )
    encryption_keys: tuple[str, ...] = setting(
        "Keys for secrets at rest, newest first, all still read. `make_secret encryption-key`.",
        fernet_keys,
        default=(),
        secret=True,
    )
    database_url: str = setting(
        "SQLite or PostgreSQL. If not given, `sqlite:///DATA_DIR/db.sqlite3`.",
        address("sqlite", "postgres", "postgresql"),
        secret=True,
    )
    redis_url: str = setting(
        "Limits that several nodes share; without it they live in the database.",
        address("redis", "rediss", "unix"),
        secret=True,
    )
    email_url: str = setting(
        "Outgoing mail: `smtp://user:password@host:587` (STARTTLS), `smtps://…:465`, "
        "`smtp+plain://…:25` (no TLS; in production on this machine only), or `file:///folder`, "
        "one file a mail. "
        "In development `DATA_DIR/mail`.",
        address("smtp", "smtps", "smtp+plain", "file"),
        secret=True,
    )
    mail_from: str = setting(
        "The sender of the site's mails, without a name. In development `authsite@localhost`.",
        mailbox,
    )
    security_contact: str = setting(
        "Where people report faults and ask for help, shown in `security.txt` and on the help "
        "page: `mailto:security@example.org` or an `https:` address. If not given, MAIL_FROM.",
        contact,
    )
    trusted_proxies: tuple[Network, ...] = setting(
        "Peers whose `X-Forwarded-For` and `X-Forwarded-Proto` count: addresses or networks.",
        networks,
        default=(),
    )
    signup: str = setting(
        "Whether strangers may sign up.", choice("open", "closed"), default="open"
    )
    reserved_usernames: tuple[str, ...] = setting(
        "More reserved usernames, besides `admin` and the like. Only operators can give them.",
        words,
        default=(),
    )
    pwned_passwords_file: str = setting(
        "The path of a local copy of the whole list of Have I Been Pwned, sorted by SHA-1 hash, a "
        "line `HASH:COUNT` each; passwords on it are refused. Searched on disk, never loaded."
    )
    second_factor: str = setting(
        "For whom a second factor is required: `optional` for nobody, `staff`, or `all`. Whoever "
        "has none is led to add one at the next sign-in. Who has one is always asked for it.",
        choice("optional", "staff", "all"),
        default="staff",
    )
    staff_factor: str = setting(
        "Which second factor staff need: `any`, or `passkey`, which no forged page gets at "
        "(phishing-resistant: NIST SP 800-63B section 3.2.5).",
        choice("any", "passkey"),
        default="any",
    )
    trusted_browser_days: int = setting(
        "How long a browser that its owner trusts isn't asked for the second step, in days; 0 for "
        "no trust. Staff's are asked all the same where they administer.",
        whole(365, least=0),
        default=30,
    )
    factor_recovery_hours: int = setting(
        "Hours before a person with too few older proofs can open a locked account or remove lost "
        "second factors; whoever shows as much can stop it, and staff can't. 0 for never.",
        whole(8760, least=0),
        default=72,
    )
    session_protection: str = setting(
        "What becomes of a sign-in that another browser uses (another family or system; a new "
        "version is the same). `off`: nothing, `basic`: it must prove who it is, `strong`: the "
        "sign-in ends.",
        choice("off", "basic", "strong"),
        default="basic",
    )
    session_protection_network: str = setting(
        "Whether another network (an IPv4 address, an IPv6 /64) counts as another browser too; "
        "not with `SESSION_PROTECTION=off`.",
        choice("off", "on"),
        default="off",
    )
    session_idle_minutes: int = setting(
        "The end of a sign-in without remember-me that isn't used, in minutes.",
        whole(525600),
        default=60,
    )
    session_days: int = setting(
        "The end of a sign-in without remember-me, in days.", whole(3650), default=1
    )
    remember_days: int = setting("The end of a sign-in with it, in days.", whole(3650), default=30)
    max_sessions: int = setting(
        "Live sessions of an account; beyond it the least recently used one ends, a program's "
        "before a browser's.",
        whole(100_000),
        default=200,
    )
    token_algorithm: str = setting(
        "What access tokens are signed with: `RS256` (RSA), `ES256` (P-256) or `EdDSA` (Ed25519). "
        "Counts when a key is made: `rotate_signing_key`.",
        choice("RS256", "ES256", "EdDSA"),
        default="RS256",
    )
    signing_key_days: int = setting(
        "The age at which the key that signs them gets a successor by itself, in days; 0: never.",
        whole(3650, least=0),
        default=90,
    )
    access_token_seconds: int = setting(
        "The life of an access token, in seconds, 30 to 3600. This site refuses one as soon as its "
        "sign-in has ended; other services believe it until then.",
        whole(LONGEST_ACCESS_TOKEN, least=30),
        default=300,
    )
    exchange_seconds: int | None = setting(
        "Seconds to exchange a first access token in. 0: never. Default: ACCESS_TOKEN_SECONDS.",
        whole(LONGEST_EXCHANGE, least=0),
        default=None,
    )
    refresh_token_days: int = setting(
        "The end of a sign-in over the API, however often its tokens are renewed, in days.",
        whole(3650),
        default=30,
    )
    refresh_grace_seconds: int = setting(
        "Seconds in which a refresh token whose answer was lost is taken again. 0: never.",
        whole(300, least=0),
        default=30,
    )
    refresh_idle_days: int = setting(
        "The end of one whose tokens aren't renewed, in days.", whole(3650), default=7
    )
    token_audiences: tuple[str, ...] = setting(
        "The services, besides this site, that access tokens may be asked for, as they name "
        "themselves (`aud`): `https://shop.example.org`.",
        words,
        default=(),
    )
    cors_origins: tuple[str, ...] = setting(
        "Origins whose pages may call the API by script: `https://app.example.org`. Their refresh "
        "tokens are in a cookie, so they must belong to the same site (registrable domain).",
        origins,
        default=(),
    )
    api_basic_password: str = setting(
        "Whether calls of the API take a username and a password by HTTP Basic, `on` or `off`. A "
        "hash for each call. If not given, `on` in development only. A second factor is never "
        "skipped.",
        choice("on", "off"),
    )
    google_client_id: str = setting(
        "Sign in with Google. Each of these is on once it has an ID and a secret; the redirect URI "
        "to register there is `ORIGIN/accounts/google/login/callback/`, and so on."
    )
    google_client_secret: str = setting("Its secret.", secret=True)
    github_client_id: str = setting("Sign in with GitHub.")
    github_client_secret: str = setting("Its secret.", secret=True)
    facebook_client_id: str = setting("Sign in with Facebook.")
    facebook_client_secret: str = setting("Its secret.", secret=True)
    twitter_client_id: str = setting("Sign in with X; there it's `accounts/twitter_oauth2/…`.")
    twitter_client_secret: str = setting("Its secret.", secret=True)
    oidc_providers: tuple[Issuer, ...] = setting(
        "OpenID Providers, a JSON list of `{id, name, issuer, client_id, client_secret}`. The "
        "redirect URI is `ORIGIN/accounts/oidc/ID/login/callback/`. If its sign-in leads on to "
        "pages elsewhere, those are `origins`, a list, too.",
        issuers.openid_providers,
        default=(),
        secret=True,
    )
    metrics_token: str = setting(
        "What a monitoring system sends to read `/metrics`, as `Authorization: Bearer`; at least "
        "32 characters: `make_secret`. If not given, nobody reads it.",
        secret=True,
    )
    activity_days: int = setting(
        "How long `prune` keeps the history of accounts, in days: at least the 30 that a link of a "
        "notice is good for.",
        whole(36500, least=30),
        default=365,
    )
    limits_scale: float = setting("Multiplies every limit (load tests).", scale, default=1.0)

    @property
    def development(self) -> bool:
        """Whether conveniences are on that would be unsafe on a public site."""
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
        """The URI at which people reach the operator: a page, or a ``mailto:`` URI (RFC 6068)."""
        return self.security_contact or f"mailto:{quote(self.mail_from, safe='@+')}"

    @property
    def takes_basic(self) -> bool:
        """Whether API calls accept a username and password by HTTP Basic."""
        return (self.api_basic_password or ("on" if self.development else "off")) == "on"

    @property
    def seconds_to_exchange(self) -> int:
        """Seconds after sign-in in which an access token can be exchanged for a fresh one."""
        return self.access_token_seconds if self.exchange_seconds is None else self.exchange_seconds

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """The identity providers that people can sign in with, in the order of their buttons."""
        return (*self.oidc_providers, *issuers.known(self))
