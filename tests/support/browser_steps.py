"""Steps that people take in a browser."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.support.second_factor import STEP_UP, confirm_recovery_codes, set_up_authenticator
from tests.support.site import Client, Site, text_of
from tests.support.steps import LOGOUT, PASSWORD, address_of, code_in, join, sql

LONG_AGO = "2020-01-01 20:30:00"
NEW_PASSWORD = "a lantern over seven wet roofs"


def sees(page: Page, heading: str) -> None:
    """Wait for the page with this heading, since a click returns before the page has loaded."""
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def says(page: Page, *texts: str) -> None:
    """Wait until each of the texts is on the page."""
    for text in texts:
        expect(page.get_by_role("main")).to_contain_text(text)


def press(page: Page, name: str) -> None:
    """Press the button of this name. The sign-in page may add "Last used" to it."""
    words = re.compile(rf"^{re.escape(name)}( Last used)?$")
    page.get_by_role("main").get_by_role("button", name=words).click()


def go(page: Page, name: str) -> None:
    """Go to a page by its link in the menu."""
    menu(page).get_by_role("link", name=name).click()


def menu(page: Page) -> Locator:
    """Return the menu, opened if the screen is so narrow that it is a drawer."""
    # Before the stylesheet has arrived, the button is visible on wide screens, too.
    page.wait_for_load_state()
    button = page.get_by_role("button", name="Menu", exact=True)
    if button.is_visible():
        button.click()
    return page.get_by_role("navigation", name="Your account")


def become(page: Page, who: Client) -> None:
    """Replace the cookies of the page by those of a client."""
    page.context.clear_cookies()
    page.context.add_cookies(
        [{"name": n, "value": m.coded_value, "url": who.origin} for n, m in who.cookies.items()]
    )


def newcomer(site: Site, username: str, **headers: str) -> Client:
    """Return a client that has made an account and is signed in."""
    client = site.client(**headers)
    join(site, client, username)
    return client


def promote(site: Site, username: str) -> None:
    """Make a user a superuser, as if the session had begun after the second factor was added."""
    rights = "UPDATE accounts_user SET is_staff = 1, is_superuser = 1 WHERE username_key = ?"
    sql(site, rights, username)
    sql(site, STEP_UP)


def administrator(site: Site, username: str, **headers: str) -> Client:
    """Return a client in which a superuser is signed in, with both steps."""
    client = newcomer(site, username, **headers)
    set_up_authenticator(client)
    assert confirm_recovery_codes(client).status == 302
    promote(site, username)
    return client


def member(site: Site, username: str) -> None:
    """Create an account that is signed in nowhere."""
    newcomer(site, username).post(LOGOUT, form="/")


def arrive(page: Page, site: Site, username: str) -> None:
    """Create an account in the browser of the page, and wait for the home page."""
    browser = page.evaluate("navigator.userAgent")
    become(page, newcomer(site, username, User_Agent=browser))
    page.goto("/")
    sees(page, f"Hello, {username}")


def sign_up(page: Page, username: str) -> None:
    """Sign up, from the sign-in page to the page that asks for the mailed code."""
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Username").fill(username)
    page.get_by_label("Email address").fill(address_of(username))
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Create an account")
    says(page, address_of(username))


def code_for(site: Site, to: str, count: int = 1) -> str:
    """Wait until ``count`` mails with a code have come, and return the code of the newest."""
    address = to if "@" in to else address_of(to)
    return code_in(text_of(site.wait_for_mail(to=address, subject="is your code", count=count)))


def link_for(site: Site, to: str, about: str, path: str, count: int = 1) -> str:
    """Wait for ``count`` mails with a subject; return the first link below ``path`` in the newest.

    ``to``: an email address, or the username in it.
    """
    address = to if "@" in to else address_of(to)
    mail = site.wait_for_mail(to=address, subject=about, count=count)
    found = re.search(rf"{path}[\w-]+/", text_of(mail))
    assert found, text_of(mail)
    return found[0]


def ask_for_reset(page: Page, site: Site, login: str) -> None:
    """Request a password reset and open the mailed link."""
    about, address = "Set a new password", login if "@" in login else address_of(login)
    before = site.mails(to=address, subject=about)
    page.get_by_label("Username or email address").fill(login)
    press(page, "Send the link")
    sees(page, "Check your email")
    page.goto(link_for(site, address, about, "/accounts/password/reset/", len(before) + 1))


def type_code(page: Page, code: str, button: str = "Confirm") -> None:
    """Fill in a code and press the button, as without the script that sends the last digit."""
    page.get_by_label("Code", exact=True).evaluate("(input, code) => { input.value = code }", code)
    press(page, button)


def open_key(page: Page) -> str:
    """Return the key of an authenticator app, as the page shows it to those who cannot scan it."""
    page.get_by_text("Can’t scan it?").click()
    return page.locator("#key").inner_text()


def sign_in(page: Page, username: str, *, password: str = PASSWORD, remember: bool = False) -> None:
    page.get_by_label("Username or email address").fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("Keep me signed in").set_checked(remember)
    press(page, "Sign in")


def sign_out(page: Page) -> None:
    menu(page).get_by_role("button", name="Sign out").click()
    says(page, "You’re signed out.")


def lasts(page: Page) -> bool:
    """Return whether the session outlives the browser."""
    (kept,) = [each for each in page.context.cookies() if each.get("name") == "sessionid"]
    return kept.get("expires") != -1
