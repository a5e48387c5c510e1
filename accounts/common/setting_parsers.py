"""Parsers of settings, and groups of settings: of the server and of the OpenID Provider.

A parser returns the value of a text, or raises ValueError. The message of the error says what the
setting should be, and never contains a secret.
"""

import json
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

from cryptography.fernet import Fernet
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from accounts.common.client_info import Network


def setting(
    means: str, read: Callable[[str], Any] = str, *, default: Any = "", secret: bool = False
) -> Any:
    """Return the dataclass field of a setting.

    Args:
        means: the documentation of the setting.
        read: the function that parses the setting's text.
        default: the value of a setting that is not given.
        secret: whether the operator may store the value in a file, and set ``NAME_FILE`` to the
            path of the file.
    """
    metadata = {"means": means, "read": read, "secret": secret}
    return field(default=default, metadata=metadata)


def choice(*allowed: str) -> Callable[[str], str]:
    """Return a parser that accepts only the words in ``allowed``."""

    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"is one of {', '.join(allowed)}")
        return text

    return read


def whole(most: int, least: int = 1) -> Callable[[str], int]:
    """Return a parser that accepts whole numbers from ``least`` to ``most``."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"is a whole number from {least} to {most}")
        return int(text)

    return read


def one_line(text: str) -> str:
    """Return ``text`` unchanged. Raise ``ValueError`` unless it is one line of printable text."""
    if not text.isprintable():
        raise ValueError("is one line of printable text")
    return text


def from_json[T](text: str, kind: type[T], sentence: str) -> T:
    """Parse a JSON value. Raise ``ValueError(sentence)`` if it is not of the type ``kind``."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, kind):
        raise ValueError(sentence)  # noqa: TRY004 setting parsers raise this
    return value


def scale(text: str) -> float:
    """Parse a decimal number greater than 0."""
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text) or float(text) <= 0:
        raise ValueError("is a number above 0")
    return float(text)


def words(text: str) -> tuple[str, ...]:
    """Parse a list of words, which are separated by commas or spaces."""
    return tuple(text.replace(",", " ").split())


def networks(text: str) -> tuple[Network, ...]:
    """Parse a list of IP addresses and networks."""
    return tuple(ip_network(word) for word in words(text))


def address(*schemes: str) -> Callable[[str], str]:
    """Return a parser that accepts URLs with one of ``schemes``.

    The errors of the parser never contain the URL, because it may contain a password.
    """

    def read(text: str) -> str:
        if text.partition(":")[0] not in schemes:
            raise ValueError(f"begins with one of {', '.join(schemes)}")
        if not _is_readable(text):
            raise ValueError("can't be read as a URL: is # : / @ or % written as %23 and so on?")
        return text

    return read


# The hosts of the Sentinels, the name of the service, and the credentials and the database of
# Redis.
SENTINELS = re.compile(
    r"redis(?P<tls>s?)\+sentinel://(?:(?P<user>[^:@/]*):(?P<password>[^:@/]*)@)?"
    r"(?P<hosts>[^@/?#]+)/(?P<service>[\w.-]+)(?:/(?P<db>[0-9]+))?"
)


def redis(text: str) -> str:
    """Return the URL of Redis unchanged. Raise ``ValueError`` if it cannot be read."""
    if "+sentinel:" not in text:
        return address("redis", "rediss", "unix")(text)
    found = SENTINELS.fullmatch(text)
    if not found or not all(_is_readable(f"//{host}") for host in found["hosts"].split(",")):
        raise ValueError("is for Sentinels redis+sentinel://user:password@host:port,host:port/name")
    return text


def database(text: str) -> str:
    """Return the URL of a database unchanged. Raise ``ValueError`` if it cannot be read."""
    parse_database_url(text)
    return text


# The values of libpq's ``target_session_attrs``.
SESSION_ATTRS = {"any", "read-write", "read-only", "primary", "standby", "prefer-standby"}
URL_ESCAPES = "is : / @ or % in the password written as %3A, %2F, %40 or %25?"


def parse_database_url(url: str) -> dict[str, Any]:
    """Return the entry of Django's ``DATABASES`` for the database at ``url``.

    If there are several hosts, only a host that accepts changes is used, and a host that does not
    answer is given up soon, unless the URL says otherwise.

    Raises:
        ValueError: the message names the fault, and contains no part of the URL.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        found = {"ENGINE": "django.db.backends.sqlite3", "NAME": unquote(urlsplit(url).path[1:])}
    elif scheme in {"postgres", "postgresql"}:
        found = _postgresql(f"postgresql://{rest}")
    else:
        raise ValueError("begins with sqlite://, postgres:// or postgresql://")
    if not found["NAME"] and "service" not in found.get("OPTIONS", {}):
        raise ValueError("names no database")
    return found


def _postgresql(url: str) -> dict[str, Any]:
    from psycopg import ProgrammingError, conninfo  # noqa: PLC0415 only some sites need the library

    try:
        options: dict[str, Any] = conninfo.conninfo_to_dict(url)
    except ProgrammingError as error:
        # The message of libpq quotes the text that it cannot parse, which may be a password.
        fault = str(error).partition('"')[0].strip(" :\n")
        raise ValueError(f"can't be read: {fault}; {URL_ESCAPES}") from None
    hosts = options.pop("host", "").split(",")
    ports = [port or "5432" for port in options.pop("port", "").split(",")]
    ports *= len(hosts) if len(ports) == 1 else 1
    is_number = all(port.isdecimal() and 0 < int(port) < 1 << 16 for port in ports)
    if len(ports) != len(hosts) or not is_number or any("@" in host for host in hosts):
        raise ValueError(f"has a host or port that can't be read: {URL_ESCAPES}")
    if len(hosts) > 1:
        # The timeout is in seconds for each host. psycopg waits for at least two.
        options = {"target_session_attrs": "read-write", "connect_timeout": "2"} | options
    if options.get("target_session_attrs", "any") not in SESSION_ATTRS:
        raise ValueError(
            f"has target_session_attrs that are none of {', '.join(sorted(SESSION_ATTRS))}"
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": options.pop("dbname", ""),
        "USER": options.pop("user", ""),
        "PASSWORD": options.pop("password", ""),
        "HOST": ",".join(hosts),
        "PORT": ",".join(ports),
        "OPTIONS": options,
    }


def origin(text: str) -> str:
    """Parse an origin (RFC 6454): a scheme, a host and perhaps a port, without a path."""
    is_one = re.fullmatch(r"https?://[\w.:\[\]-]+/?", text)
    if not is_one or not _is_readable(text) or not urlsplit(text).hostname:
        raise ValueError("is an origin such as https://accounts.example.org, without a path")
    return text.rstrip("/").lower()


def host_name(text: str) -> str:
    """Parse a host name into lower case: a domain name without scheme, port or final dot."""
    if not re.fullmatch(r"(?!-)[a-z0-9-]{1,63}(\.(?!-)[a-z0-9-]{1,63})*", text):
        raise ValueError("is a host name such as accounts.example.org")
    return text


def hosts(text: str) -> tuple[str, ...]:
    """Parse a list of host names, with the port if it is not 443, such as ``example.org:8443``."""
    for word in words(text):
        name, colon, port = word.partition(":")
        host_name(name)
        if colon and (port == "443" or not re.fullmatch(r"[1-9][0-9]{0,4}", port)):
            raise ValueError("is a list of hosts such as example.org or example.org:8443")
    return words(text)


def origins(text: str) -> tuple[str, ...]:
    """Parse a list of origins, such as ``https://app.example.org``."""
    return tuple(origin(word) for word in words(text))


# The identifiers of apps. Android: the digest of the certificate in base64url, and an optional
# package. Apple: the id of the team and of the app.
_APP = re.compile(
    r"android:apk-key-hash:[\w-]{43}(@\w+(\.\w+)+)?|webcredentials:[A-Z0-9]{10}(\.[A-Za-z0-9-]+)+"
)


def passkey_origins(text: str) -> tuple[str, ...]:
    """Parse a list of origins and apps, such as ``webcredentials:TEAM123456.org.example.app``."""
    return tuple(word if _APP.fullmatch(word) else origin(word) for word in words(text))


_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# Matches only email addresses that Django's validator accepts, too.
PLAIN_EMAIL = re.compile(
    rf"[a-z0-9_+-]{{1,64}}(?:\.[a-z0-9_+-]{{1,64}})?@(?:{_LABEL}\.){{1,3}}[a-z]{{2,63}}"
)


def mailbox(text: str) -> str:
    """Parse an email address without a display name."""
    try:
        # Django's validator compiles a pattern at its first use, which takes a tenth of the
        # start-up time.
        if not PLAIN_EMAIL.fullmatch(text):
            validate_email(text)
    except ValidationError:
        raise ValueError("is an address such as accounts@example.org") from None
    return text


def contact(text: str) -> str:
    """Parse a contact URI (RFC 9116 section 2.5.3), which begins with ``mailto:`` or ``https:``."""
    if text.startswith("mailto:"):
        mailbox(text.removeprefix("mailto:"))
    elif not re.fullmatch(r"https://[!-~]+", text) or not _is_readable(text):
        raise ValueError("is mailto:security@example.org or begins with https://")
    return text


def ip(text: str) -> str:
    """Parse an IP address."""
    return str(ip_address(text))


def certificates(text: str) -> str:
    """Return the absolute path of a file with the certificates of authorities, in PEM format."""
    path = Path(text).absolute()
    try:
        ssl.create_default_context(cafile=path)
    except OSError:
        raise ValueError(f"is no readable file with certificates in PEM format: {path}") from None
    return str(path)


def fernet_keys(text: str) -> tuple[str, ...]:
    """Parse a list of Fernet keys, newest first: 32 bytes each in URL-safe base64."""
    for key in words(text):
        Fernet(key)
    return words(text)


def _is_readable(url: str) -> bool:
    """Return whether the host and port of ``url`` can be parsed.

    An unescaped # or / in the password makes this impossible.
    """
    try:
        parts = urlsplit(url)
        return (parts.port or 1) > 0 and not parts.fragment
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """The settings of the server and of its requests to other servers."""

    port: int = setting("The port that the server listens on.", whole(65535), default=8000)
    bind: str = setting("The IP address that the server listens on.", ip, default="127.0.0.1")
    unix_socket: str = setting(
        "Path of a Unix socket to listen on in place of PORT, for a proxy on this machine. Only "
        "the file's user and group can connect. Their connections count as coming from 127.0.0.1."
    )
    tls_cert_file: str = setting(
        "Path of the certificate chain (PEM) for TLS 1.2 and 1.3 on PORT. SIGHUP reloads it and "
        "the key without losing a request. If unset, a proxy must terminate TLS."
    )
    tls_key_file: str = setting("Path of the certificate's private key: a file of mode 600 or 640.")
    redirect_port: int = setting(
        "With TLS_CERT_FILE: the port for plain HTTP, which redirects each request to the same "
        "page of ORIGIN and answers ACME challenges; 0 for none.",
        whole(65535, least=0),
        default=0,
    )
    acme_webroot: str = setting(
        "The folder where an ACME client writes `.well-known/acme-challenge/TOKEN` (`certbot "
        "--webroot -w`, `lego --http.webroot`), served on REDIRECT_PORT."
    )
    trusted_proxies: tuple[Network, ...] = setting(
        "Proxies whose headers `X-Forwarded-…` count, by IP address or network.",
        networks,
        default=(),
    )
    ca_file: str = setting(
        "Path of a file (PEM) with the certificate authorities that the site trusts when it calls "
        "apps and providers, such as `/etc/ssl/certs/ca-certificates.crt`. If unset, those of "
        "Mozilla's list.",
        certificates,
    )


# The longest lifetime of an ID token, in seconds.
LONGEST_ID_TOKEN = 3600
# The maximum length of the names of all scopes, separated by spaces, and of one description.
LONGEST_SCOPES, LONGEST_DESCRIPTION = 800, 200
# RFC 6749 section 3.3.
_SCOPE = re.compile(r"[!#-\[\]-~]+")


def described_scopes(text: str) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Parse the scopes of services, with descriptions by language, from JSON.

    The JSON is ``{service: {scope: description}}``. A description is a text, or an object with a
    text for each language.

    Raises:
        ValueError: ``text`` has another form, a duplicate scope, or an invalid name or
            description.
    """
    sentence = "must be a JSON object: {service: {scope: description}}"
    services = from_json(text, dict, sentence)
    if not all(isinstance(scopes, dict) for scopes in services.values()):
        raise ValueError(sentence)
    described = {
        service: {name: _by_language(name, words) for name, words in scopes.items()}
        for service, scopes in services.items()
    }
    names = [name for scopes in described.values() for name in scopes]
    if len(set(names)) < len(names):
        raise ValueError("has a scope twice: only one service can define it")
    if len(" ".join(names)) > LONGEST_SCOPES:
        raise ValueError(f"has names of more than {LONGEST_SCOPES} characters, with the spaces")
    return described


def _by_language(name: str, description: Any) -> Mapping[str, str]:
    if not _SCOPE.fullmatch(name):
        raise ValueError("has a scope with a space, a quotation mark or another odd character")
    texts = description if isinstance(description, dict) else {"en": description}
    if not texts or not all(map(_is_description, texts.values())):
        most = LONGEST_DESCRIPTION
        raise ValueError(f"has a scope without a description of 1 to {most} printable characters")
    return texts


def _is_description(text: Any) -> bool:
    is_text = isinstance(text, str) and text.strip() and text.isprintable()
    return bool(is_text) and len(text) <= LONGEST_DESCRIPTION


@dataclass(frozen=True, kw_only=True)
class OAuthSettings:
    """The settings of the OpenID Provider."""

    openid_provider: str = setting(
        "`off` removes the OpenID Provider: its addresses, its pages and its commands. Before you "
        "turn it off on a site that has had it, run `manage.py migrate oauth zero`.",
        choice("on", "off"),
        default="on",
    )
    id_token_algorithm: str = setting(
        "How ID tokens for apps are signed: `RS256`, which every client library accepts, `ES256` "
        "or `EdDSA`.",
        choice("RS256", "ES256", "EdDSA"),
        default="RS256",
    )
    id_token_seconds: int = setting(
        "Lifetime of an ID token in seconds, 30 to 3600.",
        whole(LONGEST_ID_TOKEN, least=30),
        default=300,
    )
    code_seconds: int = setting(
        "Seconds in which an app must redeem an authorization code, 10 to 600.",
        whole(600, least=10),
        default=60,
    )
    client_metadata_hosts: tuple[str, ...] = setting(
        "Hosts at which apps may describe themselves by a client ID metadata document, as MCP "
        "clients do: `vscode.dev`, or `example.org:8443`. People are always asked for consent.",
        hosts,
        default=(),
    )
    client_metadata_audiences: tuple[str, ...] = setting(
        "The services in TOKEN_AUDIENCES, such as MCP servers, for which the apps at "
        "CLIENT_METADATA_HOSTS can get access tokens.",
        words,
        default=(),
    )
    audience_scopes: Mapping[str, Mapping[str, Mapping[str, str]]] = setting(
        "Scopes that services in TOKEN_AUDIENCES define: a JSON object "
        '`{"https://shop.example.org": {"orders:read": "view your orders"}}`. The description '
        "completes the sentence that people read: the app “will be able to view your orders”. "
        'It can differ by language: `{"en": "view your orders", "de": "…"}`; the first is for all '
        "others. "
        "Names of this site's scopes, such as `email`, are ignored. Programs that sign in with a "
        "password get them by `token/`, with the service as its `audience`.",
        described_scopes,
        default=MappingProxyType({}),
    )
