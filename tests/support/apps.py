"""Steps that tests of apps, which OAuth calls clients, share."""

import io
import json
import re
from typing import Any

from django.core.management import call_command
from django.test import Client as Browser

from accounts.activity.services import Actor
from accounts.oauth import app_sessions, connections
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AuthorizationRequest
from accounts.sessions.models import LoginSession
from tests.support.administration import REASON

LIST = "/admin/oauth/client/"
ADD = f"{LIST}add/"
WEB = "https://paperless.example.org/callback"
SCOPE = ["openid", "email"]
FORM: dict[str, Any] = {
    **{"name": "Paperless", "redirect_uris": WEB, "scope": SCOPE, "reason": REASON},
    **dict.fromkeys(("is_verified", "requires_pkce", "renews_id_token", "rotates_refresh"), "on"),
}


def register(browser: Browser, **fields: Any) -> Any:
    """Post the form that registers an app."""
    return browser.post(ADD, FORM | fields)


def the_app() -> Client:
    return Client.objects.get()


def page_of(app: Client) -> str:
    return f"{LIST}{app.pk}/change/"


def change(browser: Browser, **fields: Any) -> Any:
    """Post the form that changes the only app."""
    return browser.post(page_of(the_app()), FORM | fields)


def act(browser: Browser, name: str, **fields: str) -> Any:
    """Post one of the forms below that form."""
    return browser.post(f"{LIST}{the_app().pk}/{name}/", {"reason": REASON} | fields)


def shown_secret(page: Any) -> str:
    """Return the secret that a page shows, or an empty text."""
    found = re.search(r"authsite_client_[a-z2-7]{55}", page.text)
    return found[0] if found else ""


def make_app(name: str = "Paperless", **fields: Any) -> Client:
    return Client.objects.create(name=name, redirect_uris=[WEB], **fields)


def asked_for(app: Client, scope: str = "openid email", audience: str = "") -> AuthorizationRequest:
    """Return an unsaved authorization request of ``app``."""
    return AuthorizationRequest(client=app, scope=scope, audience=audience)


def connect_app(
    browser: LoginSession, app: Client, scope: str = "openid email", *, is_offline: bool = False
) -> LoginSession:
    """Return the session that ``app`` gets after its user has agreed in the session ``browser``."""
    connections.agree(asked_for(app, scope), browser.user, Actor())
    new = app_sessions.new(browser, app.pk, scope, "", is_offline=is_offline)
    app_sessions.insert(new)
    return new.session


def is_live(session: LoginSession) -> bool:
    """Return whether ``session`` is live now."""
    session.refresh_from_db()
    return session.is_live


def add(*arguments: str) -> dict[str, str]:
    """Run ``add_client`` and return its answer."""
    return run("add_client", *arguments)


def run(command: str, *arguments: str) -> Any:
    output = io.StringIO()
    call_command(command, *arguments, "--json", stdout=output)
    return json.loads(output.getvalue())


OPENID, OAUTH = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"


def document(path: str = OPENID) -> dict[str, Any]:
    answer = Browser().get(path)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer["Cache-Control"] == "public, max-age=300"
    found: dict[str, Any] = answer.json()
    return found
