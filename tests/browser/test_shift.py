"""A shift of a member of staff in Chromium: ten tasks with at most six inputs each."""

import re
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from tests.support.administration import LIST, REASON
from tests.support.browser_steps import administrator, become, newcomer, says
from tests.support.invitations import INVITE
from tests.support.second_factor import confirm_recovery_codes, set_up_authenticator
from tests.support.standards import proves
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


def revoke_a_wrong_invitation(desk, site):
    desk.click("link", "Invitations")
    desk.click("link", "Revoke wrong@example.org")
    desk.page.get_by_role("button", name="Revoke invitation").click()
    desk.inputs += 1
    says(desk.page, "revoked")


def see_who_looked_at_bob(desk, site):
    desk.find("bob.smith")
    looked = desk.page.get_by_role("listitem").filter(has_text="opened the page")
    expect(looked.first).to_contain_text("By carol")


def acting_on(name, act, *said, mode=""):
    """Return the task to find a person and to do an act, which the page then confirms."""

    def task(desk, site):
        desk.find(name)
        desk.act(act, mode=mode)
        says(desk.page, *said)

    return task


LOCKED = ("The account is locked", "oscar can’t sign in because the account is locked.")
LEFT = "The account is deactivated, and everyone is signed out."
TASKS = {
    "a mistyped address": find_by_a_mistyped_address,
    "an ID that was read out": find_by_an_id_that_was_read_out,
    "an address that nobody confirms": acting_on(
        "dora", "Confirm an email address", "The address d…@example.org is confirmed."
    ),
    "a lost phone": acting_on(
        "lena", "Remove second factors", "The waiting period has begun.", mode="wait"
    ),
    "a hacked account": acting_on("oscar", "Lock the account", *LOCKED),
    "limits": acting_on("trudy", "Reset the limits on sign-in", "The limits on sign-in are reset."),
    "a wrong invitation": revoke_a_wrong_invitation,
    "a return": acting_on("victor", "Reactivate the account", "The account is active again."),
    "a departure": acting_on("walter", "Deactivate the account", LEFT),
    "who looked at bob": see_who_looked_at_bob,
}


@proves("WCAG-2.1.4")
def test_the_key_that_leads_to_the_search_can_be_switched_off(desk):
    desk.page.get_by_label("On every page").uncheck()
    desk.page.goto("/admin/accounts/dailycount/")
    desk.press("/")
    expect(desk.page.get_by_label("Find a person")).not_to_be_focused()


@proves("WCAG-1.4.10")
def test_with_large_text_no_page_scrolls_sideways_on_a_phone(desk):
    desk.page.set_viewport_size({"width": 390, "height": 844})
    for path in ("/admin/", f"{LIST}?q=example.org"):
        desk.page.goto(path)
        # 200 % of the usual size (WCAG 1.4.4).
        desk.page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert desk.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


@pytest.mark.parametrize("task", TASKS)
def test_a_task_of_a_shift_takes_few_inputs(task, desk, site):
    TASKS[task](desk, site)

    assert desk.inputs <= MOST_INPUTS
