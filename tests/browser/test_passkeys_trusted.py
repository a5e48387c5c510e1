"""Trusted browsers: where the second step is skipped for a while, and how that ends."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.passkeys import LOGIN, TRUSTED, add_passkey, enter, turn_on_codes
from tests.browser.steps import PASSWORD, member, press, says, sees, sign_in, sign_out
from tests.support.browser import OpenPage
from tests.support.second import code_of
from tests.support.site import Site
from tests.support.steps import sql
from tests.support.virtual_authenticator import NO_AUTOFILL, VirtualAuthenticator

TRUST = "Don’t ask in this browser for 30 days"


def second_step(page: Page, username: str, *, trust: bool) -> None:
    """By the passkey, after the password."""
    enter_password(page, username, "Confirm it’s you")
    page.get_by_label(TRUST).set_checked(trust)
    press(page, "Use your passkey")


def enter_password(page: Page, username: str, heading: str) -> None:
    """The first step, and where it leads."""
    page.goto(LOGIN)
    sign_in(page, username)
    sees(page, heading)


def test_a_browser_is_trusted_only_if_one_says_so_and_until_one_ends_it(
    page: Page, site: Site
) -> None:
    enter(page, site, "trusting")
    add_passkey(page)
    sign_out(page)
    second_step(page, "trusting", trust=False)
    sees(page, "Hello, trusting")
    page.goto(TRUSTED)
    says(page, "None.")
    sign_out(page)
    second_step(page, "trusting", trust=True)
    sees(page, "Hello, trusting")
    (cookie,) = [c for c in page.context.cookies() if c["name"] == "trusted"]
    assert cookie["httpOnly"]
    sign_out(page)

    enter_password(page, "trusting", "Hello, trusting")
    site.wait_for_mail(to="trusting@example.org", subject="trusted")
    page.goto(TRUSTED)
    says(page, "Chrome on Linux", "This one", "Last used:", "Trusted until:")
    press(page, "End Chrome on Linux")
    says(page, "None.")
    sign_out(page)
    enter_password(page, "trusting", "Confirm it’s you")


@pytest.mark.proof
def test_the_trust_in_all_browsers_ends_at_once(
    page: Page, site: Site, open_page: OpenPage
) -> None:
    authenticator = enter(page, site, "many")
    add_passkey(page)
    (kept,) = authenticator.credentials
    sign_out(page)
    other = open_page(site)
    other.add_init_script(NO_AUTOFILL)
    VirtualAuthenticator(other).take(kept, signCount=10)
    for browser in (page, other):
        second_step(browser, "many", trust=True)
        if browser is page:
            sees(page, "Hello, many")
            authenticator.forget()
    sees(other, "Hello, many")

    page.goto(TRUSTED)
    expect(page.get_by_role("listitem").filter(has_text="Chrome on Linux")).to_have_count(2)
    expect(page.get_by_text("This one")).to_have_count(1)
    press(page, "End all")

    says(page, "None.")
    for browser in (page, other):
        sign_out(browser)
        enter_password(browser, "many", "Confirm it’s you")


@pytest.mark.proof
def test_one_browser_is_trusted_for_each_of_two_people_alone(page: Page, site: Site) -> None:
    page.add_init_script(NO_AUTOFILL)
    for name in ("one", "two", "three"):
        authenticator = VirtualAuthenticator(page)
        member(site, name)
        enter_password(page, name, f"Hello, {name}")
        add_passkey(page)
        sign_out(page)
        if name != "three":
            second_step(page, name, trust=True)
            sees(page, f"Hello, {name}")
            sign_out(page)
        authenticator.unplug()

    for name, heading in {
        "one": "Hello, one",
        "two": "Hello, two",
        "three": "Confirm it’s you",
    }.items():
        enter_password(page, name, heading)
        page.goto("/")
        if heading.startswith("Hello"):
            sign_out(page)


@pytest.mark.proof
def test_a_code_gives_trust_too_and_a_new_password_ends_it(page: Page, site: Site) -> None:
    enter(page, site, "coder")
    seed = turn_on_codes(page)
    sign_out(page)
    sql(site, "UPDATE accounts_authenticator SET last_t = 0")
    sign_in(page, "coder")
    page.get_by_label(TRUST).check()
    page.get_by_label("Code").fill(code_of(seed))
    press(page, "Go on")
    sees(page, "Hello, coder")
    sign_out(page)
    sign_in(page, "coder")
    sees(page, "Hello, coder")

    page.goto("/accounts/password/change/")
    page.get_by_label("New password").fill(f"{PASSWORD} anew")
    press(page, "Set the new password")
    says(page, "Every other sign-in has ended.")
    sign_out(page)
    sign_in(page, "coder", password=f"{PASSWORD} anew")

    sees(page, "Confirm it’s you")


@pytest.mark.proof
def test_a_new_passkey_ends_the_trust(page: Page, site: Site) -> None:
    authenticator = enter(page, site, "adding")
    add_passkey(page)
    sign_out(page)
    second_step(page, "adding", trust=True)
    sees(page, "Hello, adding")
    authenticator.unplug()
    VirtualAuthenticator(page, transport="usb")
    add_passkey(page, "Key")
    sign_out(page)

    enter_password(page, "adding", "Confirm it’s you")
