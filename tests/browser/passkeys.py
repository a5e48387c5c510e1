"""What people do with passkeys in a browser."""

from playwright.sync_api import Page, expect

from tests.browser.steps import member, press, says, sees, sign_in
from tests.support.second import SETUP, code_of, seed_on
from tests.support.site import Site
from tests.support.steps import code_in
from tests.support.virtual_authenticator import NO_AUTOFILL, VirtualAuthenticator

LOGIN = "/accounts/login/"
ADD = "/accounts/2fa/passkeys/add/"
PASSKEYS = "/accounts/2fa/passkeys/"
TRUSTED = "/accounts/2fa/trusted/"
WANTED = "/accounts/activity/?from=mail"
WRONG = "That passkey didn’t work. Try again, or choose another way."
CANCELLED = "That was cancelled, or didn’t work. Try again, or choose another way."
LONG_AGO = "2020-01-01 20:30:00"


def enter(page: Page, site: Site, username: str) -> VirtualAuthenticator:
    """An account with a password, signed in, in a browser that keeps passkeys."""
    member(site, username)
    page.add_init_script(NO_AUTOFILL)
    authenticator = VirtualAuthenticator(page)
    page.goto(LOGIN)
    sign_in(page, username)
    sees(page, f"Hello, {username}")
    return authenticator


def turn_on_codes(page: Page) -> str:
    """An authenticator app as well; its seed."""
    page.goto(SETUP)
    seed = seed_on(page.content())
    page.get_by_label("Code", exact=True).fill(code_of(seed))
    press(page, "Turn on two-step sign-in")
    says(page, "Two-step sign-in is on.")
    return seed


def sign_up_by_passkey(page: Page, site: Site, username: str, *, next_url: str = "") -> None:
    """To the page that adds it."""
    page.goto("/accounts/signup/" + (f"?next={next_url}" if next_url else ""))
    page.get_by_label("Username").fill(username)
    page.get_by_label("Email address").fill(f"{username}@example.org")
    press(page, "Sign up with a passkey")
    sees(page, "Confirm your email address")
    page.get_by_label("Code").fill(code_in(site.wait_for_mail(to=f"{username}@example.org")))
    press(page, "Confirm")
    sees(page, "Add a passkey")


def add_passkey(page: Page, name: str = "") -> None:
    """From inside; with the first one the recovery codes follow."""
    page.goto(ADD)
    add_here(page, name)
    expect(page.get_by_role("main")).to_contain_text("The passkey was added.")


def add_here(page: Page, name: str = "") -> None:
    """On the page that is there."""
    sees(page, "Add a passkey")
    page.get_by_label("Name").fill(name)
    press(page, "Add a passkey")


def keep_codes(page: Page) -> str:
    """Type one of the recovery codes back; one that is left."""
    sees(page, "Keep your recovery codes")
    first, second = page.locator("#codes li").all_inner_texts()[:2]
    page.get_by_label("Code").fill(first)
    press(page, "Finish")
    expect(page.get_by_role("main")).to_contain_text("Your recovery codes are kept.")
    return second


def leave(page: Page) -> None:
    """Sign out, wherever that leads: autofill may sign in again at once."""
    page.get_by_role("banner").get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/")


def problem(page: Page) -> str:
    """What the script says under the button, as soon as it does."""
    said = page.locator("form[data-passkey] [data-problem]")
    expect(said).to_be_visible()
    return said.inner_text()
