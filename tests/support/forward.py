"""Apps behind a proxy that asks this site about each request, in process."""

from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client as Browser

from accounts.activity.services import Actor
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client
from accounts.oauth.clients.uris import forward_callback
from accounts.oauth.forward import COOKIE
from accounts.users.models import User
from tests.support.authorize import target
from tests.support.signin import set_up, signed_in
from tests.support.wsgi import environ

WIKI, SHOP = "wiki.example.org", "shop.example.org"
CHECK, CALLBACK = "/auth/forward", "/auth/forward/callback"
# The headers of a client that a proxy passes on when it asks. It writes the others itself.
OF_CLIENTS = ["Cookie", "User-Agent", "Accept-Language", "Sec-Fetch-Mode"]
PEER, MALLORY = "192.0.2.7", "203.0.113.9"


def protect(host: str = WIKI, **fields: Any) -> Client:
    """Register the app at ``host``."""
    given: dict[str, Any] = {"is_public": True, "is_first_party": True}
    given |= {"redirect_uris": [forward_callback(host)], "scope": "openid profile email groups"}
    client = Client(pk=host, name=host.partition(".")[0].title(), **(given | fields))
    clients.create(client, Actor(name="@operator"))
    return client


@pytest.fixture
def wiki(db: None, settings: Any) -> Client:
    """Return the app at WIKI. Its proxy has the IP address PEER."""
    set_up(settings, trusted_proxies=(ip_network(PEER),))
    return protect()


class Visitor:
    """A browser that is signed in as ``user``, with a cookie of each host besides."""

    def __init__(self, user: User | None = None) -> None:
        self.site = signed_in(user) if user else Browser()
        self.cookies: dict[str, str] = {}

    def meta(self, host: str = WIKI, **more: Any) -> dict[str, Any]:
        """Return what a proxy sends: the headers in the notation of WSGI."""
        held = self.cookies.get(host)
        meta = {"REMOTE_ADDR": PEER, "HTTP_X_FORWARDED_HOST": host, "HTTP_USER_AGENT": ""}
        meta |= {"HTTP_COOKIE": f"{COOKIE}={held}"} if held else {}
        return {name: value for name, value in (meta | more).items() if value is not None}

    def ask(self, host: str = WIKI, **more: Any) -> Any:
        """Return the answer to the proxy of ``host``."""
        return Browser().get(CHECK, **self.meta(host, **more))

    def environ(self, host: str = WIKI, **more: Any) -> dict[str, Any]:
        return environ("GET", CHECK, **self.meta(host, **more))

    def open(self, url: str, **more: Any) -> Any:
        """Open a URL of the callback through the proxy of its host, and keep the cookie."""
        parts = urlsplit(url)
        assert parts.path == CALLBACK
        path = f"{CALLBACK}?{parts.query}"
        answer = Browser().get(path, **self.meta(parts.netloc, **more))
        if COOKIE in answer.cookies:
            self.cookies[parts.netloc] = answer.cookies[COOKIE].value
        return answer

    def code(self, url: str = "") -> str:
        """Begin a sign-in, by default where the check says; return the URL with the code."""
        begun = self.open(url or self.ask()["Location"])["Location"]
        answer = self.site.get(begun[begun.index("/oauth/") :])
        if answer["Location"].startswith("/oauth/continue/"):
            answer = self.site.get(answer["Location"])
        return target(answer)

    def visit(self, host: str = WIKI, path: str = "/") -> str:
        """Open a page of ``host``, sign in, and return the URL that follows."""
        denied = self.ask(host, HTTP_X_FORWARDED_URI=path)
        return str(self.open(self.code(denied["Location"]))["Location"])
