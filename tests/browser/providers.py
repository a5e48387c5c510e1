"""Sites that vouch for people, and one that believes them: what the stories of both need."""

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.browser.steps import LONG_AGO, press, sees
from tests.support.node import SOURCE, node, packages
from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIDProvider
from tests.support.process import Process, free_port, listening
from tests.support.site import Site
from tests.support.steps import sql

REDIRECTS = r"http://localhost:\d+/accounts/oidc/[a-z]+/login/callback/"
CONNECTIONS = "/accounts/3rdparty/"
# Nobody goes to them: their buttons are looked at.
FAMOUS = {
    f"{name}_{part}": "x"
    for name in ("GOOGLE", "GITHUB", "FACEBOOK", "TWITTER")
    for part in ("CLIENT_ID", "CLIENT_SECRET")
}


@dataclass
class Providers:
    """Acme and Rival are real ones; Away, Twisted and Silent do what real ones don't.

    Away's page is on another origin than its issuer; so is Twisted's, as the settings know.
    Silent takes a connection and says nothing.
    """

    entries: list[dict[str, Any]]
    away: OpenIDProvider
    twisted: OpenIDProvider

    def site(self, **env: str) -> Site:
        """A site that believes all of them."""
        return Site(OIDC_PROVIDERS=json.dumps(self.entries), LIMITS_SCALE="100", **env)


@contextmanager
def providers() -> Iterator[Providers]:
    """All of them, as long as it lasts."""
    ports = {"Acme": free_port(), "Rival": free_port()}
    with ExitStack() as stack:
        stack.enter_context(_real(ports))
        away, twisted = (stack.enter_context(OpenIDProvider()) for _ in range(2))
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        for double in (away, twisted):
            elsewhere = double.origin.replace("127.0.0.1", "localhost")
            double.metadata["authorization_endpoint"] = f"{elsewhere}/authorize"
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        urls |= {"Away": away.issuer, "Silent": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        entries = [twisted.setting(name.lower(), name, issuer=url) for name, url in urls.items()]
        origins = [twisted.metadata["authorization_endpoint"].removesuffix("/authorize")]
        entries.append(twisted.setting("twisted", "Twisted", origins=origins))
        yield Providers(entries, away, twisted)


@contextmanager
def _real(ports: dict[str, int]) -> Iterator[None]:
    credentials = {"clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET}
    options = {"providers": ports, "redirects": REDIRECTS, **credentials}
    program = (SOURCE / "provider.mjs").read_text()
    with tempfile.TemporaryDirectory() as folder:
        process = Process(
            [node(), "--input-type=module", "--eval", program],
            Path(folder) / "log",
            env=os.environ | {"OPTIONS": json.dumps(options)},
            cwd=packages().parent,
        )
        try:
            process.wait_until(lambda: all(map(listening, ports.values())), "oidc-provider")
            yield
        finally:
            process.kill()


def go_to(page: Page, provider: str = "Acme") -> None:
    """Press its button; its own page doesn't come if somebody is signed in there."""
    press(page, f"Continue with {provider}")


def show(page: Page, name: str, provider: str = "Acme") -> None:
    """Be ``name`` on the provider's page."""
    sees(page, f"Sign in at {provider}")
    page.get_by_label("Name").fill(name)
    press(page, "Sign in")


def arrive(page: Page, name: str, provider: str = "Acme") -> None:
    """From anywhere to the account that ``name`` at the provider opens."""
    page.goto("/accounts/login/")
    go_to(page, provider)
    show(page, name, provider)
    sees(page, f"Hello, The {name.partition('.')[0]}")


def grow_stale(site: Site) -> None:
    """Nobody has shown lately who they are."""
    sql(site, "UPDATE accounts_loginsession SET auth_time = ?", LONG_AGO)
