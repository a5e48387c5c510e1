"""Who one is, in which words and hours, and where mail goes: told in real browsers."""

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.steps import (
    BOTH_WAYS,
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
from tests.support.browser import OpenPage
from tests.support.site import Site
from tests.support.steps import sql

# Names of other modules come back here.
SITE = {"LIMITS_SCALE": "1"}


@pytest.fixture
def page(site: Site, open_page: OpenPage, scripts: bool) -> Page:
    return open_page(site, expect=(404,), java_script_enabled=scripts)


def arrive(site: Site, page: Page, username: str) -> None:
    """A member, at home."""
    member(site, username)
    page.goto("/")
    sign_in(page, username)
    sees(page, f"Hello, {username}")


def row(page: Page, address: str) -> Locator:
    return page.get_by_role("main").get_by_role("listitem").filter(has_text=address)


def test_an_address_is_added_made_primary_and_put_back_by_the_mail_to_the_former_one(
    site: Site, page: Page, open_page: OpenPage, scripts: bool
) -> None:
    username, new = f"alice{scripts:d}", f"new{scripts:d}@other.example"
    arrive(site, page, username)
    go(page, "Addresses")
    sees(page, "Email addresses")
    page.get_by_label("Email address").fill(new)
    press(page, "Add it")
    says(page, "A mail with a code is on its way", "Not confirmed")
    page.get_by_label("Code").fill("22222222")
    press(page, "Confirm")
    expect(page).to_have_title(re.compile("^Error: Email addresses"))
    code = read_code(page, site, new)
    go(page, "Addresses")
    page.get_by_label("Code").fill(code)
    press(page, "Confirm")
    says(page, "The address was added.")
    press(page, f"Make primary {new}")
    says(page, f"{new} is primary now.")
    expect(row(page, new)).to_contain_text("Primary")

    owner = open_page(site, java_script_enabled=scripts)
    owner.goto("/")
    read_mail(owner, site, username, about="Another email address became the primary one")
    owner.get_by_role("link", name="/accounts/lockdown/").click()
    sees(owner, f"Lock the account {username} down?")
    says(
        owner,
        f"{new} is removed: it was added only lately.",
        f"{username}@example.org becomes your primary address again.",
        "Your username, your other addresses, your second factors and your history.",
    )
    press(owner, "Lock the account down")
    sees(owner, "The account is locked down")

    go(page, "Profile")
    sees(page, "Sign in")
    found = "SELECT email FROM accounts_user WHERE username = ?"
    assert sql(site, found, username) == [(f"{username}@example.org",)]
    assert sql(site, "SELECT * FROM accounts_address WHERE address = ?", new) == []


def test_an_address_is_confirmed_by_its_link_and_removed_again(
    site: Site, page: Page, scripts: bool
) -> None:
    username, second = f"bob{scripts:d}", f"second{scripts:d}@other.example"
    arrive(site, page, username)
    go(page, "Addresses")
    page.get_by_label("Email address").fill(second)
    press(page, "Add it")
    read_mail(page, site, second)
    page.get_by_role("link", name="/accounts/email/confirm/").click()
    sees(page, "Confirm your email address")
    link = page.url
    says(page, f"{second} is added to the account {username}.")
    press(page, "Add the address")
    says(page, "The address was added.")

    press(page, f"Remove {second}")
    says(page, f"{second} was removed.")
    expect(row(page, second)).to_have_count(0)
    read_mail(page, site, second, about="An email address was removed")
    page.goto(link)
    sees(page, "This link doesn’t work any more")


def test_an_address_that_waits_is_let_go(site: Site, page: Page, scripts: bool) -> None:
    username = f"carol{scripts:d}"
    arrive(site, page, username)
    go(page, "Addresses")
    page.get_by_label("Email address").fill("typo@other.example")
    press(page, "Add it")
    says(page, "Not confirmed")

    press(page, "Forget it typo@other.example")

    expect(page.get_by_role("main")).not_to_contain_text("typo@other.example")


def test_a_person_is_greeted_by_the_display_name_and_in_the_language_chosen(
    site: Site, page: Page, scripts: bool
) -> None:
    username = f"dave{scripts:d}"
    arrive(site, page, username)
    go(page, "Profile")
    sees(page, "Your profile")
    page.get_by_label("Display name").fill("Dave the <b>Second</b>")
    page.get_by_label("About you").fill("Two\nlines.")
    press(page, "Save")
    says(page, "Your profile was saved.")
    expect(page.get_by_label("About you")).to_have_value("Two\nlines.")
    go(page, "Home")
    sees(page, "Hello, Dave the <b>Second</b>")

    go(page, "Profile")
    page.get_by_label("Language").select_option(label="Deutsch")
    press(page, "Save")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.goto("/accounts/email/")
    expect(page.get_by_label("E-Mail-Adresse")).to_be_visible()


@BOTH_WAYS
def test_times_are_those_of_the_zone_chosen(site: Site, page: Page, scripts: bool) -> None:
    username = f"erin{scripts:d}"
    arrive(site, page, username)
    noon = datetime(2020, 1, 1, 12, tzinfo=UTC)
    sql(site, "UPDATE accounts_activity SET at = ?", f"{noon:%Y-%m-%d %H:%M:%S}")
    go(page, "Profile")
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    press(page, "Save")
    go(page, "Activity")

    oldest = page.get_by_role("main").get_by_role("listitem").last
    expect(oldest.locator("time")).to_have_text(
        re.compile(r"9:00\sPM$" if scripts else r"9 p\.m\. JST$")
    )


def test_a_username_is_changed_once_a_day_after_a_fresh_proof_and_signs_in_at_once(
    site: Site, page: Page, scripts: bool
) -> None:
    username, name = f"frank{scripts:d}", f"francis{scripts:d}"
    arrive(site, page, username)
    sql(site, "UPDATE accounts_loginsession SET auth_time = '2020-01-01 12:00:00'")
    go(page, "Profile")
    page.get_by_label("New username").fill("two words")
    press(page, "Change it")
    expect(page).to_have_title(re.compile("^Error: Your profile"))
    page.get_by_label("New username").fill(name)
    press(page, "Change it")
    sees(page, f"Is it you, {username}?")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Go on")
    expect(page.get_by_label("New username")).to_have_value(name)
    press(page, "Change it")

    says(page, f"Your username is {name} now.", "You can change it once a day")
    sign_out(page)
    sign_in(page, username)
    expect(page).to_have_title(re.compile("^Error: Sign in"))
    sign_in(page, name)
    sees(page, f"Hello, {name}")
