"""The token endpoint, userinfo, revocation (RFC 7009), introspection (RFC 7662) and metadata.

Apps configure themselves by the metadata, given only the issuer. The metadata lists exactly the
features that this site supports, because clients choose from these lists. Scopes of other services
are missing: the metadata of the service lists them (RFC 9728).
"""

from collections.abc import Callable, Collection
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from accounts.activity import events
from accounts.activity.services import Actor
from accounts.common import secrets
from accounts.common.client_info import ClientInfo, client_of, header_of
from accounts.common.localization import tag_of
from accounts.common.pages import absolute
from accounts.common.proofs import Assurance
from accounts.oauth import app_sessions, codes, connections, decisions, devices, id_tokens
from accounts.oauth.clients import authentication
from accounts.oauth.clients.authentication import authenticate, refused
from accounts.oauth.clients.keys import ALGORITHMS
from accounts.oauth.clients.models import ES256, Client
from accounts.oauth.id_tokens import BY_SCOPE, claims_of
from accounts.oauth.models import AppSession, AuthorizationCode
from accounts.oauth.protocol import (
    FORM,
    OAuthError,
    TokenMissing,
    answers,
    endpoint,
    form_of,
    required,
    success,
)
from accounts.oauth.requests import FORM_POST, PROMPTS
from accounts.oauth.scopes import API_SCOPES, SCOPES, audiences
from accounts.profile import pictures
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.tokens import dpop, families, keyring
from accounts.tokens import services as tokens
from accounts.tokens.access import AccessToken
from accounts.tokens.authentication import TOKEN_SCHEMES, read_token
from accounts.tokens.dpop import DpopProof, InvalidDpopProof, proof_of, token_type
from accounts.tokens.errors import InsufficientScope, InvalidToken
from accounts.tokens.keyring import MAX_AGE


@endpoint
def revoke(request: HttpRequest, sent: dict[str, str]) -> HttpResponse:
    """End the session to which the token belongs.

    The response is the same if the token is unknown, has ended or belongs to another app.
    """
    client, token = authenticate(request, sent), required(sent, "token")
    proof = proof_of(request)
    session = families.of(token) or tokens.family_of_access(token, audiences())
    is_its_own = session and AppSession.objects.filter(session=session, client=client).exists()
    if session and is_its_own and _may_revoke(client, token, session, proof):
        proof.consume()
        actor = Actor(client_of(request), session=session.pk)
        sessions.revoke(session, reason=events.CLIENT_SIGNED_OUT, actor=actor, detail=client.label)
    return success({})


def _may_revoke(client: Client, token: str, session: LoginSession, proof: DpopProof) -> bool:
    """Return whether the sender of ``token`` and the ID of ``client`` may end ``session``.

    A public app does not authenticate, and a service that receives its access token learns its ID.
    The service must not be able to sign the user out.

    Raises:
        OAuthError: the token is bound to a key that the sender has not proved to hold.
    """
    if not client.is_public:
        return True
    if session.dpop_thumbprint != proof.thumbprint:
        raise OAuthError("invalid_dpop_proof", "Send a DPoP proof of the key of the token.")
    # Access tokens for this site are not sent to other services.
    is_from_app = families.of(token) or tokens.family_of_access(token)
    return session.dpop_thumbprint != "" or is_from_app is not None


@endpoint
def introspect(request: HttpRequest, sent: dict[str, str]) -> HttpResponse:
    """Tell a confidential app whether its own token, or a token for its service, is active.

    A public app cannot prove its identity, so it gets no answer.
    """
    client, token = authenticate(request, sent), required(sent, "token")
    if client.is_public:
        raise refused()
    state = _of_access(token, client) or _of_refresh(token, client)
    return success({"active": state is not None, **(state or {})})


def _of_access(text: str, client: Client) -> dict[str, Any] | None:
    """Return the claims of a live access token that ``client`` may introspect, or None."""
    try:
        token, session = tokens.read(text, audiences(), key=None)
    except InvalidToken:
        return None
    is_its_own = session.is_app and token["client_id"] == client.pk
    is_its_service = client.resource != "" and token["aud"] == client.resource
    if not (is_its_own or is_its_service):
        return None
    return token.payload | {"token_type": dpop.token_type(token.key)}


def _of_refresh(text: str, client: Client) -> dict[str, Any] | None:
    held = app_sessions.with_token(text)
    if held is None or held.client_id != client.pk:
        return None
    session = held.session
    if session.refresh_digest != secrets.plain_digest(text):
        return None
    return {
        "client_id": client.pk,
        "scope": session.scope,
        "sub": str(session.subject),
        "iss": settings.AUTHSITE.origin,
        "exp": int(session.expires_at.timestamp()),
    }


@answers("GET", "POST")
def userinfo(request: HttpRequest) -> HttpResponse:
    """Return the claims about the user of an access token with the scope ``openid``.

    The token must be for this site, and in the header or in the form of a POST request. If it were
    in a URL, logs would store it.
    """
    scheme, text = header_of(request)
    if request.method == "POST" and request.content_type == FORM:
        # RFC 6750 section 2.2. A token that is bound to a key is accepted only in the header.
        in_form = form_of(request).get("access_token", "")
        if in_form and scheme:
            raise OAuthError("invalid_request", "Send the token in the header or in the form.")
        scheme, text = ("bearer", in_form) if in_form else (scheme, text)
    if scheme not in TOKEN_SCHEMES:
        raise TokenMissing
    try:
        token, session = read_token(request, scheme, text)
    except InvalidDpopProof as error:
        headers = {"WWW-Authenticate": error.www_authenticate}
        raise OAuthError(error.code, error.problem, status=401, headers=headers) from None
    if "openid" not in token.scope:
        headers = {"WWW-Authenticate": InsufficientScope("openid").www_authenticate}
        sentence = "The token was not granted for this."
        raise OAuthError("insufficient_scope", sentence, status=403, headers=headers)
    return success({"sub": str(session.subject), **claims_of(session.user, token.scope)})


type Answer = dict[str, Any]
type Grant = Callable[[Client, dict[str, str], ClientInfo, DpopProof], Answer]


@endpoint
def token(request: HttpRequest, sent: dict[str, str]) -> HttpResponse:
    """Return tokens in exchange for a code, a device code or a refresh token."""
    client = authenticate(request, sent)
    grant = GRANTS.get(required(sent, "grant_type"))
    if grant is None:
        raise OAuthError("unsupported_grant_type", f"The grant_type must be {' or '.join(GRANTS)}.")
    proof = proof_of(request)
    if client.must_use_dpop and not proof.thumbprint:
        raise OAuthError("invalid_dpop_proof", "The client must send a DPoP proof.")
    return success(grant(client, sent, client_of(request), proof))


def _by_code(client: Client, sent: dict[str, str], info: ClientInfo, proof: DpopProof) -> Answer:
    """Exchange a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5)."""
    code, redirect_uri = (required(sent, name) for name in ("code", "redirect_uri"))
    if client.requires_pkce and "code_verifier" not in sent:
        raise OAuthError("invalid_grant", "The parameter code_verifier is missing.")
    challenge = codes.code_challenge_of(sent.get("code_verifier", ""))
    held = codes.get(code, client, redirect_uri, challenge)
    return _redeemed(held, sent, info, proof)


def _by_device_code(
    client: Client, sent: dict[str, str], info: ClientInfo, proof: DpopProof
) -> Answer:
    """Exchange a device code that a person has allowed (RFC 8628 section 3.4)."""
    code = required(sent, "device_code")
    devices.check_decision(code, client)
    return _redeemed(codes.get(code, client), sent, info, proof)


def _redeemed(
    held: AuthorizationCode, sent: dict[str, str], info: ClientInfo, proof: DpopProof
) -> Answer:
    """Return the tokens for the code ``held``.

    All checks that may refuse the request are done before the code is used up.
    """
    if held.dpop_jkt not in {"", proof.thumbprint}:
        raise OAuthError("invalid_grant", "The code is bound to another key.")
    decisions.check_audience(sent, held.audience)
    scope = decisions.remaining(held.client, held.session, held.scope.split(), held.audience)
    id_tokens.be_ready(held.client)
    proof.consume()
    refresh_token = codes.redeem(held, info, proof.thumbprint)
    assert held.given is not None  # noqa: S101 for the type checker: ``redeem`` has set it
    answer = _token_response(held.given.app_session, held.given, scope, refresh_token)
    if "openid" in scope:
        answer["id_token"] = id_tokens.issue(held.given, held.client, scope, held.nonce)
    return answer


def _by_refresh_token(
    client: Client, sent: dict[str, str], info: ClientInfo, proof: DpopProof
) -> Answer:
    return refresh_tokens(client, sent, info, proof) or _repeat(client, sent, info, proof)


def refresh_tokens(
    client: Client, sent: dict[str, str], info: ClientInfo, proof: DpopProof
) -> Answer | None:
    """Exchange a refresh token (RFC 6749 section 6), for at most the granted access.

    All checks that may refuse the request are done before the token is replaced. Therefore a thief
    who lacks the key cannot end the session either.

    If the token is not the newest one of its session, do not replace it and return None.

    Raises:
        OAuthError: the request is refused.
        CannotSign: the signing key cannot be decrypted.
    """
    held = app_sessions.with_token(text := required(sent, "refresh_token"))
    if held is None or held.client_id != client.pk:
        raise _refused()
    scope = _wanted(client, sent, held, proof.thumbprint)
    id_tokens.be_ready(client)
    proof.consume()
    rotated = families.rotate(
        text, info, LoginSession.Kind.CONNECTED, keeps=not client.rotates_refresh
    )
    if rotated is None:
        return None
    renewed, successor = rotated
    renewed.user = held.session.user
    # The two times are equal only if the rotation has also recorded that the session was used.
    if renewed.used_at == renewed.rotated_at:
        connections.note_use(user=renewed.user_id, client=client.pk, audience=held.audience)
    return _refreshed(client, held, renewed, scope, successor)


def _repeat(client: Client, sent: dict[str, str], info: ClientInfo, proof: DpopProof) -> Answer:
    """Answer a request with an older refresh token, after :func:`refresh_tokens` returned None."""
    try:
        session, successor = families.repeat(
            sent["refresh_token"], info, LoginSession.Kind.CONNECTED
        )
    except InvalidToken:
        raise _refused() from None
    held = session.app_session
    scope = _wanted(client, sent, held, proof.thumbprint)
    return _refreshed(client, held, session, scope, successor)


def refresh_at_once(request: HttpRequest, sent: dict[str, str], info: ClientInfo) -> Answer | None:
    """Renew the tokens for ``request``, which is answered before Django; return the answer.

    Return None, and change nothing, if the request has another grant type, would be refused, or has
    a refresh token that is not the newest one of its session. Django then answers it. The caller is
    ``authsite.short_path``, which passes no request with a DPoP proof.

    Raises:
        CannotSign: the signing key cannot be decrypted.
    """
    if sent.get("grant_type") != "refresh_token":
        return None
    try:
        client = authentication.find_authenticated(request, sent)
        is_plain = client is not None and not client.must_use_dpop
        return refresh_tokens(client, sent, info, DpopProof()) if client and is_plain else None
    except OAuthError:
        return None


def _wanted(client: Client, sent: dict[str, str], held: AppSession, key: str) -> frozenset[str]:
    """Return the scopes to grant, which are at most those that ``client`` may still use.

    ``key``: the thumbprint of the key that the client has proved to hold, or an empty string. If
        the first tokens were bound to a key, the new ones must be bound to the same key.

    Raises:
        OAuthError: ``client`` may not refresh, or has requested more.
    """
    session = held.session
    if session.dpop_thumbprint != key:
        raise _refused()
    decisions.check_audience(sent, held.audience)
    scope = decisions.remaining(client, session, session.scope.split(), held.audience)
    wanted = frozenset(sent["scope"].split()) if "scope" in sent else scope
    # Some services treat a token without scopes as a token with all scopes.
    if not wanted or not wanted <= scope:
        raise OAuthError("invalid_scope", "The grant does not cover this scope.")
    if decisions.OFFLINE not in scope:
        raise _refused()
    return wanted


def _refreshed(
    client: Client,
    held: AppSession,
    session: LoginSession,
    scope: Collection[str],
    refresh_token: str,
) -> Answer:
    """Return the response to a refresh: :func:`_token_response`, usually with an ID token."""
    answer = _token_response(held, session, scope, refresh_token)
    if client.renews_id_token and "openid" in scope:
        answer["id_token"] = id_tokens.issue(session, client, scope)
    return answer


def _token_response(
    held: AppSession, session: LoginSession, scope: Collection[str], refresh_token: str
) -> Answer:
    """Return the tokens of ``held``. ``session``: its session in its current state."""
    token = AccessToken.issue(session, held.audience, frozenset(scope), client_id=held.client_id)
    answer = {
        "access_token": str(token),
        "token_type": token_type(session.dpop_thumbprint),
        "expires_in": token.expires_in,
        "scope": token["scope"],
    }
    return answer | ({"refresh_token": refresh_token} if refresh_token else {})


def _refused() -> OAuthError:
    return OAuthError(
        "invalid_grant",
        "The refresh token is invalid, expired, used, or for another client or key.",
    )


GRANTS: dict[str, Grant] = {
    "authorization_code": _by_code,
    "refresh_token": _by_refresh_token,
    devices.GRANT: _by_device_code,
}


# The claims in every ID token; ``nonce`` only if the request has one.
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
    # This refers to signed requests. ``request_uri`` of RFC 9126 is supported.
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
    """Return the algorithms of ID tokens: the usual one, and the one that apps can choose."""
    usual = id_tokens.algorithm()
    return [usual, *({ES256} & keyring.algorithms() - {usual})]


def _public(document: dict[str, Any]) -> HttpResponse:
    age = int(MAX_AGE.total_seconds())
    return JsonResponse(document, headers={"Cache-Control": f"public, max-age={age}"})
