"""Renews tokens: exchanges a refresh token for new tokens."""

from django.conf import settings

from accounts.common.client_info import ClientInfo
from accounts.sessions.models import LoginSession
from accounts.tokens import access, families, scopes
from accounts.tokens.access import AccessToken
from accounts.tokens.services import TokenRequest, Tokens


def renew(token: str, token_request: TokenRequest, client: ClientInfo) -> Tokens:
    """Exchange a refresh token for a new access token and a new refresh token.

    Raises:
        InvalidToken: the refresh token is not valid.
        TokenReused: the refresh token was used before; its family is now revoked.
        UnknownScope: the session does not cover the requested scope.
    """
    access.be_ready()
    if token_request.scope is not None and (family := families.with_newest(token)):
        # Checked before the rotation, so that a refused request does not spend the refresh token.
        scopes.narrowed(family.scope.split(), token_request.scope)
    session, follower = families.rotate(token, client, token_request.kind)
    return _renewed(session, follower, token_request)


def renew_newest(token: str, client: ClientInfo) -> Tokens | None:
    """Renew the tokens of an API client that requests neither an audience nor a scope.

    If ``token`` is not the newest refresh token of a live session, change nothing and return None.

    Raises:
        CannotSign: the signing key cannot be decrypted.
    """
    access.be_ready()
    renewed = families.rotate_newest(token, client, LoginSession.Kind.API)
    return _renewed(*renewed, TokenRequest(settings.AUTHSITE.origin)) if renewed else None


def _renewed(session: LoginSession, follower: str, token_request: TokenRequest) -> Tokens:
    scope = scopes.narrowed(session.scope.split(), token_request.scope)
    return Tokens(AccessToken.issue(session, token_request.audience, scope), session, follower)
