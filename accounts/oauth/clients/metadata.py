"""Reads the metadata with which an app describes itself (RFC 7591 section 2).

The metadata is not trusted: apps make mistakes in it, and attackers ask for too many rights.
"""

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError

from accounts.oauth import id_tokens
from accounts.oauth.clients import keys
from accounts.oauth.clients.authentication import METHODS
from accounts.oauth.clients.uris import LONGEST, sector_of
from accounts.oauth.decisions import OFFLINE
from accounts.oauth.models import Client
from accounts.oauth.protocol import OAuthError

CODE, REFRESH = "authorization_code", "refresh_token"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
# The fields of an app, each with the metadata member that it is read from.
_FIELDS = {
    "name": "client_name",
    "redirect_uris": "redirect_uris",
    "logout_uris": "post_logout_redirect_uris",
    "backchannel_logout_uri": "backchannel_logout_uri",
    "jwks": "jwks",
    "jwks_uri": "jwks_uri",
    "homepage": "client_uri",
    "privacy_url": "policy_uri",
    "terms_url": "tos_uri",
}


def read(
    metadata: Any,
    may_grant: Collection[str],
    source: Client.Source = Client.Source.REGISTRATION,
) -> Client:
    """Return an unsaved app with the properties that ``metadata`` gives.

    The app is not verified, not first-party, and has no audiences. Pictures (``logo_uri``) and
    unknown members are ignored, and so are scopes, grant types and response types that the app
    cannot have (RFC 7591 section 3.2.1 allows that).

    ``metadata``: the parsed JSON, which can be anything.
    ``may_grant``: the scopes that the app may have. It gets all if ``metadata`` names none.

    Raises:
        OAuthError: ``invalid_redirect_uri`` or ``invalid_client_metadata`` (RFC 7591 section
            3.2.2).
    """
    if not isinstance(metadata, dict):
        raise _invalid("The metadata must be a JSON object.")
    method = _method(metadata)
    grant_types = _texts(metadata, "grant_types") or [CODE]
    client = Client(
        name=_text(metadata, "client_name"),
        is_public=method == "none",
        is_device=DEVICE in grant_types,
        is_verified=False,
        source=source,
        redirect_uris=(uris := _redirect_uris(metadata, grant_types)),
        logout_uris=_texts(metadata, "post_logout_redirect_uris"),
        backchannel_logout_uri=_text(metadata, "backchannel_logout_uri"),
        scope=_scope(metadata, grant_types, may_grant),
        requires_dpop=_flag(metadata, "dpop_bound_access_tokens"),
        sector=_sector(metadata, uris),
        **(_keys(metadata) if method == "private_key_jwt" else {}),
        homepage=_text(metadata, "client_uri"),
        privacy_url=_text(metadata, "policy_uri"),
        terms_url=_text(metadata, "tos_uri"),
    )
    return _checked(client)


def written(client: Client, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of ``client``, without empty members (RFC 7591 section 3.2.1).

    ``metadata``: the metadata from which :func:`read` has made ``client``.
    """
    has_code, may_refresh = bool(client.redirect_uris), OFFLINE in client.scope.split()
    grant_types = {CODE: has_code, DEVICE: client.is_device, REFRESH: may_refresh}
    fields = {member: getattr(client, name) for name, member in _FIELDS.items()}
    return {member: value for member, value in fields.items() if value} | {
        "grant_types": [name for name, is_on in grant_types.items() if is_on],
        "response_types": ["code"] if has_code else [],
        "scope": client.scope,
        "token_endpoint_auth_method": _method(metadata),
        "id_token_signed_response_alg": id_tokens.algorithm(),
        "dpop_bound_access_tokens": client.requires_dpop,
        "subject_type": "pairwise" if client.sector else "public",
    }


def _redirect_uris(metadata: dict[str, Any], grant_types: list[str]) -> list[str]:
    """Return the redirect URIs; none if the app does not use the code flow.

    Raises:
        OAuthError: the app uses the code flow but names no redirect URI, or it uses no flow that
            this site supports.
    """
    if CODE not in grant_types:
        if DEVICE not in grant_types:
            raise _invalid("The grant_types must include authorization_code or that of devices.")
        return []
    if "code" not in (_texts(metadata, "response_types") or ["code"]):
        raise _invalid("The response_types must include code.")
    uris = _texts(metadata, "redirect_uris", "invalid_redirect_uri")
    if not uris:
        raise OAuthError("invalid_redirect_uri", "The redirect_uris are missing.")
    return uris


def _scope(metadata: dict[str, Any], grant_types: list[str], may_grant: Collection[str]) -> str:
    """Return the scopes of ``may_grant`` that the app names; ``openid`` if none is left."""
    named = _text(metadata, "scope").split() or may_grant
    may_refresh = REFRESH in grant_types
    kept = [s for s in may_grant if s in named and (may_refresh or s != OFFLINE)]
    return " ".join(kept) or "openid"


def _sector(metadata: dict[str, Any], uris: list[str]) -> str:
    """Return the sector of an app that wants pairwise subjects, which is the host of its URIs.

    Raises:
        OAuthError: the redirect URIs have several hosts or none; or the metadata has a
            ``sector_identifier_uri``, by which the app could enter the sector of other apps.
    """
    kind = _text(metadata, "subject_type") or "public"
    if kind == "public":
        return ""
    sector = sector_of(uris)
    if kind != "pairwise" or not sector or "sector_identifier_uri" in metadata:
        raise _invalid("A pairwise sector is the one host of all redirect_uris, and nothing else.")
    return sector


def _method(metadata: dict[str, Any]) -> str:
    method = _text(metadata, "token_endpoint_auth_method") or "client_secret_basic"
    if method not in METHODS:
        raise _invalid("The token_endpoint_auth_method is not supported.")
    return method


def _keys(metadata: dict[str, Any]) -> dict[str, Any]:
    if ("jwks_uri" in metadata) == ("jwks" in metadata):
        raise _invalid("The keys must be in jwks or at jwks_uri.")
    if "jwks" not in metadata:
        return {"jwks_uri": _text(metadata, "jwks_uri")}
    try:
        # The field's own check encodes the JSON, which raises RecursionError if it nests deeply.
        return {"jwks": keys.checked(metadata["jwks"])}
    except ValidationError:
        raise _wrong("jwks") from None


def _text(metadata: dict[str, Any], name: str) -> str:
    """Return the text of the member ``name``; an empty string if the member is missing.

    Raises:
        OAuthError: the member is not a text, is too long, or has unprintable characters.
    """
    value = metadata.get(name, "")
    if not isinstance(value, str) or not _is_clean(value):
        raise _wrong(name)
    return value


def _texts(
    metadata: dict[str, Any], name: str, error: str = "invalid_client_metadata"
) -> list[str]:
    """Return the texts in the list ``name``, each once; none if it is missing.

    Raises:
        OAuthError: with the code ``error``: it is no list of texts.
    """
    values = metadata.get(name, [])
    if not isinstance(values, list) or not all(isinstance(v, str) and _is_clean(v) for v in values):
        raise _wrong(name, error)
    return list(dict.fromkeys(values))


def _flag(metadata: dict[str, Any], name: str) -> bool:
    value = metadata.get(name, False)
    if not isinstance(value, bool):
        raise _wrong(name)
    return value


def _is_clean(value: str) -> bool:
    return len(value) <= LONGEST and value.isprintable()


def _checked(client: Client) -> Client:
    """Return ``client`` after the checks that the apps of an operator must also pass.

    Raises:
        OAuthError: one of its fields is not allowed.
    """
    try:
        client.clean_fields()
        client.clean()
    except ValidationError as error:
        fields = error.message_dict
        if "redirect_uris" in fields:
            raise _wrong("redirect_uris", "invalid_redirect_uri") from None
        raise _wrong(_FIELDS.get(min(fields), "subject_type")) from None
    return client


def _wrong(name: str, error: str = "invalid_client_metadata") -> OAuthError:
    return OAuthError(error, f"The member {name} is missing or not allowed.")


def _invalid(description: str) -> OAuthError:
    return OAuthError("invalid_client_metadata", description)
