"""Listing and revoking sessions in Chromium, the back button, and local times."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from playwright.sync_api import expect

from tests.support.browser import MOBILE, WITH_WINDOW
from tests.support.browser_steps import LONG_AGO, arrive, go, press, says, sees, sign_in, sign_out
from tests.support.steps import IPHONE, LOGIN, sql

# Only a browser with a window has the back/forward cache.
BROWSERS = WITH_WINDOW


def test_a_new_session_is_listed_and_revoked(site, open_page):
    username = "watchful"
    desk = open_page(site)
    phone = open_page(site, user_agent=IPHONE, **MOBILE)
    arrive(desk, site, username)
    phone.goto(LOGIN)
    sign_in(phone, username)
    sees(phone, f"Hello, {username}")

    go(desk, "Where you’re signed in")
    sees(desk, "Where you’re signed in")
    here, other = (
        desk.get_by_role("list", name="Browsers", exact=True).get_by_role("listitem").all()
    )
    expect(here).to_contain_text("Chrome on Linux This browser")
    expect(here.get_by_role("button")).to_have_count(0)
    expect(other).to_contain_text("Safari on iPhone")
    press(desk, "Sign out Safari on iPhone")
    says(desk, "You aren’t signed in anywhere else.")
    go(phone, "Activity")
    sees(phone, "Sign in")


def test_5_5_after_sign_out_the_back_button_shows_nothing_of_the_account(site, page):
    username = "departing"
    arrive(page, site, username)
    go(page, "Activity")
    sees(page, "Activity")
    sign_out(page)

    for _ in range(2):
        page.go_back()
        sees(page, "Sign in")
        assert username not in page.content()


def test_times_follow_the_browser_until_a_time_zone_is_chosen(site, open_page):
    username = "travelling"
    page = open_page(site, locale="en-GB", timezone_id="Asia/Tokyo")
    arrive(page, site, username)
    of_theirs = "WHERE user_id = (SELECT id FROM accounts_user WHERE username = ?)"
    recently = f"{datetime.now(UTC) - timedelta(hours=3, minutes=1):%Y-%m-%d %H:%M:%S}"
    change = f"UPDATE accounts_activity SET at = iif(kind = 'signed_up', ?, ?) {of_theirs}"
    sql(site, change, LONG_AGO, recently, username)

    times = page.get_by_role("main").locator("li time")
    page.goto("/accounts/activity/")
    local = (datetime.now(UTC) - timedelta(hours=3, minutes=1)).astimezone(ZoneInfo("Asia/Tokyo"))
    expect(times.first).to_have_text(f"{local:%H:%M}")
    expect(times.last).to_have_text("05:30")
    days = page.get_by_role("main").get_by_role("heading", level=2)
    expect(days.last).to_have_text("Thursday, 2 January 2020")
    page.goto("/accounts/sessions/")
    expect(page.get_by_role("list", name="Browsers", exact=True)).to_contain_text("Active now")
    page.goto("/accounts/profile/")
    page.get_by_label("Time zone").fill("New York")
    press(page, "Save")
    page.goto("/accounts/activity/")
    expect(times.last).to_have_text("15:30")
    expect(days.last).to_have_text("Wednesday, 1 January 2020")
