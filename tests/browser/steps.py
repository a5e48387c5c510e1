"""What people do in a browser, for the stories and for the walk through all pages."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from playwright.sync_api import Page, expect

from tests.support.site import Site, text_of
from tests.support.steps import CONFIRM, PASSWORD, code_in, sql
from tests.support.steps import sign_up as post_sign_up

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1"
)
LONG_AGO = "2020-01-01 20:30:00"
BOTH_WAYS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
MUCH_HAPPENS = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
    INSERT INTO accounts_activity
        (user_id, kind, at, address, browser, system, proof, actor, detail)
    SELECT id, iif(i % 2, 'sign_in_failed', 'others_ended'), ?, '2001:db8::7', 'Firefox',
        'Windows', 'pwd', iif(i % 2, '', 'carol'), iif(i % 2, '', '3')
    FROM n, accounts_user WHERE username = ?
"""


def sees(page: Page, heading: str) -> None:
    """Wait until the page with this heading is there: a click returns before it is."""
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def says(page: Page, *texts: str) -> None:
    """Wait until each of them is on the page."""
    for text in texts:
        expect(page.get_by_role("main")).to_contain_text(text)


def press(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


def go(page: Page, name: str) -> None:
    """To a page by the navigation."""
    page.get_by_role("banner").get_by_role("link", name=name).click()


def member(site: Site, username: str) -> None:
    """An account, made in a browser that nobody uses again."""
    browser = site.client()
    post_sign_up(browser, username, password=PASSWORD)
    code = code_in(site.wait_for_mail(to=f"{username}@example.org"))
    browser.post(CONFIRM, {"code": code})
    browser.post("/accounts/logout/", form="/")


def sign_up(page: Page, username: str) -> None:
    """From the sign-in page to "a mail is on its way"."""
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Username").fill(username)
    page.get_by_label("Email address").fill(f"{username}@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Create an account")
    expect(page.get_by_role("main")).to_contain_text(f"{username}@example.org")


def read_mail(page: Page, site: Site, to: str, about: str = "") -> str:
    """Open the newest mail in the development mailbox, by the links there; its subject.

    ``to`` is an address, or the name of who has one at example.org.
    """
    address = to if "@" in to else f"{to}@example.org"
    subject = str(site.wait_for_mail(to=address, subject=about)["Subject"])
    page.get_by_role("contentinfo").get_by_role("link", name="Mail sent").click()
    sees(page, "Mail")
    theirs = page.get_by_role("listitem").filter(has_text=address)
    theirs.get_by_role("link", name=subject).first.click()
    return subject


def read_code(page: Page, site: Site, to: str) -> str:
    """The code of the newest mail that brings one."""
    read_mail(page, site, to, about="is your code")
    (code,) = re.findall(r"(?m)^[A-Z2-9]{8}$", page.locator("pre").first.inner_text())
    return str(code)


def type_code(page: Page, site: Site, username: str) -> None:
    """Read the code in the mailbox and type it where one signed up."""
    code = read_code(page, site, username)
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


def notice_link(site: Site, username: str, about: str = "new browser") -> str:
    """The path of the link "this wasn't me" in the newest such notice."""
    mail = site.wait_for_mail(to=f"{username}@example.org", subject=about)
    (path,) = re.findall(r"/accounts/lockdown/[\w-]+/", text_of(mail))
    return str(path)


def lives_long(site: Site, username: str) -> None:
    """60 rows of history, long ago."""
    sql(site, MUCH_HAPPENS, LONG_AGO, username)


@contextmanager
def broken(site: Site) -> Iterator[None]:
    """The site's database without the table of users."""
    with closing(sqlite3.connect(site.data_dir / "db.sqlite3", autocommit=True)) as database:
        database.execute("ALTER TABLE accounts_user RENAME TO gone")
        yield
        database.execute("ALTER TABLE gone RENAME TO accounts_user")
