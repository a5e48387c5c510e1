"""The apps of the guides, run as the pages print them, sign people in at the site.

Their libraries are other people's, and get only the issuer, a client ID and a secret.
"""

import re
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from playwright.sync_api import expect

from tests.support.clients.apps import (
    SHOP,
    ApacheShop,
    BoundShop,
    KeyedShop,
    Page,
    PublishingShop,
    RefreshingApacheShop,
    Shop,
    UnchallengedShop,
)
from tests.support.clients.others import FlaskShop, PgAdmin, SocialShop
from tests.support.journey import Journey
from tests.support.process import within
from tests.support.second_factor import SETUP, code_of, confirm_recovery_codes, seed_on
from tests.support.steps import PASSWORD, join, sign_in, sql

# Where an app has a page of its own before it sends people to the site: how they go on from it.
BUTTONS = {"allauth_shop.py": "Sign in"}
LINKS = {"mozilla_shop.py": "/oidc/authenticate/", "fab_config.py": "/login/authsite"}
FORMS = {
    "social_settings.py": ("/login/oidc/", {}),
    "config_local.py": ("/authenticate/login", {"oauth2_button": "authsite"}),
}


class Person:
    """Somebody with an account at ``site``, and a browser that knows the site and an app."""

    def __init__(self, site, shop, username, *, has_factor=True):
        self.username, self.shop, self._seed = username, shop, ""
        # The site accepts the codes of three time steps, each once.
        self._steps = iter((-1, 0, 1))
        at_home = site.client()
        join(site, at_home, username)
        if has_factor:
            self._seed = seed_on(at_home.get(SETUP).text)
            at_home.post(SETUP, {"code": self.code()})
            confirm_recovery_codes(at_home)
        self.at_site = site.client()
        self.at_shop = self.shop.client()
        self.browser = Journey(self.at_site, self.at_shop)

    def sign_in(self):
        """Open the app, sign in at the site and agree; return the app's page."""
        page = self.to_site()
        page = self.browser.send(page, login=self.username, password=PASSWORD)
        if self._seed:
            page = self.browser.send(page, code=self.code())
        assert "your username" in page.text, page.text
        return self.browser.send(page, "Allow")

    def code(self):
        """Return an unused code of the authenticator app."""
        return code_of(self._seed, next(self._steps))

    def to_site(self):
        """Open the app as a stranger, and return the page of the site where this ends."""
        if form := FORMS.get(self.shop.name):
            return self.browser.open(self.at_shop.post(*form, csrf="").location)
        page = self.browser.open(f"{SHOP}/")
        if button := BUTTONS.get(self.shop.name):
            return self.browser.send(page, button)
        if link := LINKS.get(self.shop.name):
            return self.browser.open(SHOP + link)
        return page

    def to_vault(self):
        """Open the page that requires a second factor."""
        page = self.browser.open(f"{SHOP}/vault")
        # allauth asks before it sends anybody away.
        return (
            self.browser.send(page, "Continue")
            if page.url.startswith(f"{SHOP}/accounts/")
            else page
        )


REFRESHING = ("shop.conf", "shop.go", "shop.mjs")


def token_calls(site):
    return site.log().count("/oauth/token")


def test_fastapi_signs_alice_in_and_out(default_site, tmp_path):
    with Shop("fastapi_shop.py", tmp_path, default_site).running() as shop:
        signs_in_and_out(Person(default_site, shop, "fastapi-alice"))


@pytest.mark.proof
@pytest.mark.parametrize(
    "name",
    [
        *("allauth_shop.py", "mozilla_shop.py", "shop.mjs", "passport_shop.mjs"),
        *("shop.go", "shop.conf"),
    ],
)
def test_an_app_signs_alice_in_and_out(production, tmp_path, name):
    kind = ApacheShop if name == "shop.conf" else Shop
    username = re.sub("[._]", "-", name)
    with kind(name, tmp_path, production).running() as shop:
        alice = Person(production, shop, f"{username}-alice")
        signs_in_and_out(alice)
        bob = Person(production, shop, f"{username}-bob", has_factor=False)
        assert bob.username in bob.sign_in().text
        page = bob.to_vault()
        assert page.status == 403
        assert "Set up two-step verification" in page.text


OTHERS = {
    "social_settings.py": (SocialShop, "SOCIAL_AUTH_OIDC_USE_PKCE = True\n"),
    "fab_config.py": (FlaskShop, ', "code_challenge_method": "S256"'),
    "config_local.py": (
        PgAdmin,
        '        "OAUTH2_CHALLENGE_METHOD": "S256",\n        "OAUTH2_RESPONSE_TYPE": "code",\n',
    ),
}


@pytest.mark.proof
@pytest.mark.parametrize("with_pkce", [True, False], ids=["PKCE", "nothing but a nonce"])
@pytest.mark.parametrize("name", OTHERS)
def test_an_app_of_others_signs_alice_in(production, tmp_path, name, with_pkce):
    kind, pkce = OTHERS[name]
    username = re.sub("[._]", "-", f"{name}-{with_pkce}".lower())
    with kind(name, tmp_path, production, pkce="" if with_pkce else pkce).running() as shop:
        alice = Person(production, shop, username, has_factor=False)
        page = alice.sign_in()
        if kind is PgAdmin:  # a script shows the name
            page = alice.browser.open(f"{SHOP}/browser/js/utils.js")
        assert username in page.text


@pytest.mark.proof
@pytest.mark.parametrize("kind", [KeyedShop, BoundShop])
def test_an_app_with_a_key_instead_of_a_secret_or_for_its_tokens_signs_alice_in_and_out(
    production, tmp_path, kind
):
    with kind("shop.mjs", tmp_path, production).running() as shop:
        signs_in_and_out(Person(production, shop, f"{kind.__name__}-alice".lower()))


@pytest.mark.proof
def test_an_app_without_pkce_refuses_the_code_of_somebody_else(default_site, tmp_path):
    """Mallory has got a code of alice, and gives it to the app in a browser of mallory's."""
    with UnchallengedShop("fastapi_shop.py", tmp_path, default_site).running() as shop:
        alice, mallory = (
            Person(default_site, shop, f"unchallenged-{name}", has_factor=False)
            for name in ("alice", "mallory")
        )
        page = alice.browser.send(alice.to_site(), login=alice.username, password=PASSWORD)
        alice.browser = alice.browser.without(SHOP)
        with pytest.raises(LookupError):
            alice.browser.send(page, "Allow")
        stolen = dict(parse_qsl(urlsplit(alice.browser.urls[-1]).query))
        mallory.to_site()
        (asked,) = (url for url in mallory.browser.urls if "/oauth/authorize?" in url)
        state = dict(parse_qsl(urlsplit(asked).query))["state"]

        mallory.at_shop.get(f"/callback?{urlencode(stolen | {'state': state})}")

        assert mallory.at_shop.get("/").location.startswith(default_site.origin)
        assert mallory.username in mallory.sign_in().text


@pytest.mark.proof
def test_an_app_that_publishes_its_key_replaces_it_without_the_operator(
    production, key_server, tmp_path
):
    shop = PublishingShop("shop.mjs", tmp_path, production, key_server)
    with shop.running():
        signs_in_and_out(Person(production, shop, "publishing-alice"))
    shop.replace_key()
    # As if a minute had passed.
    sql(production, "UPDATE oauth_fetchedkeys SET tried_at = ?", "2026-01-01 00:00:00")
    with shop.running():
        bob = Person(production, shop, "publishing-bob", has_factor=False)
        assert bob.username in bob.sign_in().text

    assert [path for path, _form, _at in key_server.got] == ["/jwks", "/jwks"]


def signs_in_and_out(alice):
    """Check the three pages of an app: the greeting, the vault, and signing out."""
    page = alice.sign_in()
    assert page.status == 200
    assert alice.username in page.text
    page = alice.to_vault()
    assert page.url.startswith(f"{SHOP}/vault")
    assert "The vault is open" in page.text or alice.username in page.text
    page = alice.browser.open(f"{SHOP}/")
    before = len(alice.browser.urls)
    if alice.shop.name == "shop.conf":
        page = alice.browser.open(f"{SHOP}/callback?logout={quote(f'{SHOP}/', safe='')}")
    else:
        page = alice.browser.send(page, "Sign out")
    if alice.shop.name == "allauth_shop.py":
        page = alice.browser.send(page, "Sign out")
    else:
        assert any(re.match(rf"{SHOP}/(\?|$)", url) for url in alice.browser.urls[before:])
    page = alice.to_site()
    assert urlsplit(page.url).path == "/accounts/login/"


@pytest.mark.proof
@pytest.mark.parametrize("name", REFRESHING)
def test_an_app_refreshes_its_access_token(production, tmp_path, name):
    kind = RefreshingApacheShop if name == "shop.conf" else Shop
    username = re.sub("[._]", "-", name)
    with kind(name, tmp_path, production).running() as shop:
        carol = Person(production, shop, f"{username}-carol", has_factor=False)
        carol.sign_in()
        before = token_calls(production)
        for _time in range(3):
            assert carol.username in carol.browser.open(f"{SHOP}/").text
        assert token_calls(production) >= before + 3


@pytest.mark.proof
def test_apache_ends_its_session_within_five_seconds_after_that_at_the_site_has_ended(
    production, tmp_path
):
    with ApacheShop("shop.conf", tmp_path, production).running() as shop:
        bob = Person(production, shop, "apache-bob", has_factor=False)
        assert bob.username in bob.sign_in().text
        elsewhere = production.client()
        sign_in(elsewhere, bob.username)

        assert elsewhere.post("/accounts/sessions/", {"others": "on"}).status == 302

        assert within(5, lambda: not shop_answers(bob))


def shop_answers(person):
    """Return whether the app shows its page without asking the site."""
    return person.at_shop.get("/").status == 200


@pytest.mark.proof
def test_a_single_page_app_signs_bob_in_renews_and_signs_out(production, open_page, tmp_path):
    join(production, production.client(), "spa-bob")
    with Page(tmp_path, production).running() as shop:
        page = open_page(production, ignore_https_errors=True)
        page.goto(f"{shop.origin}/")
        page.click("#sign-in")
        page.fill("[name=login]", "spa-bob")
        page.fill("[name=password]", PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_role("button", name="Allow").click()
        expect(page.locator("#greeting")).to_have_text("Hello spa-bob")
        expect(page.locator("#vault")).to_be_hidden()
        page.click("#open-vault")
        # Any program could receive what is sent to a loopback address, so the site asks each time.
        page.get_by_role("button", name="Allow").click()
        expect(page.locator("#greeting")).to_contain_text("Set up two-step verification")
        expect(page.locator("#vault")).to_be_hidden()
        page.click("#renew")
        expect(page.locator("#greeting")).to_have_text("Renewed for spa-bob")
        page.click("#sign-out")
        expect(page.locator("#greeting")).to_have_text("Hello")
        page.click("#sign-in")
        expect(page.locator("[name=password]")).to_be_visible()
