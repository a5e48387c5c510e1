"""Passkeys that fail or are not supported, in Chromium with a virtual authenticator."""

from playwright.sync_api import expect

from tests.support.browser_passkeys import BUTTON, add_here, add_passkey, enter, problem
from tests.support.browser_steps import press, says, sees, sign_in, sign_out
from tests.support.steps import LOGIN
from tests.support.virtual_authenticator import NO_AUTOFILL, VirtualAuthenticator
from tests.support.webauthn import ADD, PASSKEYS

CANCELLED = "You cancelled, or the passkey didn’t work. Try again, or choose another way."
CANNOT = "This browser can’t use passkeys here."
# Moves the page's clock forward by five minutes, since waiting would take too long.
FIVE_MINUTES_LATER = "{ const now = Date.now; Date.now = () => now() + 301_000 }"
NO_LEVEL_3 = """
delete PublicKeyCredential.parseCreationOptionsFromJSON
delete PublicKeyCredential.parseRequestOptionsFromJSON
delete PublicKeyCredential.signalAllAcceptedCredentials
delete PublicKeyCredential.signalCurrentUserDetails
delete PublicKeyCredential.signalUnknownCredential
delete PublicKeyCredential.prototype.toJSON
delete AuthenticatorAttestationResponse.prototype.getTransports
"""
NO_WEBAUTHN = "delete window.PublicKeyCredential"
NO_CREDENTIALS = "Object.defineProperty(navigator, 'credentials', {value: undefined})"


def test_a_cancelled_prompt_shows_a_message_and_keeps_the_typed_values(page, site):
    authenticator = enter(page, site, "pk-fails")
    page.goto(ADD)
    authenticator.verify_user(False)
    page.get_by_label("Name").fill("Laptop")
    press(page, "Add a passkey")
    assert problem(page) == CANCELLED
    assert page.get_by_label("Name").input_value() == "Laptop"
    authenticator.verify_user(True)
    add_here(page)

    sign_out(page)
    authenticator.verify_user(False)
    page.get_by_label("Username or email address").fill("pk-fails")
    press(page, BUTTON)
    assert problem(page) == CANCELLED
    expect(page.get_by_role("status").last).to_have_text(CANCELLED)
    assert page.get_by_label("Username or email address").input_value() == "pk-fails"
    authenticator.verify_user(True)
    press(page, BUTTON)
    sees(page, "Hello, pk-fails")


def test_failing_passkeys_show_no_message_until_the_button_is_pressed(page, site):
    VirtualAuthenticator(page)
    # The relying party id of the site is "localhost", so passkeys fail at 127.0.0.1.
    page.goto(f"http://127.0.0.1:{site.port}{LOGIN}", wait_until="networkidle")
    expect(page.get_by_role("button", name=BUTTON)).to_be_visible()
    expect(page.locator("[data-problem]")).to_be_hidden()

    press(page, BUTTON)

    assert problem(page) == CANCELLED


def test_the_passkey_button_renews_an_expired_challenge(page, site):
    enter(page, site, "pk-late")
    page.goto(ADD)
    page.evaluate(FIVE_MINUTES_LATER)
    add_here(page, "Laptop")
    page.goto(PASSKEYS)
    says(page, "Laptop")
    sign_out(page)
    page.goto(f"{LOGIN}?next=/help/")
    page.evaluate(FIVE_MINUTES_LATER)

    with page.expect_request(lambda request: request.method == "GET" and LOGIN in request.url):
        press(page, BUTTON)

    expect(page).to_have_url(f"{site.origin}/help/")


def test_passkeys_work_in_a_browser_without_webauthn_level_3(page, site):
    enter(page, site, "pk-old", script=NO_AUTOFILL + NO_LEVEL_3)
    add_passkey(page)
    page.goto(PASSKEYS)
    says(page, "Not used yet")
    sign_out(page)

    press(page, BUTTON)
    sees(page, "Hello, pk-old")
    sign_out(page)
    sign_in(page, "pk-old")
    press(page, "Use your passkey")
    sees(page, "Hello, pk-old")


def test_a_browser_without_passkeys_offers_none_and_says_so(page, site, open_page):
    enter(page, site, "pk-none")
    add_passkey(page)
    assert "<noscript><p>Passkeys need JavaScript." in page.request.get(ADD).text()
    for lack in (NO_WEBAUTHN, NO_CREDENTIALS):
        old = open_page(site)
        old.add_init_script(lack)
        for path in ("/accounts/signup/", LOGIN):
            old.goto(path, wait_until="networkidle")
            assert old.get_by_role("button", name="passkey").count() == 0
        sign_in(old, "pk-none")
        says(old, CANNOT)
        assert old.get_by_role("button", name="Use your passkey").count() == 0
        expect(old.get_by_role("link", name="Use a recovery code")).to_be_visible()
        old.context.clear_cookies()
        old.context.add_cookies(page.context.cookies())
        old.goto(PASSKEYS)
        says(old, "Not used yet")
