"""Accounts that others open: second factors after them, connecting, the last way in, a lockdown."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import phone
from tests.browser.providers import (
    CONNECTIONS,
    Providers,
    arrive,
    go_to,
    grow_stale,
    providers,
    show,
)
from tests.browser.steps import (
    LONG_AGO,
    PASSWORD,
    member,
    notice_link,
    press,
    read_mail,
    says,
    sees,
    sign_in,
    sign_out,
)
from tests.support.browser import OpenPage
from tests.support.openid_provider import Person
from tests.support.second import SETUP, recovery_codes_on
from tests.support.site import Site
from tests.support.steps import sql

ANOTHER = "seven slow ferries hum"


@pytest.fixture(scope="module")
def others() -> Iterator[Providers]:
    with providers() as running:
        yield running


@pytest.fixture(scope="module")
def site(others: Providers) -> Iterator[Site]:
    with others.site() as running:
        yield running


def enrol(page: Page) -> str:
    """Set an app up on the page that is there, and keep the codes; the secret."""
    sees(page, "Set up an authenticator app")
    secret = page.locator("#key").inner_text().replace(" ", "")
    type_code(page, phone.shown(secret), "Turn on two-step sign-in")
    sees(page, "Keep your recovery codes")
    type_code(page, recovery_codes_on(page.content())[0], "Finish")
    return secret


def type_code(page: Page, code: str, button: str = "Go on") -> None:
    page.get_by_label("Code", exact=True).fill(code)
    press(page, button)


def test_the_code_is_asked_after_the_provider_but_not_in_a_trusted_browser(
    site: Site, page: Page
) -> None:
    arrive(page, "alice")
    page.goto(SETUP)
    secret = enrol(page)
    says(page, "Your recovery codes are kept.")
    sign_out(page)

    go_to(page)
    sees(page, "Confirm it’s you")
    expect(page.get_by_role("banner").get_by_role("link", name="Activity")).to_have_count(0)
    expect(page.get_by_role("link", name="Get a code by mail")).to_have_count(0)
    page.get_by_label("Don’t ask in this browser for 30 days").check()
    type_code(page, phone.shown_next(secret))
    sees(page, "Hello, The alice")
    sign_out(page)
    go_to(page)
    sees(page, "Hello, The alice")


def test_who_has_lost_every_factor_waits_and_then_the_provider_is_enough(
    site: Site, no_js_page: Page
) -> None:
    page = no_js_page
    arrive(page, "bob")
    page.goto(SETUP)
    enrol(page)
    says(page, "Your recovery codes are kept.")
    sign_out(page)

    go_to(page)
    page.get_by_text("I’ve lost all of them").click()
    press(page, "Begin the waiting period")
    says(page, "Somebody has asked to remove them.")
    sql(site, "UPDATE accounts_factorrecovery SET due_at = datetime('now', '-1 hour')")
    page.goto("/accounts/login/")
    go_to(page)
    press(page, "Remove my second factors")
    sees(page, "Hello, The bob")


def test_where_all_must_have_a_factor_the_provider_leads_to_it_and_then_on(
    others: Providers, open_page: OpenPage
) -> None:
    with others.site(SECOND_FACTOR="all") as strict:
        page = open_page(strict)
        page.goto("/accounts/login/?next=/accounts/sessions/")
        go_to(page)
        show(page, "alice")
        says(page, "One step is missing, alice")
        enrol(page)
        sees(page, "Where you’re signed in")


def test_who_is_inside_connects_after_a_fresh_proof_and_disconnects(site: Site, page: Page) -> None:
    member(site, "carol")
    page.goto(CONNECTIONS)
    sign_in(page, "carol")
    says(page, "None is connected.")
    grow_stale(site)
    go_to(page, "Rival")
    sees(page, "Is it you, carol?")
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Go on")
    go_to(page, "Rival")
    show(page, "carol.nowhere", "Rival")
    sees(page, "Connect Rival with your account?")
    press(page, "Connect")
    says(page, "You can sign in with Rival now.")
    go_to(page, "Rival")
    says(page, "That is connected with your account already.")

    press(page, "Disconnect Rival (carol)")
    says(page, "It’s disconnected", "None is connected.")


def test_the_last_way_in_stays_until_a_password_is_set_with_a_proof_from_the_provider(
    site: Site, page: Page
) -> None:
    arrive(page, "dave")
    page.goto(CONNECTIONS)
    says(page, "Nothing else opens your account.")
    expect(page.get_by_role("button", name="Disconnect")).to_have_count(0)
    grow_stale(site)
    page.get_by_role("link", name="Set a password").click()
    sees(page, "Is it you, dave?")
    go_to(page)
    show(page, "mallory")  # who is somebody else there
    says(page, "isn’t connected with this account")
    go_to(page)
    show(page, "dave")
    sees(page, "Set a password")
    page.get_by_label("New password").fill(ANOTHER)
    press(page, "Set the new password")
    says(page, "Your new password is set.")
    page.goto(CONNECTIONS)
    press(page, "Disconnect Acme (dave@example.org)")
    says(page, "None is connected.")
    sign_out(page)
    sign_in(page, "dave", password=ANOTHER)
    sees(page, "Hello, The dave")


def test_a_provider_that_has_not_asked_anew_proves_nothing(
    others: Providers, site: Site, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(others.twisted, "person", Person("erin"))
    page.goto("/accounts/login/")
    go_to(page, "Twisted")
    sees(page, "Hello, user")
    grow_stale(site)
    page.goto("/accounts/password/set/")
    monkeypatch.setattr(others.twisted, "signed_in_at", time.time() - 3600)
    go_to(page, "Twisted")
    says(page, "Twisted didn’t ask you to sign in anew.")
    monkeypatch.setattr(others.twisted, "signed_in_at", None)
    go_to(page, "Twisted")
    sees(page, "Set a password")


def test_after_a_lockdown_a_provider_connected_lately_is_gone_and_the_other_waits_for_the_password(
    site: Site, open_page: OpenPage
) -> None:
    page = open_page(site, expect=(403,))
    arrive(page, "frank")
    for table, column in (("user", "date_joined"), ("address", "confirmed_at")):
        sql(site, f"UPDATE accounts_{table} SET {column} = ?", LONG_AGO)  # noqa: S608
    sql(site, "UPDATE accounts_identity SET connected_at = ?", LONG_AGO)
    page.goto(CONNECTIONS)
    go_to(page, "Rival")
    show(page, "mallory.nowhere", "Rival")
    press(page, "Connect")
    says(page, "You can sign in with Rival now.")

    page.goto(notice_link(site, "frank", about="with another site was connected"))
    says(page, "Rival (mallory) is disconnected: it was connected only lately.")
    press(page, "Lock the account down")
    sees(page, "The account is locked down")
    page.goto("/accounts/login/")
    go_to(page)
    says(page, "This account was locked down. Set a new password by mail")
    page.goto("/accounts/password/reset/")
    page.get_by_label("Username or email address").fill("frank")
    press(page, "Send the mail")
    read_mail(page, site, "frank", about="Set a new password")
    page.get_by_role("link", name="/accounts/password/reset/").click()
    page.get_by_label("New password").fill(ANOTHER)
    press(page, "Set the new password")
    says(page, "Your new password is set.")
    go_to(page)
    sees(page, "Hello, The frank")
    page.goto(CONNECTIONS)
    says(page, "Acme frank@example.org")
    expect(page.get_by_role("listitem").filter(has_text="Rival")).to_have_count(0)
