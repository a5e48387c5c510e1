"""The token endpoint (RFC 6749 section 3.2)."""

from collections.abc import Callable, Collection
from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts.common.client_info import ClientInfo, client_of
from accounts.oauth import (
    app_sessions,
    client_auth,
    codes,
    connections,
    devices,
    id_tokens,
    scope_checks,
)
from accounts.oauth.client_auth import authenticate
from accounts.oauth.endpoints import endpoint, required, success
from accounts.oauth.models import AppSession, AuthorizationCode, Client
from accounts.oauth.protocol import OAuthError
from accounts.sessions.models import LoginSession
from accounts.tokens import access, families
from accounts.tokens.access import AccessToken
from accounts.tokens.dpop import Proof, proof_of, token_type
from accounts.tokens.errors import InvalidToken

type Answer = dict[str, Any]
type Grant = Callable[[Client, dict[str, str], ClientInfo, Proof], Answer]


@endpoint
def token(request: HttpRequest, sent: dict[str, str]) -> HttpResponse:
    """Give an app its tokens, in exchange for a code, a device code or a refresh token."""
    client = authenticate(request, sent)
    grant = GRANTS.get(required(sent, "grant_type"))
    if grant is None:
        raise OAuthError("unsupported_grant_type", f"The grant_type must be {' or '.join(GRANTS)}.")
    proof = proof_of(request)
    if client.requires_dpop and not proof.thumbprint:
        raise OAuthError("invalid_dpop_proof", "The client must send a DPoP proof.")
    return success(grant(client, sent, client_of(request), proof))


def _by_code(client: Client, sent: dict[str, str], info: ClientInfo, proof: Proof) -> Answer:
    """Exchange a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5)."""
    code, redirect_uri, verifier = (
        required(sent, name) for name in ("code", "redirect_uri", "code_verifier")
    )
    held = codes.find(code, client, redirect_uri, verifier)
    codes.check_key(held, proof.thumbprint)
    return _redeemed(held, sent, info, proof)


def _by_device_code(client: Client, sent: dict[str, str], info: ClientInfo, proof: Proof) -> Answer:
    """Exchange the code of a device that a person has allowed (RFC 8628 section 3.4)."""
    code = required(sent, "device_code")
    devices.check_answer(code, client)
    return _redeemed(codes.find_for_device(code, client), sent, info, proof)


def _redeemed(
    held: AuthorizationCode, sent: dict[str, str], info: ClientInfo, proof: Proof
) -> Answer:
    """Return the tokens for the code ``held``.

    All checks that may refuse the request come before the code is spent.
    """
    scope_checks.check_audience(sent, held.audience)
    scope = scope_checks.remaining(held.client, held.session, held.scope.split(), held.audience)
    id_tokens.be_ready()
    proof.spend()
    refresh_token = codes.redeem(held, info, proof.thumbprint)
    assert held.given is not None  # noqa: S101 for the type checker: ``redeem`` has set it
    answer = _answer(held.given.app_session, held.given, scope, refresh_token)
    if "openid" in scope:
        answer["id_token"] = id_tokens.issue(held.given, held.client_id, scope, held.nonce)
    return answer


def _by_refresh_token(
    client: Client, sent: dict[str, str], info: ClientInfo, proof: Proof
) -> Answer:
    return refresh(client, sent, info, proof) or _repeat(client, sent, info, proof)


def refresh(client: Client, sent: dict[str, str], info: ClientInfo, proof: Proof) -> Answer | None:
    """Exchange a refresh token (RFC 6749 section 6), for no more than was granted.

    All checks that may refuse the request come before the token is replaced. A thief who lacks the
    key can therefore not end the session either.

    If the token is not the newest one of its session, do not replace it and return None.

    Raises:
        OAuthError: the request is refused.
        CannotSign: the signing key cannot be decrypted.
    """
    held = app_sessions.with_token(text := required(sent, "refresh_token"))
    if held is None or held.client_id != client.pk:
        raise _refused()
    scope = _wanted(client, sent, held, proof.thumbprint)
    access.be_ready()
    proof.spend()
    rotated = families.rotate(text, info, LoginSession.Kind.CONNECTED)
    if rotated is None:
        return None
    renewed, successor = rotated
    renewed.user = held.session.user
    # The two times are equal only if the rotation has also recorded the use of the session.
    if renewed.used_at == renewed.rotated_at:
        connections.note_use(user=renewed.user_id, client=client.pk, audience=held.audience)
    return _answer(held, renewed, scope, successor)


def _repeat(client: Client, sent: dict[str, str], info: ClientInfo, proof: Proof) -> Answer:
    """Answer a request that :func:`refresh` has not refused, with an older refresh token."""
    try:
        session, successor = families.repeat(
            sent["refresh_token"], info, LoginSession.Kind.CONNECTED
        )
    except InvalidToken:
        raise _refused() from None
    held = session.app_session
    return _answer(held, session, _wanted(client, sent, held, proof.thumbprint), successor)


def refresh_at_once(request: HttpRequest, sent: dict[str, str], info: ClientInfo) -> Answer | None:
    """Return the answer to ``request`` if it has the newest refresh token of a session.

    If the request has another grant or is refused, change nothing and return None. For the short
    path (``authsite.short_path``), which passes no request with a DPoP proof.

    Raises:
        CannotSign: the signing key cannot be decrypted.
    """
    if sent.get("grant_type") != "refresh_token":
        return None
    try:
        client = client_auth.find(request, sent)
        is_plain = client is not None and not client.requires_dpop
        return refresh(client, sent, info, Proof()) if client and is_plain else None
    except OAuthError:
        return None


def _wanted(client: Client, sent: dict[str, str], held: AppSession, key: str) -> frozenset[str]:
    """Return the scope to grant, which is at most what ``client`` may still use.

    ``key``: the thumbprint of the key that the client has proved to hold, or an empty string.
        Tokens stay bound to the key of the first ones, or to none.

    Raises:
        OAuthError: ``client`` may not refresh, or has asked for more.
    """
    session = held.session
    if session.dpop_thumbprint != key:
        raise _refused()
    scope_checks.check_audience(sent, held.audience)
    scope = scope_checks.remaining(client, session, session.scope.split(), held.audience)
    wanted = frozenset(sent["scope"].split()) if "scope" in sent else scope
    # Some services take a token without a scope for one with every scope.
    if not wanted or not wanted <= scope:
        raise OAuthError("invalid_scope", "The grant does not cover this scope.")
    if scope_checks.OFFLINE not in scope:
        raise _refused()
    return wanted


def _answer(
    held: AppSession, session: LoginSession, scope: Collection[str], refresh_token: str
) -> Answer:
    """Return the tokens of ``held``. ``session``: its session as it is now."""
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
