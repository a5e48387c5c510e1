"""Settings of the OpenID Provider, which signs people in to apps."""

from dataclasses import dataclass

from accounts.common.setting_parsers import choice, hosts, setting, whole, words

# The longest lifetime of an ID token, in seconds.
LONGEST_ID_TOKEN = 3600


@dataclass(frozen=True, kw_only=True)
class OAuthSettings:
    """The settings of the OpenID Provider."""

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
