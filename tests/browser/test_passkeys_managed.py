"""The pages of passkeys and of trusted browsers, and what the keeper of passkeys is told."""

import base64
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.passkeys import (
    PASSKEYS,
    add_here,
    add_passkey,
    enter,
    keep_codes,
    sign_up_by_passkey,
)
from tests.browser.steps import PASSWORD, press, says, sees, sign_in, sign_out
from tests.support.site import Site
from tests.support.steps import sql
from tests.support.virtual_authenticator import (
    NO_AUTOFILL,
    SIGNALS,
    TOLD,
    VirtualAuthenticator,
    url_safe,
)

GOOGLE = "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"


def told(page: Page) -> dict[str, Any]:
    """What the page has told the keeper, by the name of the call."""
    page.wait_for_function(f"{TOLD}.length")
    return dict(page.evaluate(TOLD))


def open_only_passkey(page: Page) -> None:
    page.goto(PASSKEYS)
    page.get_by_role("link", name="Rename or remove").click()
    expect(page.get_by_role("heading", name="Remove this passkey")).to_be_visible()


def test_the_page_names_keeper_and_dates_and_the_browser_hears_which_are_good(
    page: Page, site: Site
) -> None:
    page.add_init_script(SIGNALS)
    authenticator = enter(page, site, "alice")
    add_passkey(page, "Laptop")
    sql(site, "UPDATE accounts_passkey SET aaguid = ?, is_synced = 1", GOOGLE)

    page.goto(PASSKEYS)

    says(page, "Laptop", "Synced", "Google Password Manager", "Added:", "Not used yet")
    (kept,) = authenticator.credentials
    user_id = url_safe(kept["userHandle"])
    assert told(page) == {
        "signalAllAcceptedCredentials": {
            "rpId": "localhost",
            "userId": user_id,
            "allAcceptedCredentialIds": [url_safe(kept["credentialId"])],
        },
        "signalCurrentUserDetails": {
            "rpId": "localhost",
            "userId": user_id,
            "name": "alice",
            "displayName": "alice",
        },
    }
    assert len(base64.urlsafe_b64decode(user_id + "==")) == 16
    sign_out(page)
    press(page, "Sign in with a passkey")
    sees(page, "Hello, alice")
    page.goto(PASSKEYS)
    says(page, "Last used:")


def test_a_new_name_of_the_person_reaches_the_keeper(page: Page, site: Site) -> None:
    page.add_init_script(SIGNALS)
    enter(page, site, "bob")
    add_passkey(page)
    page.goto("/accounts/profile/")
    page.get_by_label("Display name").fill("Bob <the> Builder")
    press(page, "Save")
    says(page, "saved")

    page.goto(PASSKEYS)

    details = told(page)["signalCurrentUserDetails"]
    assert (details["name"], details["displayName"]) == ("bob", "Bob <the> Builder")


def test_a_passkey_is_renamed(page: Page, site: Site) -> None:
    enter(page, site, "rename")
    add_passkey(page, "Laptop")
    open_only_passkey(page)

    page.get_by_label("Name").fill("<b>Work</b> laptop")
    press(page, "Rename")

    says(page, "Renamed.", "<b>Work</b> laptop")


def test_removing_says_what_it_does_and_the_browser_hears_that_none_is_good(
    page: Page, site: Site
) -> None:
    page.add_init_script(SIGNALS)
    enter(page, site, "remove")
    add_passkey(page)
    open_only_passkey(page)
    says(page, "It is your last one", "your password alone opens the account")

    press(page, "Remove this passkey")

    says(page, "Removed.", "None yet.")
    assert told(page)["signalAllAcceptedCredentials"]["allAcceptedCredentialIds"] == []
    site.wait_for_mail(to="remove@example.org", subject="passkey was removed")
    sign_out(page)
    press(page, "Sign in with a passkey")
    says(page, "This site doesn’t have that passkey any more.")
    sign_in(page, "remove")
    sees(page, "Hello, remove")


def test_the_last_way_in_stays_until_there_is_a_password(page: Page, site: Site) -> None:
    page.add_init_script(NO_AUTOFILL)
    VirtualAuthenticator(page)
    sign_up_by_passkey(page, site, "last")
    add_here(page)
    keep_codes(page)

    open_only_passkey(page)
    says(page, "It is your only way in, apart from your mailbox. Set a password first.")
    assert page.get_by_role("button", name="Remove this passkey").count() == 0

    page.goto("/accounts/password/change/")
    page.get_by_label("New password").fill(PASSWORD)
    press(page, "Set the new password")
    sees(page, "Hello, last")
    open_only_passkey(page)
    press(page, "Remove this passkey")
    says(page, "Removed.")


def test_keepers_find_where_passkeys_are_added_and_managed(page: Page, site: Site) -> None:
    found = page.request.get("/.well-known/passkey-endpoints")

    assert found.headers["content-type"] == "application/json"
    assert found.json() == {
        "enroll": f"{site.origin}/accounts/2fa/passkeys/add/",
        "manage": f"{site.origin}/accounts/2fa/passkeys/",
    }
    page.goto(found.json()["enroll"])
    sees(page, "Sign in")
