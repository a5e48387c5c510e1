"""A superuser takes superuser rights in Chromium, with its virtual authenticator."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import press, promote, says, sees
from tests.browser.test_passkeys import add_passkey, enter
from tests.support.browser import MOBILE, OpenPage, axe
from tests.support.site import CHEAP_HASHES, Site

TAKE = "Take superuser rights"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site(ADMIN_ELEVATION="on", **CHEAP_HASHES) as running:
        yield running


def at_the_admin(page: Page, site: Site, username: str) -> None:
    """Open the admin as a superuser with a passkey."""
    enter(page, site, username)
    add_passkey(page)
    promote(site, username)
    page.goto("/admin/")
    expect(page.get_by_role("heading", name="Site administration")).to_be_visible()


def faults(page: Page) -> list[str]:
    """Return what axe finds on a dark phone and on a wide light screen."""
    found = axe(page)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.reload()  # otherwise the colours of the admin change gradually
    found += axe(page)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(MOBILE["viewport"])
    return found


def test_a_superuser_takes_superuser_rights_and_gives_them_up(
    site: Site, open_page: OpenPage
) -> None:
    page = open_page(site, **MOBILE, color_scheme="dark")
    at_the_admin(page, site, "carol")

    page.get_by_role("link", name=TAKE).click()
    sees(page, TAKE)
    page.get_by_label("Reason").fill("New groups, ticket 4812")
    press(page, TAKE)
    says(page, "You have superuser rights for 30 minutes.")
    header = page.locator("#user-tools")
    expect(header).to_contain_text("Superuser for 30 more minutes")
    # From here on, no passkey is used: axe ends the virtual authenticator.
    assert faults(page) == []
    header.get_by_role("button", name="Give up").click()
    says(page, "You work as a manager again.")
    header.get_by_role("link", name=TAKE).click()
    sees(page, TAKE)
    assert faults(page) == []
