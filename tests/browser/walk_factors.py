"""The walk through every page of second factors and each state of one."""

from collections.abc import Generator, Iterator
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.steps import (
    go,
    member,
    press,
    read_mail,
    says,
    sees,
    sign_in,
)
from tests.support.second import CHALLENGE, RECOVERY_CODES, SETUP, code_of, recovery_codes_on
from tests.support.second import seed_on as seed_in
from tests.support.site import Site
from tests.support.steps import sql

OVERVIEW = "/accounts/2fa/"
REAUTHENTICATE = "/accounts/reauthenticate/"
WRONG = "222222"
LONG_NAME = "W" * 64


def walk_factors(page: Page, site: Site, username: str) -> Iterator[str]:
    """Stop at each page and each state of one, and say what title it has."""
    # One address takes all the walks, with more codes than one address may try.
    sql(site, "DELETE FROM accounts_budget")
    member(site, username)
    page.goto("/")
    sign_in(page, username)
    yield from setting_up(page)
    codes = yield from keeping_codes(page)
    yield from keeping_codes_late(page, site, codes)
    yield from with_several_apps(page)
    yield from showing_it_again(page, site)
    yield from with_few_codes(page, codes)
    inside = page.context.cookies()
    page.context.clear_cookies()
    yield from between_two_steps(page, username)
    yield from having_lost_them(page, site, inside)
    yield from changing_ones_mind(page, site, username)
    yield from having_forgotten_the_password(page, site, username)
    yield from as_staff(page, site, username, inside)
    yield from at_the_door(page, site, username)


def type_code(page: Page, code: str, name: str) -> None:
    page.get_by_label("Code", exact=True).fill(code)
    press(page, name)


def setting_up(page: Page) -> Iterator[str]:
    sees_home(page)
    yield "Your account"
    go(page, "Two-step sign-in")
    says(page, "None yet")
    yield "Two-step sign-in"
    page.goto(SETUP)
    yield "Set up an authenticator app"
    type_code(page, WRONG, "Turn on two-step sign-in")
    yield "Error: Set up an authenticator app"
    type_code(page, code_of(seed_in(page.content())), "Turn on two-step sign-in")
    says(page, "Two-step sign-in is on.")
    yield "Recovery codes"


def sees_home(page: Page) -> None:
    page.goto("/")
    says(page, "Your account at a glance")


def keeping_codes(page: Page) -> Generator[str, None, list[str]]:
    """Ends with the codes."""
    type_code(page, "22222-22222", "Finish")
    yield "Error: Recovery codes"
    sees_home(page)
    says(page, "keep your recovery codes")
    yield "Your account"
    go(page, "Two-step sign-in")
    says(page, "You haven’t shown yet")
    yield "Two-step sign-in"
    page.goto(RECOVERY_CODES)
    codes = recovery_codes_on(page.content())
    type_code(page, codes[0], "Finish")
    says(page, "Your recovery codes are kept.")
    yield "Two-step sign-in"
    page.goto(RECOVERY_CODES)
    says(page, "10 codes are left.")
    yield "Recovery codes"
    return codes


def keeping_codes_late(page: Page, site: Site, codes: list[str]) -> Iterator[str]:
    """As after a quarter of an hour: not shown any more, and still not typed back."""
    sql(site, "UPDATE accounts_recoverycodes SET saved_at = NULL")
    page.goto(RECOVERY_CODES)
    says(page, "10 codes are left.", "Have you kept them?")
    yield "Recovery codes"
    type_code(page, codes[9], "Finish")
    says(page, "Your recovery codes are kept.")


def with_several_apps(page: Page) -> Iterator[str]:
    page.goto(OVERVIEW)
    page.get_by_role("link", name="Rename or remove").click()
    says(page, "It is your last one")
    yield "Authenticator app"
    page.get_by_label("Name", exact=True).fill("")
    press(page, "Rename")
    yield "Error: Authenticator app"
    page.goto(SETUP)
    page.get_by_label("Name", exact=True).fill(LONG_NAME)
    type_code(page, code_of(seed_in(page.content())), "Add the app")
    says(page, "The app was added.")
    yield "Two-step sign-in"
    page.get_by_role("link", name=LONG_NAME).click()
    says(page, "Codes of this app are worth nothing")
    yield "Authenticator app"
    press(page, "Remove this app")
    says(page, "Removed.")
    yield "Two-step sign-in"


def showing_it_again(page: Page, site: Site) -> Iterator[str]:
    page.goto(REAUTHENTICATE)
    says(page, "Or by a code")
    yield "Is it you?"
    type_code(page, WRONG, "Go on with the code")
    yield "Error: Is it you?"
    sql(site, "UPDATE accounts_loginsession SET factor_at = NULL")
    page.goto(SETUP)
    expect(page.get_by_label("Password")).to_have_count(0)
    yield "Is it you?"
    sql(site, "UPDATE accounts_loginsession SET browser = 'Safari', agent = ''")
    page.goto("/")
    says(page, "This browser isn’t the one that signed in.")
    yield "Is it you?"


def with_few_codes(page: Page, codes: list[str]) -> Iterator[str]:
    for n, code in enumerate(codes[:7]):
        page.goto(REAUTHENTICATE)
        type_code(page, code, "Go on with the code" if n else "Go on")
        says(page, "Your account at a glance")
    says(page, "Few of your recovery codes are left.")
    yield "Your account"


def between_two_steps(page: Page, username: str) -> Iterator[str]:
    page.goto("/")
    sign_in(page, username)
    says(page, "your authenticator app shows")
    yield "Confirm it’s you"
    type_code(page, WRONG, "Go on")
    yield "Error: Confirm it’s you"
    page.get_by_role("link", name="Use a recovery code").click()
    says(page, "one of the recovery codes")
    yield "Confirm it’s you"
    page.get_by_role("link", name="Get a code by mail").click()
    says(page, "We can mail a code")
    yield "Confirm it’s you"
    press(page, "Mail me a code")
    says(page, "is on its way")
    yield "Confirm it’s you"
    type_code(page, "22222222", "Go on")
    yield "Error: Confirm it’s you"


def having_lost_them(page: Page, site: Site, inside: list[Any]) -> Iterator[str]:
    """Asked for between the steps, seen from ``inside``, and due when one comes back."""
    page.goto(CHALLENGE)
    page.get_by_text("I’ve lost all of them").click()
    yield "Confirm it’s you"
    press(page, "Begin the waiting period")
    says(page, "Somebody has asked to remove them.")
    yield "Confirm it’s you"
    outside = page.context.cookies()
    as_if_in(page, inside)
    sees_home(page)
    says(page, "Somebody asked to remove all your second factors.")
    yield "Your account"
    page.get_by_role("link", name="Look at it").click()
    says(page, "From")
    yield "Two-step sign-in"
    as_if_in(page, outside)
    sql(site, "UPDATE accounts_factorrecovery SET due_at = datetime('now', '-1 hour')")
    page.goto(CHALLENGE)
    says(page, "The waiting period is over.")
    yield "Confirm it’s you"


def as_if_in(page: Page, cookies: list[Any]) -> None:
    """With the cookies of another browser."""
    page.context.clear_cookies()
    page.context.add_cookies(cookies)


def changing_ones_mind(page: Page, site: Site, username: str) -> Iterator[str]:
    page.goto("/")
    read_mail(page, site, username, about="asked to remove your second factors")
    page.get_by_role("link", name="/accounts/2fa/recovery/").first.click()
    sees(page, f"Keep the second factors of {username}?")
    link = page.url
    yield "Keep your second factors"
    press(page, "Cancel it: they stay")
    yield "Cancelled"
    page.goto(link)
    yield "Nothing to cancel"


def having_forgotten_the_password(page: Page, site: Site, username: str) -> Iterator[str]:
    page.context.clear_cookies()
    page.goto("/accounts/password/reset/")
    page.get_by_label("Username or email address").fill(username)
    press(page, "Send the mail")
    read_mail(page, site, username, about="Set a new password")
    page.get_by_role("link", name="/accounts/password/reset/").first.click()
    says(page, "Show it before you set a new password.")
    yield "Confirm it’s you"
    type_code(page, WRONG, "Go on")
    yield "Error: Confirm it’s you"


def as_staff(page: Page, site: Site, username: str, inside: list[Any]) -> Iterator[str]:
    sql(site, "UPDATE accounts_user SET is_staff = 1 WHERE username_key = ?", username)
    as_if_in(page, inside)
    page.goto(OVERVIEW)
    page.get_by_role("link", name="Rename or remove").click()
    says(page, "It can’t be removed")
    yield "Authenticator app"
    sql(site, "UPDATE accounts_loginsession SET amr = ?", '["pwd"]')
    page.goto(REAUTHENTICATE)
    expect(page.get_by_label("Password")).to_have_count(0)
    yield "Is it you?"
    page.context.clear_cookies()
    page.goto("/")
    sign_in(page, username)
    page.get_by_text("I’ve lost all of them").click()
    says(page, "Ask whoever runs this site")
    yield "Confirm it’s you"


def at_the_door(page: Page, site: Site, username: str) -> Iterator[str]:
    page.context.clear_cookies()
    sql(site, "DELETE FROM accounts_authenticator")
    page.goto("/")
    sign_in(page, username)
    says(page, f"One step is missing, {username}")
    yield "Set up an authenticator app"
    type_code(page, WRONG, "Turn on two-step sign-in")
    yield "Error: Set up an authenticator app"
