"""Signing up, signing in and resetting a password in Chromium."""

import re

from playwright.sync_api import expect

from tests.support.browser import MOBILE, axe
from tests.support.browser_steps import (
    arrive,
    ask_for_reset,
    code_for,
    go,
    press,
    says,
    sees,
    sign_in,
    sign_out,
    sign_up,
    type_code,
)
from tests.support.standards import proves
from tests.support.steps import IPHONE, LOGIN, PASSWORD, SIGNUP


def test_signing_up_by_code_and_signing_in_work_without_scripts(site, no_js_page):
    page, username = no_js_page, "without-js"
    page.goto("/")
    sees(page, "Sign in")
    sign_up(page, username)
    type_code(page, code_for(site, username), "Confirm")
    sees(page, f"Hello, {username}")
    sign_out(page)
    sign_in(page, username)
    sees(page, f"Hello, {username}")
    sign_out(page)

    page.goto(SIGNUP)
    offered = page.get_by_role("main").get_by_role("button").all_inner_texts()
    assert offered == ["Create an account"], "buttons that need scripts are hidden"


def test_a_password_can_be_shown_and_hidden_again(page):
    page.goto(LOGIN)
    field = page.get_by_label("Password", exact=True)
    field.fill(PASSWORD)
    show = page.get_by_role("button", name="Show password")

    for kind, pressed in (("text", "true"), ("password", "false")):
        show.click()
        expect(field).to_have_attribute("type", kind)
        expect(show).to_have_attribute("aria-pressed", pressed)
    expect(field).to_have_value(PASSWORD)


@proves("WCAG-2.4.2", "WCAG-3.3.1", "WCAG-3.3.3", "WCAG-4.1.3")
def test_the_error_summary_takes_focus_links_to_its_field_and_keeps_typed_values(page):
    page.goto(SIGNUP)
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
    expect(page.get_by_label("Email address")).to_have_value("alice@example.org")
    assert axe(page) == []
    username.fill("alice")
    expect(page.locator("#id_username_error")).to_have_count(0)


def test_tab_stays_in_the_open_menu_of_a_phone_whose_button_gets_the_focus_back(site, open_page):
    phone = open_page(site, user_agent=IPHONE, **MOBILE)
    arrive(phone, site, "tabbing")
    button = phone.get_by_role("button", name="Menu", exact=True)
    button.click()
    for _ in range(25):
        phone.keyboard.press("Tab")
        assert phone.evaluate("document.activeElement.closest('header, main, footer')") is None
    phone.keyboard.press("Escape")
    expect(button).to_be_focused()


def test_a_forgotten_password_is_reset_by_mail_and_other_browsers_are_signed_out(site, open_page):
    username = "forgetful"
    page, phone = open_page(site, expect=(404,)), open_page(site, user_agent=IPHONE, **MOBILE)
    arrive(phone, site, username)

    page.goto("/")
    page.get_by_role("button", name="Forgot your password?").click()
    ask_for_reset(page, site, username)
    link = page.url
    says(page, f"the account {username}.")
    press(page, "Suggest a strong password")
    says(page, "Very good.")
    suggested = page.get_by_label("New password").input_value()
    press(page, "Set new password")

    says(page, "Your new password is set.", f"Hello, {username}")
    sign_out(page)
    sign_in(page, username, password=suggested)
    sees(page, f"Hello, {username}")
    go(phone, "Activity")
    sees(phone, "Sign in")
    page.goto(link)
    sees(page, "This link doesn’t work any more")
