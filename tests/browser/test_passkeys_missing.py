"""Browsers that lack an API, or passkeys altogether: pages stand, and offer what can be done."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.passkeys import ADD, LOGIN, PASSKEYS, add_passkey, enter
from tests.browser.steps import press, says, sees, sign_in, sign_out
from tests.support.browser import OpenPage
from tests.support.second import CHALLENGE
from tests.support.site import Site

NOTHING = "delete window.PublicKeyCredential"
NO_CONTAINER = "Object.defineProperty(navigator, 'credentials', {value: undefined})"
JSON_PARSERS = """
delete PublicKeyCredential.parseCreationOptionsFromJSON
delete PublicKeyCredential.parseRequestOptionsFromJSON
"""
SIGNALS = """
delete PublicKeyCredential.signalAllAcceptedCredentials
delete PublicKeyCredential.signalCurrentUserDetails
delete PublicKeyCredential.signalUnknownCredential
"""
WRITERS = """
delete PublicKeyCredential.prototype.toJSON
delete AuthenticatorAttestationResponse.prototype.getTransports
"""
PARTS = {"JSON parsers": JSON_PARSERS, "signals": SIGNALS, "toJSON and getTransports": WRITERS}
LACKS = PARTS | {"all of Level 3": "".join(PARTS.values())}
CANNOT = "This browser can’t use passkeys here."


# With all of them missing here, ``make proof`` leaves out one at a time.
@pytest.mark.parametrize(
    "lack",
    ["all of Level 3", *(pytest.param(part, marks=pytest.mark.proof) for part in PARTS)],
)
def test_passkeys_work_in_a_browser_without_some_of_the_means(
    page: Page, site: Site, lack: str
) -> None:
    name = "old-" + lack.partition(" ")[0].lower()
    page.add_init_script(LACKS[lack])
    enter(page, site, name)
    add_passkey(page)
    page.goto(PASSKEYS)
    says(page, "Not used yet")
    sign_out(page)

    press(page, "Sign in with a passkey")
    sees(page, f"Hello, {name}")
    sign_out(page)
    sign_in(page, name)
    press(page, "Use your passkey")
    sees(page, f"Hello, {name}")


@pytest.mark.parametrize("lack", [NOTHING, NO_CONTAINER], ids=["WebAuthn", "credentials"])
def test_a_browser_without_passkeys_offers_none_and_says_so_where_nothing_else_is(
    page: Page, site: Site, open_page: OpenPage, lack: str
) -> None:
    name = f"none{len(lack)}"
    enter(page, site, name)
    add_passkey(page)
    old = open_page(site)
    old.add_init_script(lack)

    old.goto("/accounts/signup/", wait_until="networkidle")
    assert old.get_by_role("button", name="passkey").count() == 0
    old.goto(LOGIN, wait_until="networkidle")
    assert old.get_by_role("button", name="passkey").count() == 0
    sign_in(old, name)
    says(old, CANNOT)
    assert old.get_by_role("button", name="Use your passkey").count() == 0
    expect(old.get_by_role("link", name="Get a code by mail")).to_be_visible()
    old.context.clear_cookies()
    old.context.add_cookies(page.context.cookies())
    old.goto(ADD)
    says(old, CANNOT)
    old.goto(PASSKEYS)
    says(old, "Not used yet")
    old.goto("/accounts/reauthenticate/", wait_until="networkidle")
    assert old.get_by_role("button", name="passkey").count() == 0
    expect(old.get_by_label("Password", exact=True)).to_be_visible()


def test_without_scripts_what_needs_them_is_said(page: Page, site: Site, no_js_page: Page) -> None:
    enter(page, site, "bare")
    add_passkey(page)
    # Playwright's browser parses as if it ran scripts, and doesn't draw this.
    needs = "<noscript><p>Passkeys need JavaScript. Switch it on, or choose another way."

    no_js_page.goto(LOGIN)
    assert no_js_page.get_by_role("button", name="passkey").count() == 0
    sign_in(no_js_page, "bare")
    expect(no_js_page).to_have_url(site.origin + CHALLENGE)
    assert needs in no_js_page.content()
    expect(no_js_page.get_by_role("link", name="Get a code by mail")).to_be_visible()
    no_js_page.context.clear_cookies()
    no_js_page.context.add_cookies(page.context.cookies())
    no_js_page.goto(ADD)
    assert needs in no_js_page.content()
