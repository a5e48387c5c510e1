"""Disputes over an account in Chromium: locking, resetting the password and reviewing."""

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from tests.support.browser import MOBILE, axe
from tests.support.browser_steps import (
    NEW_PASSWORD,
    arrive,
    ask_for_reset,
    code_for,
    go,
    link_for,
    member,
    press,
    says,
    sees,
    sign_in,
    sign_out,
    type_code,
    years_pass,
)
from tests.support.second_factor import SETUP, code_of, seed_on
from tests.support.steps import IPHONE, LOGIN, PASSWORD, WRONG, address_of, sql
from tests.support.steps import sign_in as post_sign_in

LOCKDOWN = "/accounts/lockdown/"
BANNER = "Someone asked to remove all your second factors."
PROVE = "Prove that it’s you"
REMOVE = "Remove my second factors"


def settle_with_app(page, site, username):
    """Create an old account with an authenticator app in this browser; return the app's seed."""
    arrive(page, site, username)
    # The mail about it can lock the account.
    post_sign_in(site.client(User_Agent=IPHONE), username)
    seed = add_app(page, "Phone")
    years_pass(site, username)
    return seed


def add_app(page, name):
    page.goto(SETUP)
    seed = seed_on(page.content())
    page.get_by_label("Name").fill(name)
    type_code(page, code_of(seed), "Turn on two-step verification")
    sees(page, "Save your recovery codes")
    return seed


def add_address(page, site, address):
    go(page, "Addresses")
    page.get_by_label("Email address").fill(address)
    press(page, "Add this address")
    says(page, "Not confirmed")
    type_code(page, code_for(site, address), "Confirm")
    says(page, "The address was added.")


def steal_session(thief, site, owner):
    """Copy the owner's session cookie into another browser, without the known-browser cookie."""
    (key,) = [c["value"] for c in owner.context.cookies() if c["name"] == "sessionid"]
    thief.context.add_cookies([{"name": "sessionid", "value": key, "url": site.origin}])
    thief.goto("/")


def lock(page, site, username, about):
    """Lock the account by the link in the newest mail with a subject."""
    page.goto(link_for(site, username, about, LOCKDOWN))
    sees(page, f"Lock the account {username}?")
    press(page, "Lock your account")
    sees(page, "Your account is locked")


def reset(page, site, username):
    """Reset the password, from the page after the lock to the page of the mailed link."""
    page.get_by_role("link", name="Set a new password").click()
    ask_for_reset(page, site, username)


def show_password(page, password):
    page.get_by_label("Your old password").fill(password)
    press(page, "Use this password")


def set_password(page, username):
    """Set new password and sign in with it."""
    sees(page, "Set a new password")
    page.get_by_label("New password").fill(NEW_PASSWORD)
    press(page, "Set new password")
    says(page, "Your new password is set. Sign in with it.")
    sign_in(page, username, password=NEW_PASSWORD)


def decide(page, button):
    """Press a button at the review, and wait until its row has disappeared."""
    press(page, button)
    expect(page.get_by_role("button", name=button)).to_have_count(0)


def finish_review(page, username):
    press(page, "Finish the review")
    sees(page, f"Hello, {username}")
    expect(page.get_by_role("main").get_by_role("status")).to_have_count(0)


def lose_factors(page, site, username):
    """Request the removal of the second factors with a reset link."""
    page.goto(LOGIN)
    page.get_by_role("button", name="Forgot your password?").click()
    ask_for_reset(page, site, username)
    sees(page, "Confirm that it’s you")
    page.get_by_text("I’ve lost all my second factors").click()
    start = page.get_by_role("button", name=re.compile("^Start the"))
    start.click()
    expect(start).to_have_count(0)


def end_waiting_period(site):
    warned = datetime.now(UTC) - timedelta(hours=73)
    sql(site, "UPDATE accounts_recovery SET warned_at = ?", f"{warned:%Y-%m-%d %H:%M:%S}")


def test_at_the_review_the_owner_deletes_what_a_thief_added_and_restores_an_email(site, open_page):
    username, new, address = "robbed", "robbed@other.example", "robbed@thief.example"
    home, thief = open_page(site), open_page(site)
    arrive(home, site, username)
    years_pass(site, username)
    add_address(home, site, new)
    press(home, f"Make primary {new}")
    says(home, f"{new} is now your primary address.")
    steal_session(thief, site, home)
    add_address(thief, site, address)
    add_app(thief, "Spare phone")

    lock(home, site, username, "Your primary email address was changed")
    assert axe(home) == []
    go(thief, "Activity")
    sees(thief, "Sign in")
    reset(home, site, username)
    sees(home, PROVE)
    show_password(home, PASSWORD)
    set_password(home, username)

    sees(home, "Review your account")
    says(home, new, address)
    decide(home, f"It’s mine, restore it {new}")
    for label in (address, "Spare phone", "Recovery codes"):
        decide(home, f"Delete {label}")
    finish_review(home, username)

    go(home, "Addresses")
    press(home, f"Make primary {new}")
    says(home, f"{new} is now your primary address.")
    sign_out(home)
    sign_in(home, new, password=NEW_PASSWORD)
    sees(home, f"Hello, {username}")


def test_mail_and_the_former_password_unlock_an_account(site, open_page):
    username = "travels"
    member(site, username)
    years_pass(site, username)
    borrowed, new = open_page(site, user_agent=IPHONE, **MOBILE), open_page(site)
    borrowed.goto(LOGIN)
    sign_in(borrowed, username)
    borrowed.get_by_role("link", name="Lock your account").click()
    press(borrowed, "Lock your account")
    sees(borrowed, "Your account is locked")

    new.goto(LOGIN)
    new.get_by_role("button", name="Forgot your password?").click()
    ask_for_reset(new, site, username)
    show_password(new, WRONG)
    expect(new).to_have_title(re.compile(f"^Error: {PROVE}"))
    expect(new.get_by_role("alert")).to_be_focused()
    show_password(new, PASSWORD)
    set_password(new, username)
    says(new, "Nothing is suspended")
    finish_review(new, username)


def test_lost_second_factors_are_removed_after_the_waiting_period(site, open_page):
    username, home = "phoneless", open_page(site)
    settle_with_app(home, site, username)
    sign_out(home)
    lose_factors(home, site, username)
    end_waiting_period(site)

    home.reload()
    press(home, REMOVE)
    says(home, "Your second factors were removed.")
    home.goto(LOGIN)
    sign_in(home, username)
    sees(home, f"Hello, {username}")
    go(home, "Passkeys and two-step")
    says(home, "Your password is all it takes to sign in.")


def test_every_page_warns_of_a_pending_recovery_and_links_to_stop_it(site, open_page):
    username, home, mallory = "warned", open_page(site), open_page(site)
    seed = settle_with_app(home, site, username)
    lose_factors(mallory, site, username)

    for name in home.get_by_role("navigation").get_by_role("link").all_inner_texts():
        go(home, name)
        expect(home.locator("[aria-current=page]")).to_have_text(name)
        says(home, BANNER)
    home.get_by_role("link", name="If it wasn’t you, stop the request").click()
    sees(home, f"Stop the recovery request for {username}?")
    assert axe(home) == []
    home.get_by_role("link", name="Use a second factor").click()
    type_code(home, code_of(seed))
    sees(home, "The recovery request has been stopped")
    assert axe(home) == []
    expect(home.get_by_text(BANNER)).to_have_count(0)

    end_waiting_period(site)
    mallory.reload()
    sees(mallory, "Confirm that it’s you")
    expect(mallory.get_by_role("button", name=REMOVE)).to_have_count(0)


def test_password_and_second_factor_unlock_an_account_without_mail(site, open_page):
    username, new = "unmailed", open_page(site)
    seed = settle_with_app(open_page(site), site, username)
    lock(open_page(site), site, username, "Sign-in from a new browser")

    new.goto(LOGIN)
    sign_in(new, username)
    sees(new, PROVE)
    type_code(new, code_of(seed), "Use this code")
    set_password(new, username)
    type_code(new, code_of(seed, 1))
    finish_review(new, username)
    assert site.mails(to=address_of(username), subject="Set a new password") == []
