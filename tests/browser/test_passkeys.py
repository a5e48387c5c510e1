"""Passkeys in a browser that keeps them: signing up, signing in, and proving it anew."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.passkeys import (
    ADD,
    LOGIN,
    LONG_AGO,
    PASSKEYS,
    WANTED,
    add_here,
    add_passkey,
    enter,
    keep_codes,
    sign_up_by_passkey,
    turn_on_codes,
)
from tests.browser.steps import PASSWORD, member, press, says, sees, sign_in, sign_out
from tests.support.browser import OpenPage
from tests.support.second import RECOVERY_CODES
from tests.support.site import Site
from tests.support.steps import code_in, sql
from tests.support.virtual_authenticator import (
    AUTOFILL_WAITS,
    CHOSEN,
    NO_AUTOFILL,
    SECURITY_KEY,
    VirtualAuthenticator,
)


def test_signing_up_takes_no_password_and_leads_where_one_wanted_to_go(
    page: Page, site: Site
) -> None:
    page.add_init_script(NO_AUTOFILL)
    authenticator = VirtualAuthenticator(page)

    sign_up_by_passkey(page, site, "alice", next_url=WANTED.replace("?", "%3F"))
    add_here(page)
    keep_codes(page)

    expect(page).to_have_url(site.origin + WANTED)
    (kept,) = authenticator.credentials
    assert (kept["rpId"], kept["userName"]) == ("localhost", "alice")
    page.goto("/accounts/password/change/")
    sees(page, "Set a password")
    sign_out(page)
    sign_in(page, "alice")
    says(page, "not right")


def test_a_passkey_that_has_verified_its_user_is_both_steps(page: Page, site: Site) -> None:
    enter(page, site, "both")
    turn_on_codes(page)
    keep_codes(page)
    add_passkey(page)
    sign_out(page)

    page.goto(f"{LOGIN}?next={WANTED.replace('?', '%3F')}")
    page.get_by_label("Keep me signed in").check()
    press(page, "Sign in with a passkey")

    expect(page).to_have_url(site.origin + WANTED)
    says(page, "passkey")
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert cookies["sessionid"]["expires"] != -1


def test_without_keep_me_signed_in_a_passkey_signs_in_until_the_browser_closes(
    page: Page, site: Site
) -> None:
    enter(page, site, "short")
    add_passkey(page)
    sign_out(page)

    press(page, "Sign in with a passkey")

    sees(page, "Hello, short")
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert cookies["sessionid"]["expires"] == -1


def test_a_passkey_offered_among_the_names_signs_in_and_keeps_next(page: Page, site: Site) -> None:
    member(site, "offered")
    page.add_init_script(AUTOFILL_WAITS)
    VirtualAuthenticator(page)
    page.goto(LOGIN)
    sign_in(page, "offered")
    add_passkey(page)
    sign_out(page)
    page.goto(f"{LOGIN}?next={WANTED.replace('?', '%3F')}")
    page.get_by_label("Keep me signed in").check()
    assert "webauthn" in str(
        page.get_by_label("Username or email address").get_attribute("autocomplete")
    )

    page.evaluate(CHOSEN)

    expect(page).to_have_url(site.origin + WANTED)
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert cookies["sessionid"]["expires"] != -1


@pytest.mark.proof
def test_two_people_share_a_browser_and_each_passkey_opens_its_own_account(
    page: Page, site: Site
) -> None:
    page.add_init_script(NO_AUTOFILL)
    names = ("alice2", "bob2")
    kept = {}
    for name in names:
        member(site, name)
        authenticator = VirtualAuthenticator(page)
        page.goto(LOGIN)
        sign_in(page, name)
        add_passkey(page)
        sign_out(page)
        (kept[name],) = authenticator.credentials
        authenticator.unplug()

    authenticator = VirtualAuthenticator(page)
    for name in names:
        authenticator.take(kept[name])
        page.goto(LOGIN)
        press(page, "Sign in with a passkey")
        sees(page, f"Hello, {name}")
        sign_out(page)
        authenticator.forget()


def test_after_a_password_a_passkey_is_the_second_step(page: Page, site: Site) -> None:
    enter(page, site, "second")
    add_passkey(page)
    sign_out(page)

    page.goto(f"{LOGIN}?next={WANTED.replace('?', '%3F')}")
    sign_in(page, "second")
    sees(page, "Confirm it’s you")
    press(page, "Use your passkey")

    expect(page).to_have_url(site.origin + WANTED)
    says(page, "password, passkey")


def test_a_key_that_verifies_nobody_is_a_second_step_only(page: Page, site: Site) -> None:
    member(site, "touch")
    page.add_init_script(NO_AUTOFILL)
    VirtualAuthenticator(page, **SECURITY_KEY)
    page.goto(LOGIN)
    sign_in(page, "touch")
    add_passkey(page, "Key")
    sign_out(page)

    sign_in(page, "touch")
    press(page, "Use your passkey")
    sees(page, "Hello, touch")


def test_adding_one_asks_for_a_fresh_proof_which_a_passkey_is(page: Page, site: Site) -> None:
    authenticator = enter(page, site, "fresh")
    sql(site, "UPDATE accounts_loginsession SET auth_time = ?", LONG_AGO)
    page.goto(ADD)
    sees(page, "Is it you, fresh?")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Go on")
    add_here(page, "First")
    keep_codes(page)

    sql(site, "UPDATE accounts_loginsession SET factor_at = ?", LONG_AGO)
    page.goto(ADD)
    sees(page, "Is it you, fresh?")
    expect(page.get_by_label("Password")).to_have_count(0)
    press(page, "Use a passkey")
    sees(page, "Add a passkey")
    press(page, "Add a passkey")
    says(page, "This device has a passkey for your account already.")
    authenticator.unplug()
    VirtualAuthenticator(page, transport="usb")
    add_here(page, "Second")
    says(page, "The passkey was added.")
    page.goto(PASSKEYS)
    says(page, "First", "Second")


@pytest.mark.proof
def test_an_added_passkey_is_told_and_ends_every_other_sign_in(
    page: Page, site: Site, open_page: OpenPage
) -> None:
    enter(page, site, "told")
    other = open_page(site)
    other.goto(LOGIN)
    sign_in(other, "told")
    sees(other, "Hello, told")

    add_passkey(page, "Laptop")

    site.wait_for_mail(to="told@example.org", subject="passkey was added")
    other.reload()
    sees(other, "Sign in")


def test_the_recovery_codes_of_a_passkey_open_the_account_without_it(
    page: Page, site: Site
) -> None:
    page.add_init_script(NO_AUTOFILL)
    authenticator = VirtualAuthenticator(page)
    sign_up_by_passkey(page, site, "paper")
    add_here(page)
    code = keep_codes(page)
    authenticator.forget()
    sign_out(page)

    page.get_by_role("link", name="Sign in with a code by mail").click()
    page.get_by_label("Username or email address").fill("paper")
    press(page, "Send the code")
    mail = site.wait_for_mail(to="paper@example.org", subject="sign in")
    page.get_by_label("Code").fill(code_in(mail))
    press(page, "Sign in")
    sees(page, "Confirm it’s you")
    page.get_by_role("link", name="Use a recovery code").click()
    page.get_by_label("Code").fill(code)
    press(page, "Go on")

    sees(page, "Hello, paper")
    page.goto(RECOVERY_CODES)
    says(page, "9")
