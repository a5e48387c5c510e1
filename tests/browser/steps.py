"""What people do in a browser, for the stories and for the walk through all pages."""

import re

from playwright.sync_api import Page, expect

from tests.support.site import Site, text_of

PASSWORD = "vivid otter under glass"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1"
)


def sees(page: Page, heading: str) -> None:
    """Wait until the page with this heading is there: a click returns before it is."""
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def press(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


def sign_up(page: Page, username: str) -> None:
    """From the sign-in page to "a mail is on its way"."""
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Username").fill(username)
    page.get_by_label("Email address").fill(f"{username}@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Create an account")
    expect(page.get_by_role("main")).to_contain_text(f"{username}@example.org")


def read_mail(page: Page, site: Site, username: str, about: str = "") -> str:
    """Open the newest mail in the development mailbox, by the links there; its subject."""
    address = f"{username}@example.org"
    subject = str(site.wait_for_mail(to=address, subject=about)["Subject"])
    page.get_by_role("contentinfo").get_by_role("link").click()
    sees(page, "Mail")
    theirs = page.get_by_role("listitem").filter(has_text=address)
    theirs.get_by_role("link", name=subject).first.click()
    return subject


def type_code(page: Page, site: Site, username: str) -> None:
    """Read the code in the mailbox and type it where one signed up."""
    read_mail(page, site, username)
    (code,) = re.findall(r"(?m)^[A-Z2-9]{8}$", page.locator("pre").first.inner_text())
    page.goto("/accounts/confirm-email/")
    page.get_by_label("Code").fill(code)
    press(page, "Confirm")


def sign_in(page: Page, username: str, *, password: str = PASSWORD, remember: bool = False) -> None:
    page.get_by_label("Username or email address").fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("Keep me signed in").set_checked(remember)
    press(page, "Sign in")


def sign_out(page: Page) -> None:
    page.get_by_role("banner").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("main")).to_contain_text("You are signed out.")


def notice_link(site: Site, username: str) -> str:
    """The path of the link "this wasn't me" in the newest notice of a new browser."""
    mail = site.wait_for_mail(to=f"{username}@example.org", subject="new browser")
    (path,) = re.findall(r"/accounts/lockdown/[\w-]+/", text_of(mail))
    return str(path)
