"""Scripts of single pages: copying a key, a countdown, the API reference."""

from playwright.sync_api import expect

from tests.support.browser import axe
from tests.support.browser_rows import NEW_KEY, WIDE
from tests.support.browser_steps import become, newcomer, press
from tests.support.standards import proves
from tests.support.steps import CONFIRM, sign_up

# Chromium goes on with cookies of clients that have another user agent.
SITE = {"SESSION_PROTECTION": "off"}


def test_a_new_api_key_can_be_copied(site, open_page):
    page = open_page(site, permissions=["clipboard-read", "clipboard-write"])
    become(page, newcomer(site, "dave"))
    page.goto(NEW_KEY)
    page.get_by_label("Name").fill(WIDE)
    page.get_by_role("group", name="Profile").get_by_label("View").check()
    press(page, "Create the key")
    key = page.locator("#key").inner_text()
    assert axe(page) == []
    press(page, "Copy")
    expect(page.locator("#live")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == key


@proves("WCAG-2.2.1")
def test_the_resend_button_is_enabled_after_a_countdown(site, page):
    waiting = site.client()
    sign_up(waiting, "impatient")
    become(page, waiting)
    page.clock.install()
    page.goto(CONFIRM)
    resend = page.get_by_role("button", name="Send a new email", exact=True)

    expect(resend).to_be_disabled()
    page.clock.fast_forward("01:01")
    expect(resend).to_be_enabled()


def test_the_api_reference_is_accessible_under_a_strict_content_security_policy(page):
    """A violation of the policy would appear on the console and fail the test.

    ``test_pages.py`` looks at the whole page, before a call is open.
    """
    answer = page.goto("/api/v1/docs/")
    assert answer
    assert "unsafe-" not in answer.headers["content-security-policy"]
    page.get_by_label("Search", exact=True).fill("an api KEY")
    call = page.locator(".opblock", has_text="Create an API key")

    call.locator("button").first.click()
    call.get_by_role("button", name="Try it out").click()

    expect(call.get_by_role("textbox", name="Request body")).to_be_visible()
    expect(page.locator(".opblock", has_text="Revoke an API key")).to_be_visible()
    expect(page.locator(".opblock", has_text="Sign up")).to_have_count(0)
    assert axe(page, part=".opblock.is-open") == []
    page.get_by_role("button", name="Authorize", exact=True).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert axe(page, part="[role=dialog]") == []


def test_the_api_reference_copies_samples_and_calls_with_a_token_that_no_storage_keeps(
    site, open_page
):
    page = open_page(site, permissions=["clipboard-read", "clipboard-write"])
    become(page, newcomer(site, "frank"))
    page.goto("/api/v1/docs/")
    page.get_by_role("link", name="Try the calls with your own account").click()
    page.get_by_role("button", name="Fill in my access token").click()
    call = page.locator(".opblock", has_text="Get your account").first

    call.locator("button").first.click()
    call.locator(".samples").get_by_role("button", name="Copy code to clipboard").first.click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("curl -X GET ")
    call.get_by_role("button", name="Try it out").click()
    call.get_by_role("button", name="Execute").click()

    expect(call.locator(".live-responses-table")).to_contain_text('"username": "frank"')
    assert page.locator("[data-token]").count() == 0
    assert page.evaluate("typeof token + typeof ui") == "undefined" * 2
    kept = "location.href + JSON.stringify([localStorage, sessionStorage, document.cookie])"
    assert "eyJ" not in page.evaluate(kept)
