"""The operators' settings by subject: network, OpenID Provider."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from accounts.common.client_info import Network
from accounts.common.setting_parsers import (
    certificates,
    choice,
    from_json,
    hosts,
    ip,
    networks,
    setting,
    whole,
    words,
)


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """The settings of the server, and of the requests that the site sends."""

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
# The most characters of the names of all scopes, separated by spaces, and of one description.
LONGEST_SCOPES, LONGEST_DESCRIPTION = 800, 200
# RFC 6749 section 3.3.
_SCOPE = re.compile(r"[!#-\[\]-~]+")


def described_scopes(text: str) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return the scopes of each service from a setting in JSON, with descriptions by language.

    The JSON is ``{service: {scope: description}}``. A description is a text, or texts by language.

    Raises:
        ValueError: ``text`` has another form, a scope twice, or an invalid name or description.
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
