"""Reads the metadata with which an app describes itself (RFC 7591 section 2).

The metadata is not trusted: apps make mistakes, and attackers request too many rights.
"""

from collections.abc import Collection
from typing import Any, cast

from django.core.exceptions import ValidationError

from accounts.oauth import id_tokens
from accounts.oauth.clients.authentication import METHODS
from accounts.oauth.clients.models import ES256, Client
from accounts.oauth.clients.uris import LONGEST, sector_of
from accounts.oauth.decisions import OFFLINE
from accounts.oauth.protocol import OAuthError
from accounts.tokens import keyring

CODE, REFRESH = "authorization_code", "refresh_token"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
# For each field of an app that comes from the metadata: the name of the member, and the value if it
# is missing.
_FIELDS: dict[str, tuple[str, Any]] = {
    "name": ("client_name", ""),
    "logout_uris": ("post_logout_redirect_uris", []),
    "backchannel_logout_uri": ("backchannel_logout_uri", ""),
    "requires_par": ("require_pushed_authorization_requests", False),
    "requires_dpop": ("dpop_bound_access_tokens", False),
    # No standard defines such a member.
    "requires_pkce": ("require_pkce", True),
    "homepage": ("client_uri", ""),
    "privacy_url": ("policy_uri", ""),
    "terms_url": ("tos_uri", ""),
}
# The same for fields that are not always read.
_NAMES = {name: member for name, (member, _missing) in _FIELDS.items()} | {
    name: name for name in ("redirect_uris", "jwks", "jwks_uri")
}


def read(
    metadata: Any,
    may_grant: Collection[str],
    source: Client.Source = Client.Source.REGISTRATION,
) -> Client:
    """Return an unsaved app with the properties that ``metadata`` describes.

    The app is not verified, not first-party, and has no audiences. Pictures (``logo_uri``) and
    unknown members are ignored, and so are scopes, grant types and response types that the app
    cannot have (RFC 7591 section 3.2.1 allows this).

    ``metadata``: the parsed JSON, which can be any value.
    ``may_grant``: the scopes that the app may have. If ``metadata`` names no scopes, it gets all of
        these.

    Raises:
        OAuthError: ``invalid_redirect_uri`` or ``invalid_client_metadata`` (RFC 7591 section
            3.2.2).
    """
    if not isinstance(metadata, dict):
        raise _invalid("The metadata must be a JSON object.")
    method = _method(metadata)
    grant_types = _member(metadata, "grant_types", []) or [CODE]
    client = Client(
        **{name: _member(metadata, *member) for name, member in _FIELDS.items()},
        **(_keys(metadata) if method == "private_key_jwt" else {}),
        is_public=method == "none",
        is_device=DEVICE in grant_types,
        is_verified=False,
        source=source,
        redirect_uris=(uris := _redirect_uris(metadata, grant_types)),
        scope=_scope(metadata, grant_types, may_grant),
        sector=_sector(metadata, uris),
        id_token_algorithm=_algorithm(metadata),
    )
    return _checked(client)


def written(client: Client, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of ``client``, without empty members (RFC 7591 section 3.2.1).

    ``metadata``: the metadata from which :func:`read` has created ``client``.
    """
    has_code, may_refresh = bool(client.redirect_uris), OFFLINE in client.scope.split()
    grant_types = {CODE: has_code, DEVICE: client.is_device, REFRESH: may_refresh}
    fields = {member: getattr(client, name) for name, member in _NAMES.items()}
    return {member: value for member, value in fields.items() if value} | {
        "grant_types": [name for name, is_on in grant_types.items() if is_on],
        "response_types": ["code"] if has_code else [],
        "scope": client.scope,
        "token_endpoint_auth_method": _method(metadata),
        "id_token_signed_response_alg": id_tokens.algorithm(client),
        "dpop_bound_access_tokens": client.requires_dpop,
        "require_pkce": client.requires_pkce,
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
    if "code" not in (_member(metadata, "response_types", []) or ["code"]):
        raise _invalid("The response_types must include code.")
    uris: list[str] = _member(metadata, "redirect_uris", [])
    if not uris:
        raise OAuthError("invalid_redirect_uri", "The redirect_uris are missing.")
    return uris


def _scope(metadata: dict[str, Any], grant_types: list[str], may_grant: Collection[str]) -> str:
    """Return the scopes of ``may_grant`` that the app names; ``openid`` if there are none."""
    named = _member(metadata, "scope", "").split() or may_grant
    may_refresh = REFRESH in grant_types
    kept = [s for s in may_grant if s in named and (may_refresh or s != OFFLINE)]
    return " ".join(kept) or "openid"


def _sector(metadata: dict[str, Any], uris: list[str]) -> str:
    """Return the sector of an app with pairwise subjects, which is the host of its redirect URIs.

    Raises:
        OAuthError: the redirect URIs have several hosts or none; or the metadata has a
            ``sector_identifier_uri``, by which the app could enter the sector of other apps.
    """
    kind = _member(metadata, "subject_type", "") or "public"
    if kind == "public":
        return ""
    sector = sector_of(uris)
    if kind != "pairwise" or not sector or "sector_identifier_uri" in metadata:
        raise _invalid("A pairwise sector is the one host of all redirect_uris, and nothing else.")
    return sector


def _algorithm(metadata: dict[str, Any]) -> str:
    """Return the algorithm of ID tokens that the app names if it is supported, else ""."""
    named = _member(metadata, "id_token_signed_response_alg", "")
    return named if named == ES256 and named in keyring.algorithms() else ""


def _method(metadata: dict[str, Any]) -> str:
    method = _member(metadata, "token_endpoint_auth_method", "") or "client_secret_basic"
    if method not in METHODS:
        raise _invalid("The token_endpoint_auth_method is not supported.")
    return method


def _keys(metadata: dict[str, Any]) -> dict[str, Any]:
    if ("jwks_uri" in metadata) == ("jwks" in metadata):
        raise _invalid("The keys must be in jwks or at jwks_uri.")
    name = "jwks" if "jwks" in metadata else "jwks_uri"
    # Without keys, the app would authenticate by a secret.
    if not metadata[name]:
        raise _wrong(name)
    return {name: metadata[name] if name == "jwks" else _member(metadata, name, "")}


def _member[T](metadata: dict[str, Any], name: str, missing: T) -> T:
    """Return the member ``name``, a list without duplicates; ``missing`` if there is none.

    Raises:
        OAuthError: the member has another type than ``missing``, or one of its texts is too
            long or has unprintable characters.
    """
    value = metadata.get(name, missing)
    texts = value if isinstance(value, list) else [str(value)]
    is_right = type(value) is type(missing) and all(isinstance(text, str) for text in texts)
    if not is_right or not all(len(text) <= LONGEST and text.isprintable() for text in texts):
        raise _wrong(name)
    return cast(T, list(dict.fromkeys(value)) if isinstance(value, list) else value)


def _checked(client: Client) -> Client:
    """Check ``client`` as an app of an operator is checked, and return it.

    Raises:
        OAuthError: one of its fields is not allowed.
    """
    try:
        # ``clean`` is called first, because ``clean_fields`` encodes the keys, which raises
        # RecursionError if they are deeply nested.
        client.clean()
        client.clean_fields()
    except ValidationError as error:
        fields = error.message_dict
        first = "redirect_uris" if "redirect_uris" in fields else min(fields)
        raise _wrong(_NAMES.get(first, "subject_type")) from None
    return client


def _wrong(name: str) -> OAuthError:
    is_uri = name == "redirect_uris"
    error = "invalid_redirect_uri" if is_uri else "invalid_client_metadata"
    return OAuthError(error, f"The member {name} is missing or not allowed.")


def _invalid(description: str) -> OAuthError:
    return OAuthError("invalid_client_metadata", description)
