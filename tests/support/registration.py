"""Steps of apps that register themselves."""

import json
from datetime import timedelta
from typing import Any

from django.test import Client as Browser

from accounts.activity.services import Actor
from accounts.common import clock
from accounts.oauth.clients import registration
from accounts.oauth.scopes import DEFAULT
from tests.support.apps import WEB

REGISTER = "/oauth/register"
VALID = {"client_name": "Paperless", "redirect_uris": [WEB]}


def new_token(
    count: int = 1, scope: str = DEFAULT, audiences: tuple[str, ...] = (), days: int = 7
) -> str:
    """Return the text of a new registration token."""
    actor, end = Actor(name="@operator"), clock.now() + timedelta(days=days)
    return registration.make(count, end, scope.split(), list(audiences), actor)[1]


def self_register(
    token: str, body: Any = None, /, browser: Browser | None = None, **changes: Any
) -> Any:
    """Return the answer of the endpoint to the metadata; ``body`` replaces all of it."""
    sent = body if isinstance(body, (str, bytes)) else json.dumps(VALID | changes)
    headers = {"Authorization": f"Bearer {token}"}
    return (browser or Browser()).post(
        REGISTER, sent, content_type="application/json", headers=headers
    )
