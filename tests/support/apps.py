"""Steps that tests of apps, which OAuth calls clients, share."""

import re
from typing import Any

from django.test import Client as Browser

from accounts.oauth.models import Client

LIST = "/admin/accounts/client/"
ADD = f"{LIST}add/"
WEB = "https://paperless.example.org/callback"
FORM = {
    "name": "Paperless",
    "redirect_uris": WEB,
    "scope": ["openid", "email"],
    "is_verified": "on",
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
    return browser.post(f"{LIST}{the_app().pk}/{name}/", fields)


def shown_secret(page: Any) -> str:
    """Return the secret that a page shows, or an empty text."""
    found = re.search(r"authsite_client_[a-z2-7]{55}", page.text)
    return found[0] if found else ""
