"""Accepting the terms of the site in Chromium."""

from playwright.sync_api import expect

from tests.support.browser import axe
from tests.support.browser_steps import code_for, press, sees, sign_in, sign_out, type_code
from tests.support.steps import PASSWORD, SIGNUP, address_of, sql

URL = "https://example.org/terms"
SITE = {"TERMS_URL": URL, "TERMS_VERSION": "2026-11"}


def test_the_terms_are_accepted_at_the_sign_up_and_at_the_next_sign_in_after_they_change(
    site, page
):
    page.goto(SIGNUP)
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Email address").fill(address_of("alice"))
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Create an account")
    expect(page.get_by_role("alert")).to_contain_text("Read and accept the terms")
    assert axe(page) == []
    page.get_by_label("I accept the terms.").check()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Create an account")
    type_code(page, code_for(site, "alice"))
    sees(page, "Hello, alice")

    sql(site, "UPDATE accounts_termsacceptance SET version = '2025-11'")
    sign_out(page)
    sign_in(page, "alice")
    sees(page, "Accept the terms")
    expect(page.get_by_role("link", name="Read the terms")).to_have_attribute("href", URL)
    assert axe(page) == []
    press(page, "Accept and continue")
    sees(page, "Hello, alice")
