"""Revocation (RFC 7009) and introspection (RFC 7662) of tokens."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.activity import events
from accounts.activity.services import Actor
from accounts.common.client_info import client_of
from accounts.oauth import app_sessions
from accounts.oauth.client_auth import authenticate, refused
from accounts.oauth.endpoints import endpoint, required, success
from accounts.oauth.models import AppSession, Client
from accounts.oauth.scopes import audiences
from accounts.sessions import services as sessions
from accounts.tokens import dpop, families, refresh, services
from accounts.tokens.errors import InvalidToken


@endpoint
def revoke(request: HttpRequest, sent: dict[str, str]) -> HttpResponse:
    """End the session that the token belongs to.

    The answer is the same for a token that is unknown, has ended or belongs to another app.
    """
    client, token = authenticate(request, sent), required(sent, "token")
    session = families.of(token) or services.family_of_access(token, audiences())
    if session and AppSession.objects.filter(session=session, client=client).exists():
        actor = Actor(client_of(request), session=session.pk)
        sessions.revoke(session, reason=events.CLIENT_SIGNED_OUT, actor=actor, detail=client.label)
    return success({})


@endpoint
def introspect(request: HttpRequest, sent: dict[str, str]) -> HttpResponse:
    """Tell a confidential app whether a token that it got, or a token for its service, is active.

    A public app cannot prove who it is, so it is told nothing.
    """
    client, token = authenticate(request, sent), required(sent, "token")
    if client.is_public:
        raise refused()
    state = _of_access(token, client) or _of_refresh(token, client)
    return success({"active": state is not None, **(state or {})})


def _of_access(text: str, client: Client) -> dict[str, Any] | None:
    """Return the claims of a live access token that ``client`` may introspect, or None."""
    try:
        token, session = services.read(text, audiences(), key=None)
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
    if session.refresh_digest != refresh.digest(text):
        return None
    return {
        "client_id": client.pk,
        "scope": session.scope,
        "sub": str(session.subject),
        "iss": settings.AUTHSITE.origin,
        "exp": int(session.expires_at.timestamp()),
    }
