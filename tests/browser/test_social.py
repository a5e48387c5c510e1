"""Signing in with external providers in Chromium.

One of them is an OpenID Provider in Node that shares no code with the site.
"""

import json
import os
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import expect

from tests.support.browser_steps import LONG_AGO, go, lasts, press, says, sees, sign_out
from tests.support.node import SOURCE, node, packages
from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIDProvider, Person
from tests.support.process import free_port, serving
from tests.support.site import CHEAP_HASHES, Site
from tests.support.steps import LOGIN, sql

REDIRECTS = r"http://localhost:\d+/accounts/oidc/[a-z]+/login/callback/"
CONNECTIONS = "/accounts/3rdparty/"
ANOTHER = "seven slow ferries hum"


@pytest.fixture(scope="module")
def doubles():
    """Two providers with authorization pages on another origin than their issuer.

    The settings name that origin for Twisted, but not for Away.
    """
    with ExitStack() as stack:
        both = {name: stack.enter_context(OpenIDProvider()) for name in ("Away", "Twisted")}
        for name, double in both.items():
            elsewhere = double.origin.replace("127.0.0.1", "localhost")
            double.metadata["authorization_endpoint"] = f"{elsewhere}/authorize"
            double.person = Person("1", name=f"{name} One")
        yield both


@pytest.fixture(scope="module")
def site(doubles, tmp_path_factory):
    """A site with three providers: Acme, which is oidc-provider in Node, Away and Twisted."""
    away, twisted = doubles.values()
    elsewhere = twisted.origin.replace("127.0.0.1", "localhost")
    with acme(tmp_path_factory.mktemp("acme") / "log") as issuer:
        entries = [
            away.setting("acme", "Acme", issuer=issuer),
            away.setting("away", "Away"),
            twisted.setting("twisted", "Twisted", origins=[elsewhere]),
        ]
        settings = {"OIDC_PROVIDERS": json.dumps(entries), "LIMITS_SCALE": "100"}
        with Site(**settings, **CHEAP_HASHES) as running:
            yield running


@contextmanager
def acme(log):
    """Run oidc-provider in Node, and yield its issuer."""
    port = free_port()
    credentials = {"clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET}
    options = {"providers": {"Acme": port}, "redirects": REDIRECTS, **credentials}
    command = [node(), "--input-type=module", "--eval", (SOURCE / "provider.mjs").read_text()]
    env = os.environ | {"OPTIONS": json.dumps(options)}
    with serving(command, log, port, env=env, cwd=packages().parent):
        yield f"http://127.0.0.1:{port}"


def people(site):
    return [name for (name,) in sql(site, "SELECT username FROM accounts_user ORDER BY username")]


def go_to(page, provider="Acme"):
    """Press a provider's button; its page is skipped if the person is signed in there."""
    press(page, f"Continue with {provider}")


def show(page, name):
    """Sign in as ``name`` on Acme's page."""
    sees(page, "Sign in at Acme")
    page.get_by_label("Name").fill(name)
    press(page, "Sign in")


def test_a_person_refuses_then_signs_up_and_later_signs_in_by_a_provider_without_scripts(
    site, no_js_page
):
    page, before = no_js_page, people(site)
    page.goto("/accounts/activity/?group=sign-in")
    go_to(page)
    press(page, "Refuse")
    says(page, "You didn’t sign in with Acme. Nothing has changed here.")
    assert people(site) == before

    page.get_by_label("Keep me signed in").check()
    go_to(page)
    show(page, "alice")
    sees(page, "Activity")
    expect(page).to_have_url(f"{site.origin}/accounts/activity/?group=sign-in")
    assert lasts(page)
    go(page, "Addresses")
    says(page, "alice@example.org")
    sign_out(page)

    go_to(page)  # alice is still signed in at Acme
    sees(page, "Hello, The alice")
    assert not lasts(page)
    assert people(site) == sorted([*before, "alice"])


@pytest.mark.parametrize("name, through_a_page", [("Away", True), ("Twisted", False)])
def test_a_provider_page_on_another_origin_is_reached_despite_form_action(
    site, page, name, through_a_page
):
    seen: list[str] = []
    page.on("framenavigated", lambda frame: seen.append(frame.url))
    page.goto(LOGIN)

    go_to(page, name)

    sees(page, f"Hello, {name} One")
    leads_on = f"{site.origin}/accounts/oidc/{name.lower()}/login/"
    assert (leads_on in seen) == through_a_page


def test_a_first_password_is_set_after_reauthentication_at_the_provider(site, page):
    page.goto(LOGIN)
    go_to(page)
    show(page, "dave")
    page.goto(CONNECTIONS)
    says(page, "This is your only way to sign in.")
    sql(site, "UPDATE accounts_loginsession SET auth_time = ?", LONG_AGO)
    page.get_by_role("link", name="Set a password").click()
    sees(page, "Is that you, dave?")
    go_to(page)
    show(page, "mallory")  # another account at Acme
    says(page, "isn’t connected to your account here")
    go_to(page)
    show(page, "dave")
    sees(page, "Set a password")
    page.get_by_label("New password").fill(ANOTHER)
    press(page, "Set new password")
    says(page, "Your new password is set.")
