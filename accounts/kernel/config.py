"""Our own settings: one frozen object, read once from the environment and checked as a whole."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from accounts.kernel import secrets
from accounts.kernel.client import Network
from accounts.kernel.readers import (
    address,
    choice,
    contact,
    fernet_keys,
    ip,
    line,
    mailbox,
    networks,
    origin,
    scale,
    whole,
    words,
)

DATA_DIR = Path("var")
WEAK = "weak: at least 50 varied characters, made by make_secret"


class ConfigError(Exception):
    """The settings as given can't be run with; each fault is one line."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def knob(
    means: str, read: Callable[[str], Any] = str, *, default: Any = "", secret: bool = False
) -> Any:
    """A setting: what it means, how its text is read, what it is when not given.

    Every secret may also be given as NAME_FILE, the path of a file that holds it.
    """
    metadata = {"means": means, "read": read, "secret": secret}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that an operator may set. ``docs/settings.md`` is generated from it."""

    environment: str = knob(
        "`production`, which refuses to start on an unsafe or missing setting, or `development`, "
        "which `make run` and `manage.py` take when it is not given.",
        choice("production", "development"),
        default="production",
    )
    origin: str = knob(
        "The one public origin: links in mails and redirects are built from it. In development "
        "`http://localhost:PORT`.",
        origin,
    )
    port: int = knob("The port that the server listens on.", whole(65535), default=8000)
    bind: str = knob("The address that the server listens on.", ip, default="127.0.0.1")
    data_dir: Path = knob(  # noqa: RUF009 it is a field, as the others are
        "Where the database, the mails and the generated secrets of development are.",
        Path,
        default=DATA_DIR,
    )
    site_name: str = knob("The name that people see.", line, default="authsite")
    secret_key: str = knob("Django's: at least 50 characters. `make_secret`.", secret=True)
    secret_key_fallbacks: tuple[str, ...] = knob(
        "Former values of SECRET_KEY that are still read.", words, default=(), secret=True
    )
    encryption_keys: tuple[str, ...] = knob(
        "Keys for secrets at rest, newest first, all still read. `make_secret encryption-key`.",
        fernet_keys,
        default=(),
        secret=True,
    )
    database_url: str = knob(
        "SQLite or PostgreSQL. If not given, `sqlite:///DATA_DIR/db.sqlite3`.",
        address("sqlite", "postgres", "postgresql"),
        secret=True,
    )
    redis_url: str = knob(
        "Limits that several nodes share; without it they live in the database.",
        address("redis", "rediss", "unix"),
        secret=True,
    )
    email_url: str = knob(
        "Outgoing mail: `smtp://user:password@host:587` (STARTTLS), `smtps://…:465`, "
        "`smtp+plain://…:25` (no TLS), or `file:///folder`, one file a mail. "
        "In development `DATA_DIR/mail`.",
        address("smtp", "smtps", "smtp+plain", "file"),
        secret=True,
    )
    mail_from: str = knob(
        "The sender of the site's mails, without a name. In development `authsite@localhost`.",
        mailbox,
    )
    security_contact: str = knob(
        "Where people report faults and ask for help, shown in `security.txt` and on the help "
        "page: `mailto:security@example.org` or an `https:` address. If not given, MAIL_FROM.",
        contact,
    )
    trusted_proxies: tuple[Network, ...] = knob(
        "Peers whose `X-Forwarded-For` and `X-Forwarded-Proto` count: addresses or networks.",
        networks,
        default=(),
    )
    signup: str = knob("Whether strangers may sign up.", choice("open", "closed"), default="open")
    pwned_passwords_file: str = knob(
        "The path of a local copy of the whole list of Have I Been Pwned, sorted by SHA-1 hash, a "
        "line `HASH:COUNT` each; passwords on it are refused. Searched on disk, never loaded."
    )
    second_factor: str = knob(
        "For whom a second factor is required: `optional` for nobody, `staff`, or `all`. Whoever "
        "has none is led to add one at the next sign-in. Who has one is always asked for it.",
        choice("optional", "staff", "all"),
        default="staff",
    )
    staff_factor: str = knob(
        "Which second factor staff need: `any`, or `passkey`, which no forged page gets at "
        "(phishing-resistant: NIST SP 800-63B section 3.2.5).",
        choice("any", "passkey"),
        default="any",
    )
    trusted_browser_days: int = knob(
        "How long a browser that its owner trusts isn't asked for the second step, in days; 0 for "
        "no trust. Staff's are asked all the same where they administer.",
        whole(365, least=0),
        default=30,
    )
    factor_recovery_hours: int = knob(
        "How long a person who has lost every second factor waits, in hours, until a first step is "
        "enough to remove them; every address is told at once. Staff can't: see "
        "`reset_second_factor`. 0 for never.",
        whole(8760, least=0),
        default=72,
    )
    session_protection: str = knob(
        "What becomes of a sign-in that another browser uses (another family or system; a new "
        "version is the same). `off`: nothing, `basic`: it must prove who it is, `strong`: the "
        "sign-in ends.",
        choice("off", "basic", "strong"),
        default="basic",
    )
    session_protection_network: str = knob(
        "Whether another network (an IPv4 address, an IPv6 /64) counts as another browser too; "
        "not with `SESSION_PROTECTION=off`.",
        choice("off", "on"),
        default="off",
    )
    session_idle_minutes: int = knob(
        "The end of a sign-in without remember-me that isn't used, in minutes.",
        whole(525600),
        default=60,
    )
    session_days: int = knob(
        "The end of a sign-in without remember-me, in days.", whole(3650), default=1
    )
    remember_days: int = knob("The end of a sign-in with it, in days.", whole(3650), default=30)
    activity_days: int = knob(
        "How long `prune` keeps the history of accounts, in days: at least the 30 that a link of a "
        "notice is good for.",
        whole(36500, least=30),
        default=365,
    )
    limits_scale: float = knob("Multiplies every limit (load tests).", scale, default=1.0)

    @property
    def development(self) -> bool:
        """Whether conveniences that would be unsafe in public are on."""
        return self.environment == "development"

    @property
    def https(self) -> bool:
        """Whether people reach the site over TLS."""
        return self.origin.startswith("https://")

    @property
    def host(self) -> str:
        """The host, with its port if it has one, that people reach the site at."""
        return self.origin.partition("://")[2]

    @property
    def hostname(self) -> str:
        """The host without a port; an IPv6 address in brackets."""
        name = urlsplit(self.origin).hostname or ""
        return f"[{name}]" if ":" in name else name

    @property
    def contact(self) -> str:
        """The address, as a URI (RFC 6068), of whoever answers for the site."""
        return self.security_contact or f"mailto:{quote(self.mail_from, safe='@+')}"

    def faults(self) -> list[str]:
        """What makes these settings unsafe to run with, a sentence each."""
        wrong = [
            (not _is_strong(self.secret_key), f"SECRET_KEY is missing or {WEAK}"),
            (
                not all(map(_is_strong, self.secret_key_fallbacks)),
                f"SECRET_KEY_FALLBACKS: one is {WEAK}",
            ),
            (not self.encryption_keys, "ENCRYPTION_KEYS is missing"),
            (not self.origin, "ORIGIN is missing"),
            (not self.email_url, "EMAIL_URL is missing"),
            (not self.mail_from, "MAIL_FROM is missing"),
            (bool(self.origin) and not (self.https or self.development), "ORIGIN is not https"),
        ]
        return [sentence for is_wrong, sentence in wrong if is_wrong]


def read(environ: Mapping[str, str], root: Path) -> Config:
    """The settings in ``environ``, paths taken from ``root``; ``ConfigError`` names all faults."""
    faults: list[str] = []
    given: dict[str, Any] = {}
    for setting in fields(Config):
        name = setting.name.upper()
        try:
            text = _text(environ, name, secret=setting.metadata["secret"])
            if text:
                given[setting.name] = setting.metadata["read"](text)
        except (ValueError, OSError) as error:
            faults.append(f"{name} {error}")
    if not faults:
        folder = root / given.get("data_dir", DATA_DIR)
        given |= {"data_dir": folder}
        if "database_url" not in given:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            given["database_url"] = f"sqlite:///{quote(str(folder / 'db.sqlite3'))}"
        if given.get("environment") == "development":
            _supply(given, folder)
        config = Config(**given)
        faults = config.faults()
    if faults:
        raise ConfigError(faults)
    return config


def _is_strong(secret: str) -> bool:
    """As Django's deployment check has it (security.W009): long, varied, no template's."""
    return len(secret) >= 50 and len(set(secret)) >= 5 and not secret.startswith("django-insecure-")


def _text(environ: Mapping[str, str], name: str, *, secret: bool) -> str:
    path = environ.get(f"{name}_FILE") if secret else None
    return (Path(path).read_text() if path else environ.get(name, "")).strip()


def _supply(given: dict[str, Any], folder: Path) -> None:
    """What development has by itself, so that one command is enough."""
    given.setdefault("origin", f"http://localhost:{given.get('port', Config.port)}")
    given.setdefault("secret_key", _kept(folder / "secret_key", secrets.token(48)))
    given.setdefault(
        "encryption_keys", (_kept(folder / "encryption_key", secrets.encryption_key()),)
    )
    given.setdefault("email_url", (folder / "mail").as_uri())
    given.setdefault("mail_from", "authsite@localhost")


def _kept(path: Path, fresh: str) -> str:
    """The secret in ``path``, put there first if it is missing; two starts at once agree on one.

    The file is complete before it gets its name, and only the first link wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(fresh)
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text()
