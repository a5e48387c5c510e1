"""Where a passkey is required, of staff or as a factor of everybody: told in a browser.

What is decided there is in ``tests/attacks/test_passkey_door.py``.
"""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.passkeys import (
    ADD,
    PASSKEYS,
    WANTED,
    add_here,
    enter,
    keep_codes,
    leave,
    sign_up_by_passkey,
    turn_on_codes,
)
from tests.browser.steps import press, says, sees, sign_in, sign_out
from tests.support.browser import OpenPage
from tests.support.second import CHALLENGE, code_of
from tests.support.site import Site
from tests.support.steps import sql
from tests.support.virtual_authenticator import NO_AUTOFILL, VirtualAuthenticator

pytestmark = pytest.mark.proof


def test_all_must_have_a_factor_and_who_signs_up_by_passkey_adds_one_once(
    open_page: OpenPage,
) -> None:
    with Site(SECOND_FACTOR="all") as strict:
        page = open_page(strict)
        page.add_init_script(NO_AUTOFILL)
        VirtualAuthenticator(page)

        sign_up_by_passkey(page, strict, "alice", next_url=WANTED.replace("?", "%3F"))
        says(page, "before it lets you in")
        add_here(page)
        keep_codes(page)

        expect(page).to_have_url(strict.origin + WANTED)


def test_staff_who_need_a_passkey_add_one_at_the_door_and_codes_open_it_no_longer(
    open_page: OpenPage,
) -> None:
    with Site(STAFF_FACTOR="passkey") as strict:
        page = open_page(strict)
        enter(page, strict, "carol")
        seed = turn_on_codes(page)
        keep_codes(page)
        sign_out(page)
        sql(strict, "UPDATE accounts_user SET is_staff = 1, is_superuser = 1")
        sql(strict, "UPDATE accounts_authenticator SET last_t = 0")

        page.goto("/admin/")
        sign_in(page, "carol")
        sees(page, "Confirm it’s you")
        page.get_by_label("Code").fill(code_of(seed))
        press(page, "Go on")
        sees(page, "Add a passkey")
        says(page, "asks you for a passkey")
        assert page.get_by_role("link", name="authenticator app").count() == 0
        page.goto("/")
        sees(page, "Sign in")
        page.goto(ADD)
        add_here(page)
        expect(page).to_have_url(re.compile("/admin/$"))

        page.get_by_role("button", name="Sign out").click()
        sees(page, "Sign in")
        sign_in(page, "carol")
        sees(page, "Confirm it’s you")
        assert page.get_by_role("link", name="Use your authenticator app").count() == 0
        assert page.get_by_label("Don’t ask in this browser").count() == 0
        sql(strict, "UPDATE accounts_authenticator SET last_t = 0")
        page.goto(f"{CHALLENGE}?method=recovery_code")
        page.get_by_label("Code").fill(code_of(seed))
        press(page, "Go on")
        sees_no_entry(page)
        page.goto(CHALLENGE)
        press(page, "Use your passkey")
        sees(page, "Hello, carol")
        page.goto(PASSKEYS)
        page.get_by_role("link", name="Rename or remove").click()
        says(page, "Your account must have a passkey.")
        leave(page)


def sees_no_entry(page: Page) -> None:
    """Still at the door, the code refused or worth nothing."""
    expect(page.get_by_role("heading", level=1)).to_have_text(
        re.compile("Confirm it’s you|Add a passkey")
    )
    assert page.request.get("/", max_redirects=0).status == 302
