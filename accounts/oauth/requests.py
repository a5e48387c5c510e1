"""Reads and checks authorization requests (RFC 6749 section 4.1.1, RFC 7636, RFC 8707, RFC 9126).

A request is refused with an :class:`OAuthError`. Only after :func:`client_of` and
:func:`redirect_uri_of` is it safe to redirect to the app.
"""

import re
import uuid
from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.http import QueryDict

from accounts.common import clock
from accounts.common.proofs import Assurance
from accounts.oauth import clients, document_urls, id_tokens, redirect_uris
from accounts.oauth.models import LONGEST_ID, AuthorizationRequest, Client
from accounts.oauth.protocol import OAuthError
from accounts.oauth.scopes import API_SCOPES, SCOPES, audiences_of, known, of_service

# How long a person has to complete a request.
LIFE = timedelta(hours=1)
PROMPTS = {"none", "login", "consent", "select_account"}
# Longer than a session can be, so a greater ``max_age`` means the same.
LONGEST_AGE = 10**9
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_AGE = re.compile(r"[0-9]{1,18}", re.ASCII)
# Parameters that would change the meaning of a request, and the errors that OpenID Connect Core
# sections 3.1.2.6 and 7.2.1 have for them.
_UNSUPPORTED = {
    "request": "request_not_supported",
    "registration": "registration_not_supported",
}


def client_of(data: QueryDict) -> tuple[str, Client | None]:
    """Return the client ID in the request, and the app; None if its document must be read first.

    Raises:
        OAuthError: the request names no app, an unknown one, or several.
    """
    client_id = single(data, "client_id")
    # PostgreSQL would refuse a NUL character with an error.
    is_possible = 0 < len(client_id) <= LONGEST_ID and client_id.isprintable()
    if not is_possible or document_urls.is_withdrawn(client_id):
        raise _unknown()
    client = clients.find(client_id)
    if client is None and not document_urls.is_url(client_id):
        raise _unknown()
    return client_id, client


def redirect_uri_of(data: QueryDict, client: Client) -> str:
    """Return the redirect URI of the request, which ``client`` has registered.

    Raises:
        OAuthError: the redirect URI is missing, not registered, or repeated.
    """
    return check_redirect_uri(client, single(data, "redirect_uri"))


def single(data: QueryDict, name: str) -> str:
    """Return the value of a parameter; an empty string if it is missing or repeated."""
    values = data.getlist(name)
    return values[0] if len(values) == 1 else ""


def read(client: Client, given: Mapping[str, str]) -> AuthorizationRequest:
    """Return an unsaved authorization request of ``client`` with the parameters ``given``.

    Raises:
        OAuthError: the request is not valid.
    """
    _check_form(given)
    scope, audience = access_of(client, given)
    return AuthorizationRequest(
        client=client,
        redirect_uri=check_redirect_uri(client, given.get("redirect_uri", "")),
        scope=scope,
        audience=audience,
        state=given.get("state", ""),
        nonce=given.get("nonce", ""),
        code_challenge=_challenge(given),
        dpop_jkt=_dpop_jkt(given.get("dpop_jkt", "")),
        prompts=_prompts(given.get("prompt", "")),
        max_age=_max_age(given.get("max_age", "")),
        acr_values=_acr_values(given.get("acr_values", "")),
        # These two only help people, so a value that is too long is cut instead of refused.
        login_hint=given.get("login_hint", "")[:254],
        ui_locales=given.get("ui_locales", "")[:255],
        subject=_subject(client, given.get("id_token_hint", "")),
        expires_at=clock.now() + LIFE,
    )


def access_of(client: Client, given: Mapping[str, str]) -> tuple[str, str]:
    """Return the scopes that ``client`` requests, and the service that its tokens are for.

    Raises:
        OAuthError: ``invalid_scope`` or ``invalid_target``: the client may not have them;
            ``unauthorized_client``: it has expired.
    """
    if client.has_expired:
        raise OAuthError("unauthorized_client", "The client has expired. Register it again.")
    scope = _scope(client, given.get("scope", ""))
    audience = _audience(client, given.get("resource", ""), scope)
    if others := set(scope.split()) - SCOPES.keys() - of_service(audience).keys():
        sentence = f"The scope {min(others)} needs another resource."
        raise OAuthError("invalid_scope", sentence)
    return scope, audience


def _check_form(given: Mapping[str, str]) -> None:
    """Check that the request is for the code flow, with the response in the query.

    Raises:
        OAuthError: it is for another flow, or has a parameter that the site does not support.
    """
    for name, error in _UNSUPPORTED.items():
        if name in given:
            raise OAuthError(error, f"The parameter {name} is not supported.")
    if "response_type" not in given:
        raise OAuthError("invalid_request", "The response_type is missing.")
    if given["response_type"] != "code":
        raise OAuthError("unsupported_response_type", "The response_type must be code.")
    if given.get("response_mode", "query") != "query":
        raise OAuthError("invalid_request", "The response_mode must be query.")


def _unknown() -> OAuthError:
    return OAuthError("invalid_request", "The client_id is missing or unknown.")


def check_redirect_uri(client: Client, given: str) -> str:
    """Return the redirect URI ``given`` if ``client`` has registered it.

    Raises:
        OAuthError: ``client`` has not registered it.
    """
    if redirect_uris.is_registered(client.redirect_uris, given):
        return given
    raise OAuthError("invalid_request", "The redirect_uri is missing or not registered.")


def _challenge(given: Mapping[str, str]) -> str:
    """Return the code challenge. Every app needs one (RFC 9700 section 2.1.1).

    Raises:
        OAuthError: the challenge is missing, malformed, or not made with S256.
    """
    if "code_challenge" not in given:
        raise OAuthError("invalid_request", "The code_challenge is missing.")
    # The default method is ``plain``, whose challenge is the verifier (RFC 7636 section 4.3).
    if given.get("code_challenge_method") != "S256":
        raise OAuthError("invalid_request", "The code_challenge_method must be S256.")
    if not _CHALLENGE.fullmatch(given["code_challenge"]):
        raise OAuthError("invalid_request", "The code_challenge must have 43 characters.")
    return given["code_challenge"]


def _dpop_jkt(given: str) -> str:
    """Return the thumbprint of the key that the code will be bound to (RFC 9449 section 10).

    Raises:
        OAuthError: it is malformed.
    """
    if given and not _CHALLENGE.fullmatch(given):
        raise OAuthError("invalid_request", "The dpop_jkt must have 43 characters.")
    return given


def _scope(client: Client, given: str) -> str:
    """Return the scopes, each once, without unknown ones (OpenID Connect Core section 3.1.2.1).

    Raises:
        OAuthError: there is no known scope, or one that the app may not request.
    """
    if not given and client.source != Client.Source.OPERATOR:
        # MCP clients name no scope if the server that they are for names none (RFC 6749 section
        # 3.3 allows a default).
        return "openid"
    defined = known()
    wanted = [name for name in dict.fromkeys(given.split(" ")) if name in defined]
    if not wanted:
        raise OAuthError("invalid_scope", "The scope is missing, or none of its values is known.")
    if not_allowed := set(wanted) - set(client.scope.split()):
        raise OAuthError("invalid_scope", f"The app may not request {min(not_allowed)}.")
    return " ".join(wanted)


def _audience(client: Client, resource: str, scope: str) -> str:
    """Return the service that the tokens are for: ``resource`` (RFC 8707), or this site.

    Every app may have tokens for userinfo at this site, but not for the API of this site.

    Raises:
        OAuthError: the app may not have tokens for the service.
    """
    origin = settings.AUTHSITE.origin
    audience = resource or origin
    may_use = audience in audiences_of(client)
    if not may_use and (audience != origin or not API_SCOPES.isdisjoint(scope.split())):
        raise OAuthError("invalid_target", "The app may not request tokens for this resource.")
    return audience


def _prompts(given: str) -> str:
    wanted = list(dict.fromkeys(given.split()))
    if set(wanted) - PROMPTS or ("none" in wanted and len(wanted) > 1):
        raise OAuthError("invalid_request", "The prompt is unknown, or has none and another value.")
    return " ".join(wanted)


def _max_age(given: str) -> int | None:
    if not given:
        return None
    if not _AGE.fullmatch(given):
        raise OAuthError("invalid_request", "The max_age must be a number of seconds.")
    return min(int(given), LONGEST_AGE)


def _subject(client: Client, hint: str) -> uuid.UUID | None:
    """Return the ``sub`` of the person whom the ID token ``hint`` names; None without a hint.

    Raises:
        OAuthError: ``hint`` is no ID token that this site has issued to the app.
    """
    if not hint:
        return None
    claims = id_tokens.hint_of(hint, client.pk)
    if claims is None:
        raise OAuthError("invalid_request", "The id_token_hint is not valid.")
    return uuid.UUID(claims["sub"])


def _acr_values(given: str) -> str:
    known = dict.fromkeys(value for value in given.split() if value in set(Assurance))
    return " ".join(known)
