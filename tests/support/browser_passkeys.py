"""Steps with passkeys in Chromium."""

from playwright.sync_api import Page, expect

from tests.support.browser_steps import arrive, press, says, sees
from tests.support.site import Site
from tests.support.virtual_authenticator import NO_AUTOFILL, VirtualAuthenticator
from tests.support.webauthn import ADD

BUTTON = "Sign in with a passkey"


def enter(
    page: Page, site: Site, username: str, *, script: str = NO_AUTOFILL
) -> VirtualAuthenticator:
    """Create an account in a browser with a virtual authenticator."""
    page.add_init_script(script)
    authenticator = VirtualAuthenticator(page)
    arrive(page, site, username)
    return authenticator


def add_here(page: Page, name: str = "") -> None:
    """Add a passkey on the page that is open."""
    sees(page, "Add a passkey")
    page.get_by_label("Name").fill(name)
    press(page, "Add a passkey")
    says(page, "The passkey was added.")


def add_passkey(page: Page, name: str = "") -> None:
    page.goto(ADD)
    add_here(page, name)


def problem(page: Page) -> str:
    """Wait for the message of the script below the button, and return it."""
    said = page.locator("form[data-passkey] [data-problem]")
    expect(said).to_be_visible()
    return said.inner_text()
