"""Three attacks on recovery in Chromium, at a site whose clock the tests move.

In each, an earlier design gave the account to the wrong person or kept its owner out.
"""

import re

import pytest
from playwright.sync_api import expect

from accounts.common import clock
from tests.support.browser import MOBILE, axe
from tests.support.browser_passkeys import enter
from tests.support.browser_steps import (
    NEW_PASSWORD,
    arrive,
    ask_for_reset,
    code_for,
    go,
    link_for,
    menu,
    press,
    promote,
    says,
    sees,
    sign_in,
    sign_out,
    type_code,
)
from tests.support.inject import Injected
from tests.support.second_factor import SETUP, code_of, seed_on
from tests.support.site import Site
from tests.support.steps import IPHONE, LOGIN, PASSWORD
from tests.support.virtual_authenticator import MAKES_PASSKEYS, NO_AUTOFILL

SET_UP = "Set up an authenticator app"
CONFIRM = "Confirm that it’s you"
LOCK = "Lock your account"
LOCKDOWN = "/accounts/lockdown/"
PROVE = "Show that it’s you"
TURN_ON = "Turn on two-step verification"
REMOVE = "Remove my passkeys and authenticator apps"
RESET = "/accounts/password/reset/"
REVIEW = "Review your account"
WAIT = "Start the 3-day wait"
BANNER = "Someone asked to remove your passkeys and authenticator apps"


@pytest.fixture(scope="module")
def time(tmp_path_factory):
    """Move the clock of the site, and that of the apps that show codes."""
    moved = Injected(tmp_path_factory.mktemp("clock"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "_now", moved.now)
        yield moved


@pytest.fixture(scope="module")
def site(time):
    with Site(**time.env) as running:
        yield running


def next_code(time, seed):
    """Wait for the next code of an app, because each works once."""
    time.advance(seconds=30)
    return code_of(seed)


def add_app(page, time, name, button=TURN_ON):
    page.goto(SETUP)
    seed = seed_on(page.content())
    page.get_by_label("Name").fill(name)
    type_code(page, next_code(time, seed), button)
    expect(page.get_by_role("heading", level=1)).not_to_have_text(SET_UP)
    return seed


def add_address(page, site, address):
    go(page, "Email addresses")
    page.get_by_label("Email address").fill(address)
    press(page, "Add this address")
    says(page, "Not confirmed")
    type_code(page, code_for(site, address), "Confirm")
    says(page, "The address was added.")


def settle(page, site, time, username, *, has_app=False):
    """Make an account, let a month pass, and sign in; return the seed of its authenticator app."""
    arrive(page, site, username)
    seed = add_app(page, time, "Phone") if has_app else ""
    time.advance(days=30)
    enter_again(page, username, next_code(time, seed) if has_app else "")
    return seed


def sees_home(page):
    expect(page).to_have_title(re.compile("^Overview"))


def enter_again(page, login, code=""):
    """Sign in at a browser whose session has expired."""
    page.goto(LOGIN)
    sign_in(page, login)
    if code:
        type_code(page, code)
    sees_home(page)


def steal_session(thief, site, owner):
    """Copy the owner's session cookie into another browser, without the known-browser cookie."""
    (key,) = [c["value"] for c in owner.context.cookies() if c["name"] == "sessionid"]
    thief.context.add_cookies([{"name": "sessionid", "value": key, "url": site.origin}])
    thief.goto("/")


def lock_by_link(page, site, username, about):
    """Lock the account by the link in the newest mail with a subject."""
    page.goto(link_for(site, username, about, LOCKDOWN))
    sees(page, f"Lock the account {username}?")
    press(page, LOCK)
    sees(page, "Your account is locked")


def lock_in_session(page, site, login):
    """Lock the account in a session that has shown the password, with a link by email."""
    go(page, LOCK)
    press(page, "Email me the link")
    says(page, "We’ve emailed you a link to lock your account.")
    page.goto(link_for(site, login, "Your link to lock your account", LOCKDOWN))
    press(page, LOCK)
    sees(page, "Your account is locked")


def forget_password(page, site, time, login):
    """Ask for a reset link, a minute after the last one, and open it."""
    time.advance(minutes=1)
    page.goto(RESET)
    ask_for_reset(page, site, login)


def set_password(page, username):
    """Set a new password, and type it into the sign-in page, which knows the username."""
    sees(page, "Set a new password")
    page.get_by_label("New password").fill(NEW_PASSWORD)
    press(page, "Set new password")
    says(page, "Your new password is set. Sign in with it on all your devices.")
    expect(page.get_by_label("Username or email address")).to_have_value(username)
    typed = page.get_by_label("Password", exact=True)
    expect(typed).to_be_focused()
    typed.fill(NEW_PASSWORD)
    press(page, "Sign in")


def decide(page, button):
    """Press a button at the review, and wait until its row has disappeared."""
    press(page, button)
    expect(page.get_by_role("button", name=button)).to_have_count(0)


def come_back(page, site, time, username):
    """Open a locked account with the mailbox and the password; set a new one and sign in."""
    forget_password(page, site, time, username)
    page.get_by_label("Your old password").fill(PASSWORD)
    press(page, "Use this password")
    set_password(page, username)
    sees(page, REVIEW)


def finish_review(page):
    press(page, "Finish the review")
    sees_home(page)
    expect(page.get_by_role("main").get_by_role("status")).to_have_count(0)


def ask_to_wait(page):
    sees(page, CONFIRM)
    page.get_by_text("I can’t use any of these").click()
    press(page, WAIT)
    says(page, "Come back then, and show the same things again.")


def test_a_thief_replaces_the_app_of_staff_who_come_back_with_the_former_one(site, open_page, time):
    username, address = "carol", "carol@thief.example"
    home, thief = open_page(site), open_page(site)
    new = open_page(site, expect=(404,), user_agent=IPHONE, **MOBILE)
    seed = settle(home, site, time, username, has_app=True)
    promote(site, username)
    steal_session(thief, site, home)
    add_app(thief, time, "Spare phone", "Add the app")
    add_address(thief, site, address)
    go(thief, "Passkeys and two-step")
    thief.get_by_role("link", name="Manage Phone").click()
    press(thief, "Remove this app")
    says(thief, "Spare phone")

    lock_by_link(home, site, username, "app was added")
    assert axe(home) == []
    go(thief, "Activity")
    sees(thief, "Sign in")
    new.goto(LOGIN)
    sign_in(new, username)
    sees(new, PROVE)
    type_code(new, next_code(time, seed), "Use this code")
    set_password(new, username)
    press(new, "Email me a code")
    type_code(new, code_for(site, username, count=2))
    sees(new, SET_UP)
    type_code(new, next_code(time, seed_on(new.content())), TURN_ON)
    sees(new, REVIEW)
    expect(new.get_by_role("link", name="Add it again Phone")).to_be_visible()
    for label in (address, "Spare phone"):
        decide(new, f"Delete {label}")
    finish_review(new)
    new.goto("/accounts/review/")
    sees(new, "Page not found")


def test_a_passkey_that_a_browser_made_by_itself_is_not_asked_for(site, open_page, time):
    username, home, new = "pk-unasked", open_page(site), open_page(site)
    enter(home, site, username, script=f"{NO_AUTOFILL};{MAKES_PASSKEYS}")
    says(home, "Your browser saved a passkey.")
    time.advance(days=30)
    enter_again(home, username)
    lock_in_session(home, site, username)

    come_back(new, site, time, username)
    says(new, "Nothing is put aside")
    finish_review(new)


def test_an_unlocked_laptop_with_the_mailbox_removes_no_factor_before_the_owner_stops_it(
    site, open_page, time
):
    """Withstands a thief with a cookie."""
    username, laptop = "lent", open_page(site)
    phone = open_page(site, user_agent=IPHONE, timezone_id="Asia/Tokyo")
    seed = settle(laptop, site, time, username, has_app=True)
    sign_out(laptop)
    sign_in(laptop, username)
    laptop.get_by_label("Don’t ask again").check()
    type_code(laptop, next_code(time, seed))
    sees(laptop, f"Hello, {username}")
    time.advance(minutes=20)
    enter_again(phone, username, next_code(time, seed))

    go(laptop, "Passkeys and two-step")
    laptop.get_by_role("link", name="Manage Phone").click()
    sees(laptop, f"Is that you, {username}?")
    forget_password(laptop, site, time, username)
    ask_to_wait(laptop)
    for name in menu(phone).get_by_role("link").all_inner_texts():
        go(phone, name)
        expect(phone.locator("[aria-current=page]")).to_have_text(name)
        says(phone, BANNER)
    phone.get_by_role("link", name="Stop the request").click()
    sees(phone, f"Stop the recovery request for {username}?")
    expect(phone.locator("time[data-when=until]")).to_contain_text("GMT+9")
    assert axe(phone) == []
    phone.get_by_role("link", name="Stop the request").click()
    type_code(phone, next_code(time, seed))
    sees(phone, "The recovery request has been stopped")
    assert axe(phone) == []
    expect(phone.get_by_text(BANNER)).to_have_count(0)

    time.advance(days=4)
    forget_password(laptop, site, time, username)
    sees(laptop, CONFIRM)
    for name in (REMOVE, WAIT):
        expect(laptop.get_by_role("button", name=name)).to_have_count(0)
