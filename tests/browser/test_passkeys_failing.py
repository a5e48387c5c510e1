"""Passkeys that don't work: forgotten, refused, copied, too late, elsewhere."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.passkeys import (
    ADD,
    CANCELLED,
    LOGIN,
    WRONG,
    add_here,
    add_passkey,
    enter,
    problem,
)
from tests.browser.steps import press, says, sees, sign_in, sign_out
from tests.support.browser import OpenPage
from tests.support.site import Site
from tests.support.steps import sql
from tests.support.virtual_authenticator import (
    NO_AUTOFILL,
    SIGNALS,
    TOLD,
    VirtualAuthenticator,
    url_safe,
)

BUTTON = "Sign in with a passkey"
# What a browser would have sent, kept for the test to send.
HOLD = """
HTMLFormElement.prototype.submit = function() {
    window.held = Object.fromEntries(new FormData(this))
}
"""
NO_VERIFICATION = """
const get = navigator.credentials.get.bind(navigator.credentials)
navigator.credentials.get = options => {
    options.publicKey.userVerification = "discouraged"
    return get(options)
}
"""


def with_passkey(page: Page, site: Site, username: str) -> VirtualAuthenticator:
    """Signed out again, at the sign-in page."""
    authenticator = enter(page, site, username)
    add_passkey(page)
    sign_out(page)
    return authenticator


def test_a_passkey_that_the_site_has_forgotten_is_told_to_its_keeper(
    page: Page, site: Site
) -> None:
    page.add_init_script(SIGNALS)
    authenticator = with_passkey(page, site, "forgotten")
    (kept,) = authenticator.credentials
    sql(site, "DELETE FROM accounts_passkey")
    page.goto(f"{LOGIN}?next=/help/")

    press(page, BUTTON)

    says(page, "This site doesn’t have that passkey any more.")
    expect(page).to_have_title("Error: Sign in \N{EN DASH} authsite")
    page.wait_for_function(f"{TOLD}.length")
    assert page.evaluate(TOLD) == [
        [
            "signalUnknownCredential",
            {"rpId": "localhost", "credentialId": url_safe(kept["credentialId"])},
        ]
    ]
    # The page of the refusal takes a password as any sign-in page does.
    sql(site, "DELETE FROM accounts_recoverycodes")
    sign_in(page, "forgotten")
    expect(page).to_have_url(f"{site.origin}/help/")


def test_a_finger_that_is_wrong_leaves_a_message_and_every_other_way(
    page: Page, site: Site
) -> None:
    authenticator = with_passkey(page, site, "finger")
    authenticator.verify_user(False)
    page.get_by_label("Username or email address").fill("finger")

    press(page, BUTTON)

    assert problem(page) == CANCELLED
    expect(page.get_by_role("status").last).to_have_text(CANCELLED)
    assert page.get_by_label("Username or email address").input_value() == "finger"
    authenticator.verify_user(True)
    press(page, BUTTON)
    sees(page, "Hello, finger")


def test_a_cancelled_second_step_leaves_a_message_and_another_way(page: Page, site: Site) -> None:
    authenticator = with_passkey(page, site, "cancel")
    authenticator.forget()
    sign_in(page, "cancel")
    sees(page, "Confirm it’s you")

    press(page, "Use your passkey")

    assert problem(page) == CANCELLED
    page.get_by_role("link", name="Get a code by mail").click()
    says(page, "We can mail a code")


def test_a_cancelled_new_passkey_leaves_a_message_and_adds_none(page: Page, site: Site) -> None:
    authenticator = enter(page, site, "adds")
    authenticator.unplug()
    VirtualAuthenticator(page, isUserVerified=False)
    page.goto(ADD)
    page.get_by_label("Name").fill("Laptop")

    press(page, "Add a passkey")

    assert problem(page) == CANCELLED
    assert page.get_by_label("Name").input_value() == "Laptop"
    page.get_by_role("link", name="Cancel").click()
    says(page, "None yet.")


@pytest.mark.proof
def test_what_nobody_has_verified_signs_nobody_in_but_is_a_second_step(
    page: Page, site: Site
) -> None:
    page.add_init_script(NO_VERIFICATION)
    with_passkey(page, site, "unverified")

    press(page, BUTTON)

    says(page, WRONG)
    sign_in(page, "unverified")
    press(page, "Use your passkey")
    sees(page, "Hello, unverified")


@pytest.mark.proof
def test_what_a_passkey_has_signed_signs_in_once(
    page: Page, site: Site, open_page: OpenPage
) -> None:
    with_passkey(page, site, "once")
    page.add_init_script(HOLD)
    page.goto(LOGIN)
    press(page, BUTTON)
    page.wait_for_function("window.held")
    held = page.evaluate("window.held")

    def send(browser: Page) -> Any:
        browser.goto(LOGIN)
        token = browser.locator("[name=csrfmiddlewaretoken]").first.input_value()
        form = held | {"csrfmiddlewaretoken": token}
        return browser.request.post("/accounts/login/passkey/", form=form, max_redirects=0)

    first = open_page(site)
    assert send(first).status == 302
    again = send(open_page(site))

    assert again.status == 200
    assert WRONG in again.text()
    # A form sent twice is nothing to alarm its owner with.
    first.goto("/accounts/activity/")
    says(first, "A sign-in failed")
    expect(first.get_by_text("may have been copied")).to_have_count(0)


@pytest.mark.proof
def test_of_an_original_and_its_copy_the_one_that_counts_behind_is_refused_and_told(
    page: Page, site: Site, open_page: OpenPage
) -> None:
    authenticator = with_passkey(page, site, "copied")
    (stolen,) = authenticator.credentials
    press(page, BUTTON)
    sees(page, "Hello, copied")
    mallory = open_page(site)
    mallory.add_init_script(NO_AUTOFILL)
    VirtualAuthenticator(mallory).take(stolen, signCount=0)
    mallory.goto(LOGIN)

    press(mallory, BUTTON)

    says(mallory, WRONG)
    site.wait_for_mail(to="copied@example.org", subject="passkey was refused")


def test_at_another_origin_the_page_stands_and_what_is_signed_there_is_worth_nothing(
    page: Page, site: Site
) -> None:
    with_passkey(page, site, "elsewhere")

    page.goto(f"http://127.0.0.1:{site.port}{LOGIN}")
    press(page, BUTTON)
    assert problem(page) == CANCELLED

    with site.second() as node:
        page.goto(f"http://localhost:{node.port}{LOGIN}")
        press(page, BUTTON)
        says(page, WRONG)


def test_where_autofill_fails_unasked_nothing_is_said(page: Page, site: Site) -> None:
    VirtualAuthenticator(page)
    page.goto(f"http://127.0.0.1:{site.port}{LOGIN}", wait_until="networkidle")

    expect(page.get_by_role("button", name=BUTTON)).to_be_visible()
    expect(page.locator("[data-problem]")).to_be_hidden()


@pytest.mark.parametrize(
    "path", [LOGIN, pytest.param("/accounts/login/passkey/", marks=pytest.mark.proof)]
)
def test_a_page_left_open_for_too_long_is_renewed_by_its_button(
    page: Page, site: Site, path: str
) -> None:
    name = f"late{len(path)}"
    authenticator = with_passkey(page, site, name)
    (kept,) = authenticator.credentials
    page.goto(f"{LOGIN}?next=/help/")
    if path != LOGIN:
        # The page of a refusal is the answer to a POST.
        authenticator.forget()
        authenticator.take(kept, signCount=0)
        press(page, BUTTON)
        says(page, WRONG)
        authenticator.forget()
        authenticator.take(kept, signCount=100)
    # The page's own clock, five minutes on: real ones would be long.
    page.evaluate("{ const now = Date.now; Date.now = () => now() + 301_000 }")

    with page.expect_request(lambda request: request.method == "GET" and "/login/" in request.url):
        press(page, BUTTON)

    expect(page).to_have_url(f"{site.origin}/help/")


def test_a_name_that_was_typed_outlives_the_renewal(page: Page, site: Site) -> None:
    enter(page, site, "typed")
    page.goto(ADD)
    page.evaluate("{ const now = Date.now; Date.now = () => now() + 301_000 }")

    add_here(page, "Laptop")

    says(page, "The passkey was added.")
    page.goto("/accounts/2fa/passkeys/")
    says(page, "Laptop")
