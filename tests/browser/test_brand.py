"""A site in lemon yellow, as a browser shows it. What its console says fails the test."""

from io import BytesIO
from itertools import product
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from accounts.profile.pictures import LARGEST
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
        AVATARS="on",
        SITE_SUPPORT="mailto:help@example.org",
        **brand,
        **CHEAP_HASHES,
    ) as running:
        yield running


def test_pages_in_the_brands_colour_are_for_everybody(site, open_page):
    page = open_page(site, expect=(404,))

    for scheme, path in product(("light", "dark"), ("/accounts/login/", "/no-such-page")):
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


def test_a_chosen_theme_outweighs_that_of_the_system_in_the_admin_too(site, open_page):
    page = open_page(site)
    become(page, newcomer(site, "dave"))
    promote(site, "dave")

    for system, chosen, name in (("light", "Dark", "dark"), ("dark", "Light", "light")):
        page.emulate_media(color_scheme=system)
        page.goto("/help/")
        page.get_by_role("button", name=chosen, exact=True).click()
        for path in ("/help/", "/admin/", "/api/v1/docs/"):
            page.goto(path)
            text = page.evaluate("getComputedStyle(document.body).color")
            assert text == {"dark": "rgb(232, 235, 240)", "light": "rgb(20, 24, 31)"}[name], path


def test_the_browser_makes_a_large_photo_small_enough(site, open_page):
    photo = BytesIO()
    Image.effect_noise((1800, 1300), 90).save(photo, "PNG")
    assert len(photo.getvalue()) > LARGEST
    page = open_page(site)
    become(page, newcomer(site, "erin"))
    page.goto("/accounts/profile/")
    file = {"name": "me.png", "mimeType": "image/png", "buffer": photo.getvalue()}

    page.locator("#id_picture").set_input_files(file)
    page.get_by_role("button", name="Upload").click()

    expect(page.get_by_alt_text("Your profile picture")).to_be_visible()


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
