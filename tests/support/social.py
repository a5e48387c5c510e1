"""Send a browser to an OpenID Provider and back, in process."""

import json
from typing import Any

from django.test import Client

from accounts.common import http_client
from accounts.common.issuers import openid_providers
from accounts.social import metadata
from tests.support.openid_provider import OpenIDProvider, Person
from tests.support.signin import set_up

ACME = "oidc/acme"


def configured(settings: Any, *entries: dict[str, Any], **changes: Any) -> None:
    """Configure providers by entries of ``OIDC_PROVIDERS``, and clear what was cached of them."""
    providers = openid_providers(json.dumps(entries)) if entries else ()
    set_up(settings, oidc_providers=providers, **changes)
    metadata._known.clear()
    http_client._silent_until.clear()


def go(client: Client, provider: str = ACME, **fields: str) -> str:
    """Press the provider's button and return the URL to which the browser is redirected."""
    answer = client.post(f"/accounts/{provider}/login/", fields)
    assert answer.status_code == 302, answer.content.decode()
    return answer["Location"]


def come_back(client: Client, answer: dict[str, str], provider: str = ACME) -> Any:
    """Call the redirect URI with the provider's answer, which Apple posts from its own page."""
    path = f"/accounts/{provider}/login/callback/"
    if provider != "apple":
        return client.get(path, answer)
    # A browser sends no ``SameSite=Lax`` cookies with it.
    posted = Client(enforce_csrf_checks=True).post(path, answer)
    assert posted.status_code == 303
    return client.get(posted["Location"])


def round_trip(
    client: Client,
    op: OpenIDProvider,
    person: Person | None = None,
    provider: str = ACME,
    **fields: str,
) -> Any:
    """Send a browser to the provider and back, and return the site's answer to the callback."""
    return come_back(client, op.answer(go(client, provider, **fields), person), provider)
