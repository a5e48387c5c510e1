"""Decides which of the scopes that a person has granted to an app it may still use.

Staff may change an app after people have signed in to it. A code or refresh token therefore gives
only what the app may request at that moment.
"""

from collections.abc import Collection

from django.conf import settings

from accounts.oauth.decisions import has_shown, is_member
from accounts.oauth.models import Client
from accounts.oauth.protocol import OAuthError
from accounts.oauth.scopes import API_SCOPES, SCOPES, audiences_of, of_service
from accounts.sessions.models import LoginSession

OFFLINE = "offline_access"


def remaining(
    client: Client, session: LoginSession, scope: Collection[str], audience: str
) -> frozenset[str]:
    """Return the scopes of ``scope`` that ``client`` may still use with tokens for ``audience``.

    ``session``: a session of the person, which says how they have authenticated.

    Raises:
        OAuthError: ``invalid_grant``: the client may use none, or the person lacks what the client
            now requires.
    """
    may_use = audience in audiences_of(client)
    defined = {*SCOPES, *of_service(audience)}
    held = frozenset(scope).intersection(client.scope.split(), defined)
    if not may_use:
        held -= API_SCOPES
    is_allowed = held and (may_use or audience == settings.AUTHSITE.origin)
    has_factor = has_shown(session, Client.Factor(client.factor))
    if is_allowed and has_factor and is_member(client, session.user):
        return held
    sentence = "The client may not use the granted scopes, or the user lacks what it requires."
    raise OAuthError("invalid_grant", sentence)


def check_audience(sent: dict[str, str], audience: str) -> None:
    """Check that ``resource``, if it is sent, is the granted service ``audience`` (RFC 8707).

    Raises:
        OAuthError: ``invalid_target``: it is another service.
    """
    if sent.get("resource", audience) != audience:
        raise OAuthError("invalid_target", "The grant is for another resource.")
