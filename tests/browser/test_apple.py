"""Signing in with Apple in Chromium: the answer is a POST from another site, without cookies."""

from html import escape

import pytest

from tests.support.browser_steps import press, sees
from tests.support.doubles import APPLE_SIGNER, CLIENT_ID, KEY_ID, TEAM, Doubles
from tests.support.site import CHEAP_HASHES, ROOT, Site

# Resolves the host names of the providers to the double, in the server's processes.
HOOK = """
import socket
import tests.support.cheap_hashes.sitecustomize
from accounts.common import http_client
there = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", {port}))]
http_client._addresses = lambda _host, _port: there
http_client.is_public = lambda _address: True
"""


@pytest.fixture
def doubles(tmp_path):
    with Doubles(tmp_path) as doubles:
        yield doubles


@pytest.fixture
def site(doubles, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(HOOK.format(port=doubles.port))
    apple = {"CLIENT_ID": CLIENT_ID, "TEAM_ID": TEAM, "KEY_ID": KEY_ID}
    apple["PRIVATE_KEY"] = APPLE_SIGNER.as_pem(private=True).decode()
    env = {f"APPLE_{name}": value for name, value in apple.items()}
    path = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "CA_FILE": str(doubles.authority)}
    with Site(**CHEAP_HASHES | path, **env) as running:
        yield running


def test_alice_signs_up_with_apple_whose_page_posts_the_answer(site, doubles, page):
    def answer(route):
        """Show Apple's page; its button posts the answer to the site."""
        fields = doubles.send_back(route.request.url)
        inputs = "".join(f"<input name={k} value='{escape(v)}'>" for k, v in fields.items())
        action = f"{site.origin}/accounts/apple/login/callback/"
        form = f"<form method=post action={action}>{inputs}<button>Go on</button></form>"
        route.fulfill(content_type="text/html", body=f"<title>Apple</title><main>{form}</main>")

    page.route("https://appleid.apple.com/auth/authorize*", answer)
    page.goto("/accounts/apple/login/")
    token = page.locator("main [name=csrfmiddlewaretoken]").input_value()
    # A redirect would not be routed to the double.
    there = page.request.post(page.url, form={"csrfmiddlewaretoken": token}, max_redirects=0)
    page.goto(there.headers["location"])
    press(page, "Go on")

    sees(page, "Hello, Alice")
