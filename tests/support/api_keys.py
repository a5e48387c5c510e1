"""Steps that the tests of API keys share."""

from datetime import timedelta
from typing import Any

from django.test import Client

from accounts.activity.services import Actor
from accounts.apikeys import models as apikeys_models
from accounts.apikeys import services
from accounts.apikeys.models import APIKey
from accounts.common import clock
from tests.support.api import Answer, Caller, call, get_tokens, is_good
from tests.support.steps import WRONG

KEYS, NEW, LOCKDOWN = "/accounts/keys/", "/accounts/keys/new/", "/accounts/lockdown/"
FORM = {"name": "backup", "profile": "read", "sessions": "", "activity": "", "expires": "30"}
# The answer to a request with an unknown, malformed or revoked key.
REFUSED = (401, "token_not_valid")
is_alive = is_good


def key_of(user: Any, scope: str = "read", *, days: float | None = None, name: str = "bot") -> str:
    """Make a key of ``user`` with any scope, directly in the service; ``days`` until it expires."""
    ends = clock.now() + timedelta(days=days) if days is not None else None
    user.refresh_from_db()
    return services.make(user, name, frozenset(scope.split()), ends, Actor())[1]


def row_of(key: str) -> APIKey:
    """Return the database row of ``key``."""
    return APIKey.objects.get(pk=apikeys_models.TEXT.id_of(key))


def make(token: str, client: Caller | None = None, **more: Any) -> Answer:
    """Make a key through the API."""
    return call("keys/", {"name": "bot", **more}, client=client, token=token)


def recent_token(client: Caller | None = None, name: str = "alice", **token_request: str) -> str:
    """Sign in and return the access token."""
    return str(get_tokens(name, client, **token_request)["access"])


def shown_key(page: Any) -> str:
    """Return the new key that the page shows, or an empty string."""
    found: str = page.text.partition('<code id="key" dir="ltr">')[2].partition("<")[0]
    return found


def change_password(_user: Any, browser: Client) -> None:
    assert browser.post("/accounts/password/change/", {"password1": WRONG}).status_code == 302
