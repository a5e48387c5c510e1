"""The page of a rate-limited sign-in in Chromium."""

from playwright.sync_api import expect

from tests.support.browser import axe
from tests.support.browser_steps import member, press, sees
from tests.support.steps import LOGIN, PASSWORD, WRONG, code_in, sign_in

SITE = {"LIMITS_SCALE": "1"}


def test_the_429_page_keeps_the_login_and_offers_other_methods(site, open_page):
    member(site, "alice")
    elsewhere = site.client()
    for _ in range(5):
        sign_in(elsewhere, "alice", WRONG)
    page = open_page(site, expect=(429,))
    page.goto(f"{LOGIN}?next=/accounts/sessions/")
    page.get_by_label("Username or email address").fill("alice")
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_label("Keep me signed in").check()

    press(page, "Sign in")

    sees(page, "Too many attempts")
    expect(page.get_by_role("button", name="Try again")).to_be_disabled()
    for colours, width in (("light", 1280), ("dark", 390)):
        page.emulate_media(color_scheme=colours)
        page.set_viewport_size({"width": width, "height": 800})
        assert axe(page) == [], colours
    press(page, "Email me a code to sign in")
    code = code_in(site.wait_for_mail(to="alice@", subject="code to sign in"))
    page.get_by_label("Code", exact=True).press_sequentially(code)  # sent at the last digit
    sees(page, "Where you’re signed in")
