"""The endpoint at which apps register themselves, with a registration token (RFC 7591).

Apps cannot read, change or delete their registration (RFC 7592). Superusers change or disable the
app in the admin instead.
"""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts.activity.services import Actor
from accounts.common.client_info import client_of
from accounts.oauth.clients import metadata as client_metadata
from accounts.oauth.clients import registration
from accounts.oauth.protocol import OAuthError, TokenMissing, answers, success
from accounts.oauth.scopes import known
from accounts.throttle.limits import UNGUESSABLE
from accounts.throttle.services import around, hit
from accounts.tokens.authentication import header_of
from accounts.tokens.errors import InvalidToken

JSON = "application/json"


@answers("POST")
def register(request: HttpRequest) -> HttpResponse:
    """Register an app; answer with its client ID, its secret, and its metadata as stored."""
    here = client_of(request)
    scheme, text = header_of(request)
    if scheme != "bearer":
        raise TokenMissing
    token = registration.find_token(text)
    if token is None:
        hit(*around(UNGUESSABLE, here, "client"))
        raise InvalidToken
    metadata = _metadata_in(request)
    client = client_metadata.read(metadata, [s for s in known() if s in token.scope.split()])
    secret = registration.register(client, token, Actor(here))
    given: dict[str, Any] = {
        "client_id": client.pk,
        "client_id_issued_at": int(client.created_at.timestamp()),
        **client_metadata.written(client, metadata),
    }
    if secret:
        given |= {"client_secret": secret, "client_secret_expires_at": 0}
    return success(given, status=201)


def _metadata_in(request: HttpRequest) -> Any:
    """Return the JSON in the body of ``request``.

    Raises:
        OAuthError: the body is no JSON.
    """
    try:
        if request.content_type == JSON:
            return json.loads(request.body)
    except (ValueError, RecursionError):
        pass
    raise OAuthError("invalid_client_metadata", f"Send the metadata in the body, as {JSON}.")
