"""Passwords forgotten, changed and given away; codes in place of one: told in real browsers."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import (
    BOTH_WAYS,
    IPHONE,
    PASSWORD,
    go,
    member,
    press,
    read_code,
    read_mail,
    says,
    sees,
    sign_in,
    sign_out,
)
from tests.support.browser import MOBILE, OpenPage
from tests.support.site import Site
from tests.support.steps import sql

# Names of other modules come back here.
SITE = {"LIMITS_SCALE": "1"}

ANOTHER = "seven slow ferries hum"
# On the list that attackers try first; the form would refuse it.
LISTED = "password1234"


@pytest.fixture
def page(site: Site, open_page: OpenPage, scripts: bool) -> Page:
    return open_page(site, expect=(401, 404), java_script_enabled=scripts)


@pytest.fixture
def phone(site: Site, open_page: OpenPage, scripts: bool) -> Page:
    return open_page(site, java_script_enabled=scripts, user_agent=IPHONE, **MOBILE)


def arrive(page: Page, username: str, password: str = PASSWORD) -> None:
    """At home, by password."""
    page.goto("/")
    sign_in(page, username, password=password)
    sees(page, f"Hello, {username}")


@BOTH_WAYS
def test_a_forgotten_password_is_replaced_by_mail_and_every_other_browser_is_out(
    site: Site, page: Page, phone: Page, scripts: bool
) -> None:
    username = f"alice{scripts:d}"
    member(site, username)
    arrive(phone, username)

    page.goto("/")
    page.get_by_role("link", name="Forgot your password?").click()
    sees(page, "Forgot your password?")
    page.get_by_label("Username or email address").fill(username)
    press(page, "Send the mail")
    sees(page, "Look into your mailbox")
    read_mail(page, site, username, about="Set a new password")
    page.get_by_role("link", name="/accounts/password/reset/").click()
    sees(page, "Set a new password")
    link = page.url
    says(page, f"For the account {username}.")
    page.get_by_label("New password").fill("too short")
    press(page, "Set the new password")
    expect(page).to_have_title(re.compile("^Error: "))
    page.get_by_label("New password").fill(ANOTHER)
    press(page, "Set the new password")

    says(page, "Your new password is set. Sign in with it.")
    sign_in(page, username)
    expect(page).to_have_title(re.compile("^Error: Sign in"))
    sign_in(page, username, password=ANOTHER)
    sees(page, f"Hello, {username}")
    go(phone, "Activity")
    sees(phone, "Sign in")
    page.goto(link)
    sees(page, "This link doesn’t work any more")
    page.get_by_role("link", name="Ask for another one").click()
    sees(page, "Forgot your password?")


def test_a_change_of_password_ends_the_other_browser_and_says_so(
    site: Site, page: Page, phone: Page, scripts: bool
) -> None:
    username = f"bob{scripts:d}"
    member(site, username)
    arrive(phone, username)
    arrive(page, username)
    says(page, "Signed in on 2 devices")

    page.get_by_role("link", name="Change your password").click()
    sees(page, "Change your password")
    says(page, "You stay signed in here; your one other sign-in ends.")
    page.get_by_label("New password").fill(ANOTHER)
    press(page, "Set the new password")

    sees(page, f"Hello, {username}")
    says(page, "Every other sign-in has ended.", "Signed in on this device only.")
    go(phone, "Profile")
    sees(phone, "Sign in")
    read_mail(page, site, username, about="The password was changed")


@BOTH_WAYS
def test_a_code_by_mail_signs_in_after_a_wrong_one_and_leads_where_one_wanted_to_go(
    site: Site, page: Page, scripts: bool
) -> None:
    username = f"carol{scripts:d}"
    member(site, username)

    page.goto("/accounts/activity/?group=sign-in")
    page.get_by_role("link", name="Sign in with a code by mail").click()
    sees(page, "Sign in with a code")
    page.get_by_label("Username or email address").fill(username)
    press(page, "Send the code")
    sees(page, "Enter the code")
    resend = page.get_by_role("button", name="Send a new mail")
    expect(resend).to_be_disabled() if scripts else expect(resend).to_be_enabled()
    page.get_by_label("Code").fill("22222222")
    press(page, "Sign in")
    expect(page).to_have_title(re.compile("^Error: Enter the code"))
    code = read_code(page, site, username)
    page.goto("/accounts/login/code/")
    page.get_by_label("Code").fill(f" {code[:4].lower()} {code[4:]} ")
    press(page, "Sign in")

    sees(page, "Activity")
    expect(page).to_have_url(f"{site.origin}/accounts/activity/?group=sign-in")
    expect(page.get_by_role("listitem").first).to_contain_text("by mail")


def test_another_code_can_be_asked_for_after_a_minute_and_makes_the_first_worthless(
    site: Site, page: Page, scripts: bool
) -> None:
    username = f"dave{scripts:d}"
    member(site, username)
    page.goto("/accounts/login/code/")
    page.get_by_label("Username or email address").fill(username)
    page.get_by_label("Keep me signed in").check()
    press(page, "Send the code")
    first = read_code(page, site, username)
    # A minute passes.
    sql(site, "DELETE FROM accounts_budget")
    page.goto("/accounts/login/code/")
    press(page, "Send a new mail")
    sees(page, "Enter the code")
    site.wait_for_mail(to=f"{username}@example.org", subject="is your code", count=3)
    second = read_code(page, site, username)
    page.goto("/accounts/login/code/")
    page.get_by_label("Code").fill(first)
    press(page, "Sign in")
    expect(page).to_have_title(re.compile("^Error: Enter the code"))
    page.get_by_label("Code").fill(second)
    press(page, "Sign in")

    sees(page, f"Hello, {username}")
    (session,) = [c for c in page.context.cookies() if c["name"] == "sessionid"]
    assert session["expires"] != -1


def test_whoever_asked_for_a_code_can_be_somebody_else_after_all(page: Page, scripts: bool) -> None:
    page.goto("/accounts/login/code/")
    page.get_by_label("Username or email address").fill(f"nobody{scripts:d}")
    press(page, "Send the code")
    says(page, f"If there is an account for nobody{scripts:d}")
    page.get_by_role("link", name="Somebody else, or another address").click()
    sees(page, "Sign in with a code")
    page.get_by_role("link", name="Sign in with your password").click()
    sees(page, "Sign in")


def test_a_password_that_is_on_the_list_meanwhile_leads_to_its_change_and_then_on(
    site: Site, page: Page, scripts: bool
) -> None:
    username = f"mallory{scripts:d}"
    member(site, username)
    hashed = site.manage(
        "shell",
        "--no-imports",
        "--command",
        f"from accounts.passwords.services import hash_password; print(hash_password('{LISTED}'))",
    ).strip()
    sql(site, "UPDATE accounts_user SET password = ? WHERE username = ?", hashed, username)

    page.goto("/accounts/sessions/")
    sign_in(page, username, password=LISTED)
    sees(page, "Change your password")
    says(page, "Your password is on a list of stolen ones. Choose another.")
    page.get_by_label("New password").fill(LISTED)
    press(page, "Set the new password")
    expect(page).to_have_title(re.compile("^Error: "))
    page.get_by_label("New password").fill(ANOTHER)
    press(page, "Set the new password")

    sees(page, "Where you’re signed in")
    sign_out(page)
    sign_in(page, username, password=ANOTHER)
    sees(page, f"Hello, {username}")
    says(page, "Signed in on this device only.")


def test_who_has_no_password_sets_one(site: Site, page: Page, scripts: bool) -> None:
    username = f"erin{scripts:d}"
    member(site, username)
    arrive(page, username)
    sql(site, "UPDATE accounts_user SET password = '!' WHERE username = ?", username)

    page.reload()
    page.get_by_role("link", name="Set a password").click()
    sees(page, "Set a password")
    page.get_by_label("New password").fill(ANOTHER)
    press(page, "Set the new password")

    says(page, "Your new password is set.")
    expect(page.get_by_role("link", name="Change your password")).to_be_visible()


def test_with_scripts_advice_is_given_while_one_types_and_a_password_is_suggested(
    site: Site, open_page: OpenPage
) -> None:
    page = open_page(site)
    member(site, "frank")
    arrive(page, "frank")
    page.goto("/accounts/password/change/", wait_until="networkidle")
    field = page.get_by_label("New password")

    field.press_sequentially("gabrielagabriela7", delay=5)
    says(page, "Easy to guess.")
    press(page, "Suggest a strong password")
    says(page, "Very good.", "Keep it in your password manager.")
    suggested = field.input_value()
    press(page, "Set the new password")
    sees(page, "Hello, frank")
    sign_out(page)

    sign_in(page, "frank", password=suggested)
    sees(page, "Hello, frank")
