"""A browser on its way to a provider and back, in process."""

import dataclasses
import json
from typing import Any

from django.test import Client

from tests.support.openid_provider import OpenIDProvider, Person

ACME = "oidc/acme"


def configured(settings: Any, *entries: dict[str, Any], **changes: Any) -> None:
    """Let the site have those entries of ``OIDC_PROVIDERS``, and know nothing of them yet."""
    from accounts.common.issuers import openid_providers
    from accounts.social import http_client, metadata

    providers = openid_providers(json.dumps(entries)) if entries else ()
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, oidc_providers=providers, **changes)
    metadata._known.clear()
    http_client._silent_until.clear()


def go(client: Client, provider: str = ACME, **fields: str) -> str:
    """Press the button; where the browser is sent."""
    answer = client.post(f"/accounts/{provider}/login/", fields)
    assert answer.status_code == 302, answer.content.decode()
    return answer["Location"]


def come_back(client: Client, answer: dict[str, str], provider: str = ACME) -> Any:
    """Bring back what the provider has answered."""
    return client.get(f"/accounts/{provider}/login/callback/", answer)


def round_trip(
    client: Client,
    op: OpenIDProvider,
    person: Person | None = None,
    provider: str = ACME,
    **fields: str,
) -> Any:
    """There and back again; the site's answer."""
    return come_back(client, op.answer(go(client, provider, **fields), person), provider)
