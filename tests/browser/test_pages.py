"""Every page and each state of one: for everybody, on every device, in light and dark."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.attacks.steps import log_in, sql
from tests.browser.steps import (
    IPHONE,
    PASSWORD,
    notice_link,
    press,
    read_mail,
    sees,
    sign_in,
    sign_out,
    sign_up,
)
from tests.support.browser import MOBILE, OpenPage, axe
from tests.support.site import Site

ERRORS = (400, 403, 404, 429, 500)
TITLE = "{} \N{EN DASH} authsite"
LONG_AGO = "2020-01-01 20:30:00"
MUCH_HAPPENS = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
    INSERT INTO accounts_activity
        (user_id, kind, at, address, browser, system, proof, actor, detail)
    SELECT id, iif(i % 2, 'sign_in_failed', 'others_ended'), ?, '2001:db8::7', 'Firefox',
        'Windows', 'pwd', iif(i % 2, '', 'carol'), iif(i % 2, '', '3')
    FROM n, accounts_user WHERE username = ?
"""
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": MOBILE,
    "narrow-and-dark": {"viewport": {"width": 320, "height": 640}, "color_scheme": "dark"},
}


def walk(page: Page, site: Site, username: str) -> Iterator[str]:
    """Stop at each page and each state of one, and say what title it has."""
    yield from as_a_newcomer(page, site, username)
    yield from as_a_member(page, site, username)
    yield from on_several_devices(page, site, username)
    yield from with_a_past(page, site, username)
    yield from under_suspicion(page, site, username)
    yield from as_the_owner(page, site)
    yield from in_bad_luck(page, site)


def as_a_newcomer(page: Page, site: Site, username: str) -> Iterator[str]:
    page.goto("/")
    yield "Sign in"
    sign_in(page, "nobody")
    yield "Error: Sign in"
    page.goto("/accounts/signup/")
    yield "Create an account"
    press(page, "Create an account")
    yield "Error: Create an account"
    page.goto("/accounts/confirm-email/")
    yield "Confirm your email address"
    page.goto("/accounts/login/")
    sign_up(page, username)
    yield "Confirm your email address"
    page.get_by_label("Code").fill("22222222")
    press(page, "Confirm")
    yield "Error: Confirm your email address"
    page.get_by_text("Wrong address?").click()
    page.get_by_label("Email address").fill("no address")
    press(page, "Correct it and send a new mail")
    yield "Error: Confirm your email address"
    resend = page.get_by_role("button", name="Send a new mail", exact=True)
    resend.evaluate("button => button.disabled = false")
    resend.click()
    yield "Too many attempts"


def as_a_member(page: Page, site: Site, username: str) -> Iterator[str]:
    page.goto("/dev/mail/")
    yield "Mail"
    subject = read_mail(page, site, username)
    page.get_by_text("HTML part").click()
    yield subject
    page.get_by_role("link", name="/accounts/confirm-email/").first.click()
    sees(page, "Confirm your email address")
    link = page.url
    yield "Confirm your email address"
    session = page.context.cookies()
    page.context.clear_cookies()
    page.goto(link)
    yield "Confirm your email address"
    press(page, "Confirm and sign in")
    yield "Error: Confirm your email address"
    page.context.add_cookies(session)
    page.goto(link)
    press(page, "Confirm and sign in")
    yield "Your account"
    page.goto("/accounts/logout/")
    yield "Sign out"
    page.goto("/admin/")
    yield "Not allowed"
    page.goto("/no-such-page")
    yield "Page not found"
    page.goto(link)
    yield "This link doesn’t work any more"
    sign_out(page)
    yield "Sign in"


def on_several_devices(page: Page, site: Site, username: str) -> Iterator[str]:
    sign_in(page, username)
    page.get_by_role("link", name="Where you’re signed in").first.click()
    yield "Where you’re signed in"
    for column in ("used_at", "challenged_at"):
        log_in(site.client(User_Agent=IPHONE), username, PASSWORD)
        sql(
            site,
            f"UPDATE accounts_loginsession SET {column} = ?"  # noqa: S608
            " WHERE id = (SELECT id FROM accounts_loginsession ORDER BY begun_at DESC LIMIT 1)",
            LONG_AGO,
        )
    page.reload()
    expect(page.get_by_role("main")).to_contain_text("Not used lately")
    expect(page.get_by_role("main")).to_contain_text("Another browser used this sign-in")
    yield "Where you’re signed in"
    press(page, "Sign out everywhere else")
    expect(page.get_by_role("main")).to_contain_text("2 sign-ins were ended.")
    yield "Where you’re signed in"


def with_a_past(page: Page, site: Site, username: str) -> Iterator[str]:
    page.get_by_role("link", name="Activity").click()
    page.get_by_role("link", name="Failed attempts").click()
    expect(page.get_by_role("main")).to_contain_text("Nothing of this kind")
    yield "Activity"
    sql(site, MUCH_HAPPENS, LONG_AGO, username)
    page.get_by_role("link", name="Everything").click()
    expect(page.get_by_role("main")).to_contain_text("Done by carol")
    yield "Activity"
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("main")).to_contain_text("Page 2 of 2")
    yield "Activity"


def under_suspicion(page: Page, site: Site, username: str) -> Iterator[str]:
    page.goto("/accounts/reauthenticate/")
    yield "Is it you?"
    press(page, "Go on")
    yield "Error: Is it you?"
    sql(site, "UPDATE accounts_loginsession SET browser = 'Safari', agent = ''")
    page.goto("/")
    yield "Is it you?"
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Go on")
    sql(site, "UPDATE accounts_user SET password = '!' WHERE username = ?", username)
    page.goto("/accounts/reauthenticate/")
    expect(page.get_by_role("main")).to_contain_text("The account has no password.")
    yield "Is it you?"
    page.goto("/accounts/lockdown/")
    yield "Lock the account down"
    page.context.clear_cookies()
    page.goto(notice_link(site, username))
    yield "Lock the account down"
    link = page.url
    press(page, "Lock the account down")
    yield "The account is locked down"
    page.goto(link)
    yield "This link doesn’t work any more"


def as_the_owner(page: Page, site: Site) -> Iterator[str]:
    page.goto(site.manage("create_owner").strip())
    yield "Make the first administrator"
    press(page, "Make the first administrator")
    yield "Error: Make the first administrator"
    page.goto("/accounts/owner/no-such-token/")
    yield "This link doesn’t work any more"


def in_bad_luck(page: Page, site: Site) -> Iterator[str]:
    page.goto("/accounts/inactive/")
    yield "Account switched off"
    page.goto("/accounts/login/")
    page.context.clear_cookies()
    sign_in(page, "alice")
    yield "The form was not accepted"
    page.goto("/accounts/login/")
    page.locator("main form").evaluate(
        "form => form.append(...Array.from({length: 200}, () => form.elements[0].cloneNode()))"
    )
    press(page, "Sign in")
    yield "Bad request"
    page.goto("/accounts/login/")
    with broken(site):
        sign_in(page, "alice")
    yield "Something went wrong"


@contextmanager
def broken(site: Site) -> Iterator[None]:
    """The site's database without the table of users."""
    with closing(sqlite3.connect(site.data_dir / "db.sqlite3", autocommit=True)) as database:
        database.execute("ALTER TABLE accounts_user RENAME TO gone")
        yield
        database.execute("ALTER TABLE gone RENAME TO accounts_user")


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_for_everybody_and_fits(site: Site, open_page: OpenPage, look: str) -> None:
    page = open_page(site, expect=ERRORS, **LOOKS[look])
    faults = []

    for title in walk(page, site, f"mallory-{look}"):
        expect(page).to_have_title(TITLE.format(title))
        page.wait_for_load_state()
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append(f"{title}: scrolls sideways")
        faults += [f"{title}: {fault}" for fault in axe(page)]

    assert faults == []


def test_closed_sign_up_is_for_everybody_too(site: Site, open_page: OpenPage) -> None:
    with site.second(SIGNUP="closed") as node:
        page = open_page(site, expect=(403,))
        page.goto(f"http://localhost:{node.port}/accounts/signup/")
        sees(page, "Sign-up is closed")
        assert axe(page) == []
