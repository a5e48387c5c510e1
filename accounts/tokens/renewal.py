"""Renews tokens: exchanges a refresh token for new tokens."""

from contextlib import nullcontext

from django.db import transaction

from accounts.common.client_info import ClientInfo
from accounts.sessions.models import LoginSession
from accounts.tokens import access, families, scopes
from accounts.tokens.access import AccessToken
from accounts.tokens.services import TokenRequest, Tokens


def renew(token: str, token_request: TokenRequest, client: ClientInfo) -> Tokens | None:
    """Exchange the newest refresh token of a session for a new access and a new refresh token.

    If ``token`` is not the newest one of a live session, change nothing and return None: see
    :func:`repeat`.

    Raises:
        UnknownScope: the session does not cover the requested scope.
        CannotSign: the signing key cannot be decrypted.
    """
    access.be_ready()
    # A refused scope must not use up the refresh token.
    with transaction.atomic() if token_request.scope else nullcontext():
        rotated = families.rotate(token, client, token_request.kind)
        return _renewed(*rotated, token_request) if rotated else None


def repeat(token: str, token_request: TokenRequest, client: ClientInfo) -> Tokens:
    """Return what :func:`renew` has returned for ``token``, for a client that did not receive it.

    Raises:
        InvalidToken: the refresh token is not valid.
        TokenReused: the refresh token was used before; its family is now revoked.
        UnknownScope: the session does not cover the requested scope.
    """
    return _renewed(*families.repeat(token, client, token_request.kind), token_request)


def _renewed(session: LoginSession, follower: str, token_request: TokenRequest) -> Tokens:
    scope = scopes.narrowed(session.scope.split(), token_request.scope)
    return Tokens(AccessToken.issue(session, token_request.audience, scope), session, follower)
