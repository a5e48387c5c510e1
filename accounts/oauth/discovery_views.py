"""The metadata documents from which apps configure themselves, given only the issuer.

They list exactly what this site supports, because clients choose from these lists.
The scopes of other services are missing: the metadata of the service lists them (RFC 9728).
"""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from accounts.common.localization import tag_of
from accounts.common.pages import absolute
from accounts.common.proofs import Assurance
from accounts.oauth import id_tokens
from accounts.oauth.clients import authentication
from accounts.oauth.clients.keys import ALGORITHMS
from accounts.oauth.clients.models import ES256
from accounts.oauth.id_tokens import BY_SCOPE
from accounts.oauth.requests import FORM_POST, PROMPTS
from accounts.oauth.scopes import API_SCOPES, SCOPES
from accounts.oauth.token_views import GRANTS
from accounts.profile import pictures
from accounts.tokens import dpop, keyring
from accounts.tokens.keyring import MAX_AGE

# The claims that ID tokens have whatever their scope is; ``nonce`` only if the request has one.
ALWAYS = ("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "amr", "acr", "sid")
CLAIMS = (*ALWAYS, *(name for names in BY_SCOPE.values() for name in names))
# The endpoints at which clients may authenticate by a signed assertion.
SIGNED = ("token", "revocation", "introspection")
CONFIDENTIAL_METHODS = [name for name in authentication.METHODS if name != "none"]
FEATURES = {
    "backchannel_logout_supported": True,
    "backchannel_logout_session_supported": True,
    "authorization_response_iss_parameter_supported": True,
    "claims_parameter_supported": True,
    "request_parameter_supported": False,
    # This is about signed requests; ``request_uri`` of RFC 9126 is supported.
    "request_uri_parameter_supported": False,
}


@login_not_required
@require_safe
def provider(_request: HttpRequest) -> HttpResponse:
    """Return the metadata of the OpenID Provider and authorization server.

    One document serves OpenID Connect Discovery 1.0 section 3 and RFC 8414 section 2.
    """
    return _public(
        {
            "issuer": settings.AUTHSITE.origin,
            "authorization_endpoint": absolute("authorize"),
            "pushed_authorization_request_endpoint": absolute("par"),
            "device_authorization_endpoint": absolute("authorize_device"),
            "token_endpoint": absolute("oauth_token"),
            "userinfo_endpoint": absolute("userinfo"),
            "end_session_endpoint": absolute("oauth_logout"),
            "revocation_endpoint": absolute("oauth_revoke"),
            "introspection_endpoint": absolute("introspect"),
            "registration_endpoint": absolute("register"),
            "jwks_uri": absolute("jwks"),
            "scopes_supported": list(SCOPES),
            "claims_supported": [name for name in CLAIMS if name != "picture" or pictures.is_on()],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", FORM_POST],
            "grant_types_supported": list(GRANTS),
            "code_challenge_methods_supported": ["S256"],
            "subject_types_supported": ["public", "pairwise"],
            "id_token_signing_alg_values_supported": _algorithms(),
            "dpop_signing_alg_values_supported": dpop.ALGORITHMS,
            "acr_values_supported": list(Assurance),
            "prompt_values_supported": sorted(PROMPTS),
            "ui_locales_supported": [tag_of(code) for code, _name in settings.LANGUAGES],
            "token_endpoint_auth_methods_supported": list(authentication.METHODS),
            "revocation_endpoint_auth_methods_supported": list(authentication.METHODS),
            "introspection_endpoint_auth_methods_supported": CONFIDENTIAL_METHODS,
            **{f"{name}_endpoint_auth_signing_alg_values_supported": ALGORITHMS for name in SIGNED},
            "client_id_metadata_document_supported": bool(settings.AUTHSITE.client_metadata_hosts),
            **FEATURES,
        }
    )


@login_not_required
@require_safe
def resource(_request: HttpRequest) -> HttpResponse:
    """Return the metadata of the API of this site as a protected resource (RFC 9728 section 2)."""
    origin = settings.AUTHSITE.origin
    return _public(
        {
            "resource": origin,
            "authorization_servers": [origin],
            "scopes_supported": sorted(API_SCOPES),
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": dpop.ALGORITHMS,
            "resource_name": settings.AUTHSITE.site_name,
            "resource_documentation": absolute("api-docs"),
        }
    )


def _algorithms() -> list[str]:
    """Return the algorithms of ID tokens: the usual one, and the one that an app may have."""
    usual = id_tokens.algorithm()
    return [usual, *({ES256} & keyring.algorithms() - {usual})]


def _public(document: dict[str, Any]) -> HttpResponse:
    age = int(MAX_AGE.total_seconds())
    return JsonResponse(document, headers={"Cache-Control": f"public, max-age={age}"})
