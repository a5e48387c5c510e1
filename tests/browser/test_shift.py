"""A shift of a member of staff in Chromium: ten tasks with at most six inputs each."""

import re
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from tests.support.administration import REASON
from tests.support.browser import axe
from tests.support.browser_steps import administrator, become, newcomer, says
from tests.support.invitations import INVITE
from tests.support.second_factor import confirm_recovery_codes, set_up_authenticator
from tests.support.steps import WRONG, address_of, sign_in, sign_up, sql

SITE = {"SESSION_PROTECTION": "off", "LIMITS_SCALE": "1"}
MOST_INPUTS = 6
PEOPLE = ("bob.smith", "lena", "oscar", "trudy", "victor", "walter")


@dataclass
class Desk:
    """A page of the admin that counts what the member of staff types and clicks."""

    page: Page
    inputs: int = 0

    def find(self, text: str) -> None:
        """Search from the first page, whose search has the focus."""
        self.page.keyboard.type(text)
        self.press("Enter")
        self.inputs += 1

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.inputs += 1

    def click(self, role, name: str) -> None:
        self.page.get_by_role("main").get_by_role(role, name=name, exact=True).click()
        self.inputs += 1

    def act(self, name: str, *, mode: str = "") -> None:
        """Do an act with the person whose page is open."""
        act = self.page.locator("details", has_text=name)
        act.locator("summary").click()
        if mode:
            act.get_by_label("When").select_option(mode)
            self.inputs += 1
        act.get_by_label("Reason").fill(REASON)
        act.get_by_role("button", name=name).click()
        self.inputs += 3


@pytest.fixture(scope="module")
def carol(site):
    """The browser of carol, and people who need her."""
    people = {name: newcomer(site, name) for name in PEOPLE}
    sign_up(site.client(), "dora")
    set_up_authenticator(people["lena"])
    confirm_recovery_codes(people["lena"])
    for _ in range(6):
        sign_in(site.client(), "trudy", WRONG)
    sql(site, "UPDATE accounts_user SET is_active = 0 WHERE username = ?", "victor")
    sql(site, "UPDATE accounts_user SET is_staff = 1 WHERE username = ?", "walter")
    carol = administrator(site, "carol")
    carol.post(INVITE, {"email": "wrong@example.org", "days": "7"})
    return carol


@pytest.fixture
def desk(page, carol):
    become(page, carol)
    page.goto("/admin/")
    expect(page.get_by_label("Find a person")).to_be_focused()
    return Desk(page)


def find_by_a_mistyped_address(desk, site):
    desk.find("bob.smiht@")
    says(desk.page, address_of("bob.smith"), "Nothing stops bob.smith from signing in.")


def find_by_an_id_that_was_read_out(desk, site):
    desk.page.goto("/admin/accounts/dailycount/")
    [(pk,)] = sql(site, "SELECT id FROM accounts_user WHERE username = ?", "oscar")
    desk.press("/")
    desk.find(re.sub("(....)", r"\1 ", str(pk)))
    says(desk.page, address_of("oscar"))


def confirm_an_address(desk, site):
    desk.find("dora")
    desk.act("Confirm an email address")
    says(desk.page, "The address d…@example.org is confirmed.")


def help_after_a_lost_phone(desk, site):
    desk.find("lena")
    desk.act("Remove second factors", mode="wait")
    says(desk.page, "The waiting period has begun.")


def lock_a_hacked_account(desk, site):
    desk.find("oscar")
    desk.act("Lock the account")
    says(desk.page, "The account is locked", "oscar can’t sign in because the account is locked.")


def reset_the_limits(desk, site):
    desk.find("trudy")
    desk.act("Reset the limits on sign-in")
    says(desk.page, "The limits on sign-in are reset.")


def revoke_a_wrong_invitation(desk, site):
    desk.click("link", "Invitations")
    desk.click("link", "Revoke wrong@example.org")
    desk.page.get_by_role("button", name="Revoke invitation").click()
    desk.inputs += 1
    says(desk.page, "revoked")


def reactivate_a_person(desk, site):
    desk.find("victor")
    desk.act("Reactivate the account")
    says(desk.page, "The account is active again.")


def send_a_colleague_off(desk, site):
    desk.find("walter")
    desk.act("Deactivate the account")
    says(desk.page, "The account is deactivated, and everyone is signed out.")


def see_who_looked_at_bob(desk, site):
    desk.find("bob.smith")
    looked = desk.page.get_by_role("listitem").filter(has_text="opened the page")
    expect(looked.first).to_contain_text("By carol")


@pytest.mark.parametrize(
    "task",
    [
        *(find_by_a_mistyped_address, find_by_an_id_that_was_read_out, confirm_an_address),
        *(help_after_a_lost_phone, lock_a_hacked_account, reset_the_limits),
        *(revoke_a_wrong_invitation, reactivate_a_person, send_a_colleague_off),
        see_who_looked_at_bob,
    ],
)
def test_a_task_of_a_shift_takes_few_inputs(task, desk, site, tmp_path):
    task(desk, site)

    desk.page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert desk.inputs <= MOST_INPUTS
    assert axe(desk.page) == []
