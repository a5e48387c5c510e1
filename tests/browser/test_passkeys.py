"""Passkeys in Chromium with its virtual authenticator."""

from playwright.sync_api import expect

from tests.support.browser_passkeys import BUTTON, add_here, add_passkey, enter, problem
from tests.support.browser_steps import LONG_AGO, go, lasts, press, says, sees, sign_in, sign_out
from tests.support.standards import proves
from tests.support.steps import LOGIN, PASSWORD, code_in, sql
from tests.support.virtual_authenticator import (
    AUTOFILL_WAITS,
    CHOSEN,
    MAKES_PASSKEYS,
    NO_AUTOFILL,
    OFFERED,
    SECURITY_KEY,
    SIGNALS,
    TOLD,
    VirtualAuthenticator,
    url_safe,
)
from tests.support.webauthn import ADD, PASSKEYS

WANTED = "/accounts/activity/?from=mail"
LOGIN_FOR_WANTED = f"{LOGIN}?next={WANTED.replace('?', '%3F')}"
GOOGLE = "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"


def open_passkey(page):
    """Open the page of the only passkey."""
    page.goto(PASSKEYS)
    page.get_by_role("link", name="Manage").click()
    expect(page.get_by_role("heading", name="Remove this passkey")).to_be_visible()


def told(page):
    """Return the signals of the page to the password manager, by the name of the method."""
    page.wait_for_function(f"{TOLD}.length")
    return dict(page.evaluate(TOLD))


def test_signing_up_with_a_passkey_leads_to_the_requested_page(page, site):
    page.add_init_script(NO_AUTOFILL)
    authenticator = VirtualAuthenticator(page)
    page.goto(LOGIN_FOR_WANTED)
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Username").fill("pk-new")
    page.get_by_label("Email address").fill("pk-new@example.org")
    press(page, "Sign up with a passkey")
    sees(page, "Confirm your email address")
    page.get_by_label("Code", exact=True).fill(code_in(site.wait_for_mail(to="pk-new@example.org")))
    add_here(page)
    sees(page, "Save your recovery codes")
    page.get_by_label("Code", exact=True).fill(page.locator("#codes li").first.inner_text())
    press(page, "Confirm")

    expect(page).to_have_url(site.origin + WANTED)
    (kept,) = authenticator.credentials
    assert (kept["rpId"], kept["userName"]) == ("localhost", "pk-new")


@proves("WCAG-3.3.8")
def test_a_passkey_signs_in_by_autofill_by_button_and_as_a_second_step(page, site):
    enter(page, site, "pk-uses", script=AUTOFILL_WAITS)
    add_passkey(page)
    sign_out(page)

    page.goto(LOGIN_FOR_WANTED)
    page.get_by_label("Keep me signed in").check()
    name = page.get_by_label("Username or email address")
    assert "webauthn" in str(name.get_attribute("autocomplete"))
    page.wait_for_function(OFFERED)
    page.evaluate(CHOSEN)
    expect(page).to_have_url(site.origin + WANTED)
    assert lasts(page)
    sign_out(page)

    page.goto(LOGIN_FOR_WANTED)
    press(page, BUTTON)
    expect(page).to_have_url(site.origin + WANTED)
    assert not lasts(page)
    sign_out(page)

    page.goto(LOGIN_FOR_WANTED)
    sign_in(page, "pk-uses")
    press(page, "Use your passkey")
    expect(page).to_have_url(site.origin + WANTED)


def test_a_passkey_that_the_browser_makes_signs_in_and_becomes_a_second_step(page, site):
    enter(page, site, "pk-made", script=f"{NO_AUTOFILL};{MAKES_PASSKEYS}")
    says(page, "Your browser saved a passkey.", "Next step: turn on two-step verification")
    sign_out(page)
    press(page, BUTTON)
    sees(page, "Hello, pk-made")

    go(page, "Passkeys and two-step")
    says(page, "Two-step verification is off", "Not a second step yet")
    page.get_by_role("link", name="Use your passkey as the second step").click()
    sees(page, "Use your passkey as the second step")
    press(page, "Use this passkey")
    page.get_by_label("Code", exact=True).fill(page.locator("#codes li").first.inner_text())
    press(page, "Turn on two-step verification")
    says(page, "Two-step verification is on", "1 ready to use")
    sign_out(page)
    sign_in(page, "pk-made")
    press(page, "Use your passkey")
    sees(page, "Hello, pk-made")


def test_a_security_key_is_added_after_reauthentication_and_is_a_second_step(page, site):
    authenticator = enter(page, site, "pk-adds")
    sql(site, "UPDATE accounts_loginsession SET auth_time = ?", LONG_AGO)
    page.goto(ADD)
    sees(page, "Is that you, pk-adds?")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Confirm")
    add_here(page)

    sql(site, "UPDATE accounts_loginsession SET factor_at = ?", LONG_AGO)
    page.goto(ADD)
    sees(page, "Is that you, pk-adds?")
    expect(page.get_by_label("Password")).to_have_count(0)
    press(page, "Use a passkey")
    sees(page, "Add a passkey")
    press(page, "Add a passkey")
    assert problem(page) == "This device already has a passkey for your account."
    authenticator.unplug()
    VirtualAuthenticator(page, **SECURITY_KEY)
    add_here(page)

    sign_out(page)
    sign_in(page, "pk-adds")
    press(page, "Use your passkey")
    sees(page, "Hello, pk-adds")


def test_renaming_and_removing_a_passkey_is_signalled_to_the_password_manager(page, site):
    page.add_init_script(SIGNALS)
    authenticator = enter(page, site, "pk-keeps")
    add_passkey(page, "Laptop of pk-keeps")
    sql(site, "UPDATE accounts_passkey SET aaguid = ? WHERE name = ?", GOOGLE, "Laptop of pk-keeps")
    page.goto(PASSKEYS)
    says(page, "Laptop of pk-keeps", "Google Password Manager", "Not used yet")
    (kept,) = authenticator.credentials
    of_user = {"rpId": "localhost", "userId": url_safe(kept["userHandle"])}
    credential_id = url_safe(kept["credentialId"])
    names = {"name": "pk-keeps", "displayName": "pk-keeps"}
    assert told(page) == {
        "signalAllAcceptedCredentials": of_user | {"allAcceptedCredentialIds": [credential_id]},
        "signalCurrentUserDetails": of_user | names,
    }

    open_passkey(page)
    page.get_by_label("Name").fill("<b>Work</b> laptop")
    press(page, "Rename")
    says(page, "Renamed.", "<b>Work</b> laptop")
    open_passkey(page)
    says(
        page,
        "This turns two-step verification off",
        "your password will be all it takes to sign in",
    )
    press(page, "Remove this passkey")
    says(page, "was removed.", "Two-step verification is off")
    assert told(page)["signalAllAcceptedCredentials"]["allAcceptedCredentialIds"] == []

    sign_out(page)
    page.goto(f"{LOGIN}?next=/help/")
    press(page, BUTTON)
    says(page, "That passkey didn’t work.")
    assert page.evaluate(TOLD) == [], "it may still prove who owns the account"
    sign_in(page, "pk-keeps")
    expect(page).to_have_url(f"{site.origin}/help/")
