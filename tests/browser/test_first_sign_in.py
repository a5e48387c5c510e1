"""The first stage as people meet it, in a real browser: from the address to a lasting sign-in."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser import phone
from tests.browser.steps import (
    BOTH_WAYS,
    PASSWORD,
    go,
    press,
    read_mail,
    sees,
    sign_in,
    sign_out,
    sign_up,
    type_code,
)
from tests.support.browser import OpenPage
from tests.support.site import Site

# Names of other modules come back here.
SITE = {"LIMITS_SCALE": "1"}


@BOTH_WAYS
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


def test_the_owner_link_leads_to_a_second_factor_and_to_the_administration(
    site: Site, open_page: OpenPage, tmp_path: Path
) -> None:
    link = site.manage("create_owner").strip()
    page = open_page(site, expect=(404,))

    page.goto(link)
    page.get_by_label("Username").fill("owner")
    page.get_by_label("Email address").fill("owner@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Make the first administrator")
    sees(page, "Set up an authenticator app")
    page.get_by_label("Code", exact=True).fill(phone.shown(phone.scan(page, tmp_path)))
    press(page, "Turn on two-step sign-in")
    sees(page, "Keep your recovery codes")
    go(page, "Home")
    sees(page, "Hello, owner")
    page.get_by_role("link", name="Administration").click()
    page.get_by_role("link", name="Users", exact=True).first.click()
    expect(page.get_by_role("link", name="owner", exact=True)).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    sees(page, "Sign in")
    page.goto(link)
    sees(page, "This link doesn’t work any more")
