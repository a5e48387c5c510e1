"""Sign-ins seen and ended, in real browsers: two of one person, and a mail."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import (
    BOTH_WAYS,
    IPHONE,
    PASSWORD,
    go,
    member,
    press,
    read_mail,
    sees,
    sign_in,
    sign_out,
    sign_up,
    type_code,
)
from tests.support.browser import MOBILE, WITH_WINDOW, OpenPage
from tests.support.site import Site
from tests.support.steps import sql

# Names of other modules come back here.
SITE = {"LIMITS_SCALE": "1"}

# What one goes back to is kept by a browser with a window only.
BROWSERS = WITH_WINDOW


def at_a_desk_and_on_a_phone(
    site: Site, open_page: OpenPage, username: str, **options: Any
) -> tuple[Page, Page]:
    """The browser that signed up, and one that has signed in for the first time."""
    desk = open_page(site, **options)
    desk.goto("/")
    sign_up(desk, username)
    type_code(desk, site, username)
    sees(desk, f"Hello, {username}")
    phone = open_page(site, user_agent=IPHONE, **MOBILE, **options)
    phone.goto("/")
    sign_in(phone, username)
    sees(phone, f"Hello, {username}")
    return desk, phone


def test_a_new_sign_in_is_told_by_mail_seen_and_ended_from_the_other_browser(
    site: Site, open_page: OpenPage, scripts: bool
) -> None:
    username = f"alice{scripts:d}"
    desk, phone = at_a_desk_and_on_a_phone(site, open_page, username, java_script_enabled=scripts)
    read_mail(desk, site, username, about="Signed in from a new browser")
    expect(desk.get_by_role("main")).to_contain_text("Device: Safari on iPhone")

    go(desk, "Where you’re signed in")
    sees(desk, "Where you’re signed in")
    here, other = desk.get_by_role("main").get_by_role("listitem").all()
    expect(here).to_contain_text("Chrome on Linux This device")
    expect(here.get_by_role("button")).to_have_count(0)
    expect(other).to_contain_text("Safari on iPhone")
    press(desk, "Sign out Safari on iPhone")
    expect(desk.get_by_role("main")).to_contain_text("You’re signed in nowhere else.")

    go(phone, "Activity")
    sees(phone, "Sign in")
    go(desk, "Activity")
    expect(desk.get_by_role("listitem").first).to_contain_text(
        "A sign-in was ended from elsewhere. (Safari on iPhone)"
    )


def test_the_link_of_that_mail_locks_the_account_down_in_a_browser_that_is_not_signed_in(
    site: Site, open_page: OpenPage, scripts: bool
) -> None:
    username = f"bob{scripts:d}"
    desk, phone = at_a_desk_and_on_a_phone(site, open_page, username, java_script_enabled=scripts)
    elsewhere = open_page(site, expect=(404,), java_script_enabled=scripts)
    elsewhere.goto("/")
    read_mail(elsewhere, site, username, about="Signed in from a new browser")

    elsewhere.get_by_role("link", name="/accounts/lockdown/").click()
    sees(elsewhere, f"Lock the account {username} down?")
    link = elsewhere.url
    page = elsewhere.get_by_role("main")
    expect(page).to_contain_text("Safari on iPhone")
    expect(page).to_contain_text("All 2 sign-ins end, wherever they are.")
    expect(page).to_contain_text("The password stops working.")
    expect(elsewhere.get_by_role("banner").get_by_role("link", name="Activity")).to_have_count(0)
    press(elsewhere, "Lock the account down")
    sees(elsewhere, "The account is locked down")

    go(desk, "Activity")
    sees(desk, "Sign in")
    go(phone, "Where you’re signed in")
    sign_in(phone, username)
    expect(phone).to_have_title(re.compile("^Error: Sign in"))
    elsewhere.goto(link)
    sees(elsewhere, "This link doesn’t work any more")


@BOTH_WAYS
def test_5_5_after_sign_out_the_back_button_shows_nothing_of_the_account(
    site: Site, open_page: OpenPage, scripts: bool
) -> None:
    username = f"carol{scripts:d}"
    member(site, username)
    page = open_page(site, java_script_enabled=scripts)
    page.goto("/")
    sign_in(page, username)
    sees(page, f"Hello, {username}")
    go(page, "Activity")
    sees(page, "Activity")
    sign_out(page)

    for _ in range(2):
        page.go_back()
        sees(page, "Sign in")
        assert username not in page.content()


def test_a_cookie_in_another_browser_is_asked_for_the_password_and_goes_on(
    site: Site, open_page: OpenPage, scripts: bool
) -> None:
    username = f"mallory{scripts:d}"
    member(site, username)
    page = open_page(site, java_script_enabled=scripts)
    page.goto("/")
    sign_in(page, username)
    sees(page, f"Hello, {username}")
    other = open_page(
        site,
        java_script_enabled=scripts,
        storage_state=page.context.storage_state(),
        user_agent=IPHONE,
    )

    other.goto("/accounts/activity/?group=sign-in")
    sees(other, f"Is it you, {username}?")
    other.get_by_label("Password", exact=True).fill("not the password")
    press(other, "Go on")
    expect(other).to_have_title(re.compile("^Error: "))
    other.get_by_label("Password", exact=True).fill(PASSWORD)
    press(other, "Go on")

    sees(other, "Activity")
    expect(other).to_have_url(f"{site.origin}/accounts/activity/?group=sign-in")


@pytest.mark.parametrize(
    "scripts, begun, used",
    [(True, "2 Jan 2020, 05:30", "3 hours ago"), (False, "Jan. 1, 2020, 8:30 p.m. UTC", "UTC")],
    ids=["scripts", "no scripts"],
)
def test_times_are_the_readers_own_and_without_scripts_in_utc(
    site: Site, open_page: OpenPage, scripts: bool, begun: str, used: str
) -> None:
    username = f"dave{scripts:d}"
    member(site, username)
    page = open_page(site, java_script_enabled=scripts, locale="en-GB", timezone_id="Asia/Tokyo")
    for _ in range(2):
        page.context.clear_cookies(name="sessionid")
        page.goto("/")
        sign_in(page, username)
        sees(page, f"Hello, {username}")
    recently = (datetime.now(UTC) - timedelta(hours=3, minutes=1)).strftime("%Y-%m-%d %H:%M:%S")
    sql(
        site,
        "UPDATE accounts_loginsession SET begun_at = '2020-01-01 20:30:00', used_at = ?",
        recently,
    )

    go(page, "Where you’re signed in")
    other = page.get_by_role("main").get_by_role("listitem").last
    expect(other.locator("time").first).to_contain_text(used)
    expect(other.locator("time").last).to_have_text(begun)
