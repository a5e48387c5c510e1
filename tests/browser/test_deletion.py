"""A person deletes an account in Chromium, and keeps it."""

from tests.support.browser import axe
from tests.support.browser_steps import arrive, link_for, press, says, sees, sign_in, type_code
from tests.support.second_factor import SETUP, code_of, seed_on
from tests.support.standards import proves

UNDO = "/accounts/delete/undo/"


def delete(page, username):
    page.goto("/accounts/profile/")
    page.get_by_role("link", name="Delete your account").click()
    sees(page, f"Delete the account {username}?")
    page.get_by_label("Type your username to confirm").fill(username)
    press(page, "Delete your account")
    sees(page, "Your account will be deleted")
    assert axe(page) == []
    page.goto("/")
    sees(page, "Sign in")


@proves("WCAG-3.3.4")
def test_a_person_deletes_the_account_and_keeps_it_by_a_sign_in_and_by_the_link(page, site):
    arrive(page, site, "alice")
    page.goto(SETUP)
    seed = seed_on(page.content())
    type_code(page, code_of(seed), "Turn on two-step verification")
    sees(page, "Save your recovery codes")
    delete(page, "alice")

    sign_in(page, "alice")
    type_code(page, code_of(seed, 1))
    sees(page, "Keep your account?")
    press(page, "Keep my account")
    says(page, "Your account will not be deleted.")
    delete(page, "alice")

    page.goto(link_for(site, "alice", "will be deleted", UNDO, count=2))
    sees(page, "Keep your account?")
    assert axe(page) == []
    press(page, "Keep my account")
    sees(page, "Your account will not be deleted")
    assert axe(page) == []
    page.get_by_role("link", name="Lock your account").click()
    sees(page, "Lock the account alice?")
