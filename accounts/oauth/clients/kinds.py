"""The kinds of apps that the admin registers, and the settings that a new app needs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.common import secrets
from accounts.oauth.clients import uris
from accounts.oauth.clients.models import Client


@dataclass(frozen=True)
class Kind:
    """A kind of app.

    ``label``, ``words``: its name, and a sentence that tells it apart from the others.
    ``initial``: the fields that the form sets.
    ``command``: what a developer runs first, in the shell that has the settings of the app.
    ``is_service``: whether the app signs nobody in, but asks about tokens.
    ``is_script``: whether its settings are JavaScript, because it runs in a browser.
    ``is_forward``: whether proxies ask about each request to it (``oauth.forward``).
    """

    label: str | Promise
    words: str | Promise
    initial: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    is_service: bool = False
    is_script: bool = False
    is_forward: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the form shows before the advanced ones."""
        usual = ("name", "logo", "redirect_uris")
        if self.is_forward:
            return (*usual, "required_group", "factor")
        return ("name", "resource") if self.is_service else usual


KINDS = {
    "web": Kind(_("Web app with a server"), _("Its server keeps a secret.")),
    "spa": Kind(
        _("Single-page app"),
        _("It runs in the browser and has no server of its own, so it gets no secret."),
        {"is_public": True},
        is_script=True,
    ),
    "native": Kind(
        _("Mobile or desktop app"),
        _("It runs on people’s devices and opens their browser, so it gets no secret."),
        {"is_public": True},
    ),
    "device": Kind(
        _("Device or command line"),
        _("It shows a code, which people type in here in a browser."),
        {"is_public": True, "is_device": True},
        command='curl -d client_id=$CLIENT_ID -d "scope=openid" $ISSUER/oauth/device_authorization',
    ),
    "forward": Kind(
        _("App behind a proxy that asks this site"),
        _("It knows no sign-in. nginx, Caddy or Traefik asks this site about each request."),
        {
            "is_public": True,
            "is_first_party": True,
            "redirect_uris": [uris.forward_callback("HOST")],
        },
        is_forward=True,
    ),
    "service": Kind(
        _("Service that checks tokens"),
        _("It gets access tokens from other apps, and asks this site whether they are valid."),
        command='curl -u "$CLIENT_ID:$CLIENT_SECRET" -d token=$TOKEN $ISSUER/oauth/introspect',
        is_service=True,
    ),
    "mcp": Kind(
        _("MCP server"),
        _("It gets access tokens from assistants, which use its tools for people."),
        command="uvicorn mcp_server:app --port 9000",
        is_service=True,
    ),
}


def snippet(client: Client, secret: str = "", kind: Kind | None = None) -> str:
    """Return the settings of ``client`` for the programs in ``docs/sign-in-with.md``."""
    origin = settings.AUTHSITE.origin
    if kind and kind.is_script:
        given = {
            "authority": origin,
            "client_id": client.pk,
            "redirect_uri": next(iter(client.redirect_uris), ""),
            "scope": client.scope,
        }
        lines = "".join(f"  {name}: {json.dumps(value)},\n" for name, value in given.items())
        return f"new oidc.UserManager({{\n{lines}}});"
    given = {
        "ISSUER": origin,
        "CLIENT_ID": client.pk,
        "CLIENT_SECRET": secret,
        "RESOURCE": client.resource,
    }
    lines = "".join(f"{name}={value}\n" for name, value in given.items() if value)
    return lines + (kind.command if kind else "")


def trial(client: Client) -> str:
    """Return a URL at which people sign in to ``client``, or an empty string if there is none.

    The app has not begun this sign-in, so it must refuse the answer. Nobody knows the PKCE verifier
    of the code.
    """
    if client.is_forward:
        return f"https://{client.pk}/"
    if not client.redirect_uris:
        return reverse("device") if client.is_device else ""
    asked = {
        "client_id": client.pk,
        "redirect_uri": client.redirect_uris[0],
        "response_type": "code",
        "scope": client.scope.split()[0],
        "state": "try",
        "nonce": secrets.token(),
        "code_challenge": secrets.token(),
        "code_challenge_method": "S256",
    }
    return "" if client.requires_par else f"{reverse('authorize')}?{urlencode(asked)}"
