"""Signing in to an app with an account here, in Chromium: an app on this computer gets a code."""

import json
import time
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import expect

from tests.support.authenticator import shown
from tests.support.authorize import AUTHORIZE, CHALLENGE, VERIFIER
from tests.support.browser import axe
from tests.support.browser_steps import (
    code_for,
    newcomer,
    open_key,
    press,
    says,
    sees,
    sign_in,
    sign_up,
    type_code,
)
from tests.support.receiver import Server, say
from tests.support.second_factor import SETUP, code_of, recovery_codes_on, seed_on
from tests.support.steps import LOGOUT, sql

NAME = "Paperless"
WELCOME = b"<link rel=icon href=data:,><main><h1>Welcome to Paperless</h1></main>"


class App(Server):
    """An app at a loopback address, which shows a page when people come back to it.

    ``answer`` has the parameters of the callback. A form is redirected to another origin.
    """

    answer: dict[str, str]

    def receive(self, request, body):
        if request.command == "POST":
            self.answer = dict(parse_qsl(body))
            return say(303, Location=f"http://127.0.0.1:{self.port}/")(request)
        if request.path.startswith("/callback"):
            self.answer = dict(parse_qsl(urlsplit(request.path).query))
        return say(200, WELCOME, **{"Content-Type": "text/html"})(request)

    @property
    def redirect_uri(self):
        return f"http://127.0.0.1:{self.port}/callback"

    def address(self, site, **more):
        """Return the URL of the site to which the app sends people."""
        query = {"redirect_uri": self.redirect_uri}
        query |= {"response_type": "code", "scope": "openid profile email", "state": "s" * 5000}
        query |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
        return f"{AUTHORIZE}?{urlencode(query | (more or {'client_id': client_id(site)}))}"

    def redeem(self, site):
        """Exchange the code for tokens, and return the status."""
        form = {"grant_type": "authorization_code", "code": self.answer["code"]}
        form |= {"redirect_uri": self.redirect_uri, "code_verifier": VERIFIER}
        form |= {"client_id": client_id(site)}
        return site.client().post("/oauth/token", form, csrf=False).status


@pytest.fixture
def app():
    with App() as server:
        yield server


def client_id(site):
    """Return the client ID of the app, which requires a second factor. Add it if necessary."""
    found = sql(site, "SELECT id FROM oauth_client WHERE name = ?", NAME)
    if found:
        return str(found[0][0])
    uri = ("--redirect-uri", "http://127.0.0.1/callback")
    added = json.loads(site.manage("add_client", NAME, *uri, "--public", "--json"))
    sql(site, "UPDATE oauth_client SET factor = 'second_factor' WHERE name = ?", NAME)
    return str(added["client_id"])


def test_a_newcomer_signs_up_on_the_way_to_an_app_and_sets_up_what_it_requires(
    site, open_page, app
):
    page = open_page(site, expect=(400, 403))
    page.goto(app.address(site))
    sees(page, "Sign in")
    says(page, f"to continue to {NAME}")
    sign_up(page, "arriving")
    type_code(page, code_for(site, "arriving"))

    sees(page, "Set up an authenticator app")
    says(page, f"One more step: {NAME} needs two-step verification.")
    key = open_key(page).replace(" ", "")
    type_code(page, shown(key, time.time()), "Turn on two-step verification")
    sees(page, "Save your recovery codes")
    type_code(page, recovery_codes_on(page.content())[0])
    sees(page, "Your passkey or authenticator app is new")
    assert axe(page) == []
    press(page, "Sign out")
    says(page, f"to continue to {NAME}")
    sign_in(page, "arriving")
    type_code(page, shown(key, time.time() + 30))

    sees(page, f"Sign in to {NAME}")
    says(page, "arriving@example.org", "Any program on your device can claim to be")
    assert axe(page) == []
    press(page, "Allow")
    sees(page, "Welcome to Paperless")
    assert (app.answer["state"], app.answer["iss"]) == ("s" * 5000, site.origin)
    assert app.redeem(site) == 200
    page.go_back()
    sees(page, "Start again in the app")


@pytest.mark.parametrize("has_script", [True, False])
def test_a_page_posts_the_answer_to_an_app_that_redirects_to_another_origin(
    site, open_page, app, has_script
):
    command = ("add_client", "Draft", "--development", "--json")
    added = json.loads(site.manage(*command, "--redirect-uri", "http://localhost/callback"))
    local = app.redirect_uri.replace("127.0.0.1", "localhost")
    asked = {"client_id": added["client_id"], "redirect_uri": local, "response_mode": "form_post"}
    username = f"posting-{has_script}".lower()
    newcomer(site, username).post(LOGOUT, form="/")
    page = open_page(site, java_script_enabled=has_script)
    page.goto(app.address(site, **asked, state='"><script>alert(1)</script>'))
    sign_in(page, username)
    press(page, "Allow")
    if not has_script:
        sees(page, "Back to Draft")
        press(page, "Continue to Draft")

    sees(page, "Welcome to Paperless")
    assert app.answer.keys() == {"code", "state", "iss"}
    assert app.answer["state"] == '"><script>alert(1)</script>'


def protected(site, username):
    """Create an account with an authenticator app, and return its seed."""
    client = newcomer(site, username)
    seed = seed_on(client.get(SETUP).text)
    assert client.post(SETUP, {"code": code_of(seed), "name": ""}).status == 302
    client.post(LOGOUT, form="/")
    return seed


def test_the_second_click_of_a_double_click_in_another_window_allows_nothing(site, open_page, app):
    """Withstands a hostile website: double clickjacking."""
    page = open_page(site)
    page.goto(app.address(site))
    seed = protected(site, "doubleclick")
    sign_in(page, "doubleclick")
    type_code(page, code_of(seed, 1))
    sees(page, f"Sign in to {NAME}")
    page.clock.install()
    page.reload()
    allow = page.get_by_role("button", name="Allow")

    expect(allow).to_be_disabled()
    page.clock.run_for(700)
    expect(allow).to_be_enabled()
    page.evaluate("dispatchEvent(new Event('blur'))")
    page.clock.run_for(10_000)
    expect(allow).to_be_disabled()
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(allow).to_be_disabled()
    page.clock.run_for(700)
    expect(allow).to_be_enabled()
