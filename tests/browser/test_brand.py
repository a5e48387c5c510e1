"""A site in lemon yellow, as a browser shows it. What its console says fails the test."""

from itertools import product
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.browser import axe
from tests.support.browser_steps import become, newcomer, promote
from tests.support.site import CHEAP_HASHES, Site

LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 20"><path d="M0 0h80v20H0z"/></svg>'
YELLOW = "rgb(255, 210, 31)"
GROUND = "e => getComputedStyle(e).backgroundColor"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    logo = Path(tmp_path_factory.mktemp("brand")) / "logo.svg"
    logo.write_text(LOGO)
    links = '[{"name": "Terms", "url": "/terms/"}]'
    brand = {"SITE_COLOUR": "#ffd21f", "SITE_LOGO": str(logo), "SITE_LOGO_DARK": str(logo)}
    with Site(
        LIMITS_SCALE="1000",
        SESSION_PROTECTION="off",
        SECOND_FACTOR="optional",
        SITE_LINKS=links,
        SITE_SUPPORT="mailto:help@example.org",
        **brand,
        **CHEAP_HASHES,
    ) as running:
        yield running


def test_pages_in_the_brands_colour_are_for_everybody(site, open_page):
    page = open_page(site, expect=(404,))
    paths = ("/accounts/login/", "/help/", "/no-such-page")

    for scheme, path in product(("light", "dark"), paths):
        page.emulate_media(color_scheme=scheme)
        page.goto(path)
        expect(page.get_by_role("link", name="Contact support")).to_be_visible()
        assert axe(page) == [], (scheme, path)
        logo = page.locator("img.logo").bounding_box()
        assert logo
        assert logo["height"] == 36
        assert logo["width"] == 144
        bar = page.evaluate("getComputedStyle(document.documentElement).borderTopColor")
        assert bar == YELLOW
    become(page, newcomer(site, "alice"))
    page.goto("/accounts/profile/")
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        button = page.get_by_role("main").locator(".button.primary").first
        assert button.evaluate(GROUND) == YELLOW
        assert axe(page) == [], scheme


def test_the_admin_follows(site, open_page):
    page = open_page(site)
    become(page, newcomer(site, "carol"))
    promote(site, "carol")

    for scheme, path in product(("light", "dark"), ("/admin/", "/admin/accounts/user/")):
        page.emulate_media(color_scheme=scheme)
        page.goto(path)
        bar = page.evaluate("getComputedStyle(document.documentElement).borderTopColor")
        assert bar == YELLOW
        assert axe(page) == [], (scheme, path)
    assert page.locator("#site-name img").is_visible()
