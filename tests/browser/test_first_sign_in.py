"""The first stage as people meet it, in a real browser: from the address to a lasting sign-in."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import MOBILE, OpenPage, axe
from tests.support.site import Site

PASSWORD = "vivid otter under glass"
ERRORS = (400, 403, 404, 429, 500)


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


def read_mail(page: Page, site: Site, username: str) -> str:
    """Open the newest mail in the development mailbox, by the links there; its subject."""
    subject = str(site.wait_for_mail(to=f"{username}@example.org")["Subject"])
    page.get_by_role("contentinfo").get_by_role("link").click()
    sees(page, "Mail")
    page.get_by_role("link", name=subject).click()
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


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def scripts(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_person_signs_up_confirms_by_code_and_stays_signed_in(
    site: Site, open_page: OpenPage, scripts: bool
) -> None:
    page = open_page(site, java_script_enabled=scripts)
    username = f"alice{scripts:d}"

    page.goto("/")
    sees(page, "Sign in")
    sign_up(page, username)
    type_code(page, site, username)
    sees(page, f"Hello, {username}")
    sign_out(page)
    sign_in(page, username, remember=True)
    sees(page, f"Hello, {username}")

    state = page.context.storage_state()
    lasting = [cookie for cookie in state["cookies"] if cookie["expires"] != -1]
    reopened = open_page(
        site, java_script_enabled=scripts, storage_state={**state, "cookies": lasting}
    )
    reopened.goto("/")
    sees(reopened, f"Hello, {username}")


def test_a_person_confirms_by_the_link_in_the_browser_that_signed_up(
    site: Site, open_page: OpenPage, scripts: bool
) -> None:
    page = open_page(site, java_script_enabled=scripts)
    username = f"bob{scripts:d}"
    page.goto("/accounts/login/?next=/%3Ffrom=mail")
    sign_up(page, username)
    read_mail(page, site, username)

    page.get_by_role("link", name="/accounts/confirm-email/").first.click()
    sees(page, "Confirm your email address")
    assert page.get_by_label("Password").count() == 0
    press(page, "Confirm and sign in")

    sees(page, f"Hello, {username}")
    expect(page).to_have_url(f"{site.origin}/?from=mail")


def test_a_link_opened_in_another_browser_asks_for_the_password_first(
    site: Site, open_page: OpenPage, scripts: bool
) -> None:
    page = open_page(site, java_script_enabled=scripts)
    username = f"carol{scripts:d}"
    page.goto("/")
    sign_up(page, username)
    elsewhere = open_page(site, expect=(404,), java_script_enabled=scripts)
    elsewhere.goto("/")
    read_mail(elsewhere, site, username)

    elsewhere.get_by_role("link", name="/accounts/confirm-email/").first.click()
    expect(elsewhere.get_by_role("main")).to_contain_text(username)
    link = elsewhere.url
    elsewhere.get_by_label("Password", exact=True).fill("not the password")
    press(elsewhere, "Confirm and sign in")
    expect(elsewhere).to_have_title(re.compile("^Error: "))
    elsewhere.get_by_label("Password", exact=True).fill(PASSWORD)
    press(elsewhere, "Confirm and sign in")

    sees(elsewhere, f"Hello, {username}")
    elsewhere.goto(link)
    sees(elsewhere, "This link doesn’t work any more")


def test_without_scripts_nothing_is_offered_that_needs_them(no_js_page: Page) -> None:
    no_js_page.goto("/accounts/signup/")

    names = [button.inner_text() for button in no_js_page.get_by_role("button").all()]
    assert names == ["Create an account"]


def test_with_scripts_a_password_is_shown_on_request_and_hidden_when_sent(page: Page) -> None:
    page.goto("/accounts/login/")
    field = page.get_by_label("Password", exact=True)
    field.fill(PASSWORD)
    show = page.get_by_role("button", name="Show password")

    show.click()
    assert (field.get_attribute("type"), show.get_attribute("aria-pressed")) == ("text", "true")
    show.click()
    assert (field.get_attribute("type"), show.get_attribute("aria-pressed")) == (
        "password",
        "false",
    )
    assert field.input_value() == PASSWORD


def test_an_error_takes_the_focus_leads_to_its_field_and_keeps_what_was_typed(page: Page) -> None:
    page.goto("/accounts/signup/")
    page.get_by_label("Username").fill("alice smith")
    page.get_by_label("Email address").fill("alice@example.org")
    press(page, "Create an account")

    expect(page).to_have_title(re.compile("^Error: "))
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    summary.get_by_role("link").first.click()
    username = page.get_by_label("Username")
    expect(username).to_be_focused()
    expect(username).to_have_attribute("aria-invalid", "true")
    expect(username).to_have_value("alice smith")
    assert page.get_by_label("Email address").input_value() == "alice@example.org"


TITLE = "{} \N{EN DASH} authsite"
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


def test_the_owner_link_leads_to_the_administration(site: Site, open_page: OpenPage) -> None:
    link = site.manage("create_owner").strip()
    page = open_page(site, expect=(404,))

    page.goto(link)
    page.get_by_label("Username").fill("owner")
    page.get_by_label("Email address").fill("owner@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Make the first administrator")
    sees(page, "Hello, owner")
    page.get_by_role("link", name="Administration").click()
    page.get_by_role("link", name="Users", exact=True).first.click()
    expect(page.get_by_role("link", name="owner", exact=True)).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    sees(page, "Sign in")
    page.goto(link)
    sees(page, "This link doesn’t work any more")
