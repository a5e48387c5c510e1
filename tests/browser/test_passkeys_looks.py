"""The pages of passkeys and each state of one: for everybody, on every device."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.looks import faults_of
from tests.browser.passkeys import (
    ADD,
    LOGIN,
    PASSKEYS,
    TRUSTED,
    WRONG,
    add_passkey,
    enter,
    keep_codes,
    problem,
)
from tests.browser.steps import press, says, sees, sign_in, sign_out
from tests.support.browser import OpenPage
from tests.support.site import Site
from tests.support.steps import link_in, sql
from tests.support.virtual_authenticator import VirtualAuthenticator

SITE = {"LIMITS_SCALE": "100", "STAFF_FACTOR": "passkey"}
GOOGLE = "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"


class _Walk:
    """Through every page; ``authenticator`` is whoever walks’s, made anew after each look."""

    def __init__(self, page: Page, site: Site, username: str) -> None:
        self.page, self.site, self.username = page, site, username
        self.authenticator = enter(page, site, username)

    def stops(self) -> Iterator[str]:
        yield from self._adding()
        yield from self._having()
        yield from self._signing_in()
        yield from self._without()

    def _adding(self) -> Iterator[str]:
        page = self.page
        page.goto(PASSKEYS)
        yield "none yet"
        page.goto(ADD)
        yield "add"
        self.authenticator.verify_user(False)
        press(page, "Add a passkey")
        problem(page)
        yield "add, cancelled"
        page.get_by_label("Name").fill("x" * 65)
        self.authenticator.verify_user(True)
        press(page, "Add a passkey")
        _is_refused(page)
        yield "add, a name too long"
        add_passkey(page, "W" * 64)
        keep_codes(page)

    def _having(self) -> Iterator[str]:
        page = self.page
        sql(self.site, "UPDATE accounts_passkey SET aaguid = ?, is_synced = 1", GOOGLE)
        page.goto(PASSKEYS)
        says(page, "Synced")
        yield "list"
        page.get_by_role("link", name="Rename or remove").click()
        yield "one"
        page.get_by_label("Name").fill("")
        press(page, "Rename")
        _is_refused(page)
        yield "one, without a name"
        page.goto("/accounts/2fa/")
        yield "all factors"
        page.goto("/accounts/reauthenticate/")
        yield "fresh proof"
        sign_out(page)

    def _signing_in(self) -> Iterator[str]:
        page = self.page
        (kept,) = self.authenticator.credentials
        page.goto(LOGIN)
        yield "sign in"
        sign_in(page, self.username)
        sees(page, "Confirm it’s you")
        yield "second step"
        self.authenticator.forget()
        press(page, "Use your passkey")
        problem(page)
        yield "second step, cancelled"
        self.authenticator.take(kept, signCount=0)
        press(page, "Use your passkey")
        says(page, WRONG)
        yield "second step, refused"
        self.authenticator.forget()
        self.authenticator.take(kept, signCount=100)
        page.get_by_label("Don’t ask in this browser").check()
        press(page, "Use your passkey")
        sees(page, f"Hello, {self.username}")
        page.goto(TRUSTED)
        says(page, "This one")
        yield "trusted browsers"
        sign_out(page)

    def _without(self) -> Iterator[str]:
        page, address = self.page, f"{self.username}-2@example.org"
        sql(self.site, "DELETE FROM accounts_passkey")
        press(page, "Sign in with a passkey")
        says(page, "doesn’t have that passkey any more")
        yield "sign in, refused"
        staff = "UPDATE accounts_user SET is_staff = 1 WHERE username_key = ?"
        sql(self.site, staff, self.username)
        sign_in(page, self.username)
        sees(page, "Add a passkey")
        yield "add, at the door"
        page.context.clear_cookies()
        page.goto("/accounts/signup/")
        page.get_by_label("Username").fill(f"{self.username}-2")
        page.get_by_label("Email address").fill(address)
        yield "sign up"
        press(page, "Sign up with a passkey")
        sees(page, "Confirm your email address")
        page.context.clear_cookies()
        page.goto(link_in(self.site.wait_for_mail(to=address)))
        sees(page, "Open it where you signed up")
        yield "the link, elsewhere"


def _is_refused(page: Page) -> None:
    """Wait until the form is back, with what is wrong in it."""
    expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("every_look", [False, pytest.param(True, marks=pytest.mark.proof)])
def test_every_page_of_passkeys_is_for_everybody_and_fits(
    site: Site, open_page: OpenPage, every_look: bool
) -> None:
    page = open_page(site, expect=(403,))
    walk = _Walk(page, site, f"alice{every_look:d}")
    faults = []

    for stop in walk.stops():
        kept = walk.authenticator.credentials
        faults += faults_of(page, stop, every_look=every_look)
        # axe leaves the debugger, and takes the authenticators with it.
        walk.authenticator = VirtualAuthenticator(page)
        for credential in kept:
            walk.authenticator.take(credential)

    assert faults == []
