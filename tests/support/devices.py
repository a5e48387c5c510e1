"""Steps of a device that shows a code, and of the person who types it in (RFC 8628)."""

from typing import Any

from django.test import Client as Browser

from accounts.activity.services import Actor
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client
from accounts.oauth.devices import GRANT
from tests.support.authorize import allow
from tests.support.oauth_client import EVERYTHING, Answer, App

PAGE = "/oauth/device"
# The device is in another network than the browser.
THERE: dict[str, Any] = {"REMOTE_ADDR": "198.51.100.7", "HTTP_USER_AGENT": "curl/8.5.0"}


def new_device(scope: str = "openid email", **fields: Any) -> tuple[App, Answer]:
    """Return a public app on a device, and the codes that it has got for ``scope``."""
    values = {"is_device": True, "is_public": True, "scope": EVERYTHING} | fields
    client = Client(name="Terminal", **values)
    app = App(client, clients.create(client, Actor(name="@operator")), Browser(**THERE))
    return app, ask(app, scope)


def ask(app: App, scope: str = "openid email", **form: str) -> Answer:
    """Return the answer with the codes for a device."""
    return app.post("/oauth/device_authorization", scope=scope, **form)


def poll(app: App, codes: Answer, **form: str) -> Answer:
    """Return the answer to the device that asks for its tokens."""
    return app.post("/oauth/token", grant_type=GRANT, device_code=codes["device_code"], **form)


def type_code(browser: Browser, code: str) -> Any:
    """Type the code in; return the page that follows, which asks for consent if it is right."""
    return browser.post(PAGE, {"user_code": code}, follow=True)


def let_in(browser: Browser, codes: Answer, act: str = "allow") -> Any:
    """Type the code in and press a button; return the last page."""
    return allow(browser, type_code(browser, codes["user_code"]), act)
