"""Every page and each state of one: for everybody, on every device, in light and dark."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.looks import faults_of
from tests.browser.steps import sees
from tests.browser.walk import walk
from tests.browser.walk_factors import walk_factors
from tests.browser.walk_keys import walk_keys
from tests.support.browser import OpenPage, axe
from tests.support.site import Site

# Names of other modules come back here.
SITE = {"LIMITS_SCALE": "1"}

type Walk = Callable[[Page, Site, str], Iterator[str]]

ERRORS = (400, 401, 403, 404, 429, 500, 503)
TITLE = "{} \N{EN DASH} authsite"


@pytest.mark.parametrize("every_look", [False, pytest.param(True, marks=pytest.mark.proof)])
@pytest.mark.parametrize(
    "walked, username", [(walk, "mallory"), (walk_factors, "alice"), (walk_keys, "bob")]
)
def test_every_page_is_for_everybody_and_fits(
    site: Site, open_page: OpenPage, walked: Walk, username: str, every_look: bool
) -> None:
    page = open_page(site, expect=ERRORS)
    faults, seen = [], set()

    for title in walked(page, site, f"{username}{every_look:d}"):
        expect(page).to_have_title(TITLE.format(title))
        faults += faults_of(page, title, every_look=every_look, first=title not in seen)
        seen.add(title)

    assert faults == []


def test_the_page_of_the_api_works_under_its_policy(site: Site, page: Page) -> None:
    """Whatever the policy stops is said on the console, and fails the test."""
    answer = page.goto(f"{site.origin}/api/v1/docs/")
    assert answer
    policy = answer.headers["content-security-policy"]
    assert "unsafe-" not in policy
    assert "default-src 'none'" in policy
    call = page.locator(".opblock", has_text="/api/v1/me/").first

    call.locator("button").first.click()

    expect(call.get_by_role("button", name="Try it out")).to_be_visible()


def test_closed_sign_up_is_for_everybody_too(site: Site, open_page: OpenPage) -> None:
    with site.second(SIGNUP="closed") as node:
        page = open_page(site, expect=(403,))
        page.goto(f"http://localhost:{node.port}/accounts/signup/")
        sees(page, "Sign-up is closed")
        assert axe(page) == []
