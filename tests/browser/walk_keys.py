"""The walk through every page of API keys and each state of one."""

from collections.abc import Iterator

from playwright.sync_api import Page, expect

from tests.browser.steps import LONG_AGO, member, press, says, sees, sign_in
from tests.support.site import Site
from tests.support.steps import sql

KEYS = "/accounts/keys/"
LONG_NAME = "W" * 60
MANY = """
    WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
    INSERT INTO accounts_apikey
        (id, user_id, digest, name, scope, made_at, expires_at, used_at, address)
    SELECT printf('%016d', i), id, '', ?, ?, ?, iif(i % 2, ?, NULL), iif(i % 3, ?, NULL), ?
    FROM n, accounts_user WHERE username = ?
"""
EVERYTHING = "activity:read profile:read profile:write sessions:read sessions:write"


def walk_keys(page: Page, site: Site, username: str) -> Iterator[str]:
    """Stop at each page and each state of one, and say what title it has."""
    sql(site, "DELETE FROM accounts_budget")
    member(site, username)
    page.goto("/")
    sign_in(page, username)
    yield from making_the_first(page)
    yield from having_many(page, site, username)
    yield from being_asked_who_it_is(page, site)


def making_the_first(page: Page) -> Iterator[str]:
    page.get_by_role("main").get_by_role("link", name="API keys").click()
    says(page, "None yet.")
    yield "API keys"
    page.get_by_role("link", name="Make a key").click()
    sees(page, "Make an API key")
    yield "Make an API key"
    press(page, "Make the key")
    yield "Error: Make an API key"
    page.get_by_label("Name").fill(LONG_NAME)
    for area in ("Profile", "Sign-ins"):
        page.get_by_label(area).select_option("See and change")
    page.get_by_label("Expires").select_option("never")
    press(page, "Make the key")
    sees(page, "Your new key")
    key = page.locator("#key").inner_text()
    yield "Your new key"
    page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: "
        "async text => { window.copied = text }}})"
    )
    press(page, "Copy")
    says(page, "Copied.")
    assert page.evaluate("copied") == key
    page.get_by_role("link", name="I’ve kept it").click()
    says(page, LONG_NAME, "Never expires", "Not used yet")
    assert key[25:] not in page.content()
    yield "API keys"


def having_many(page: Page, site: Site, username: str) -> Iterator[str]:
    """Old and new, used and not, over and not: as many as there can be."""
    facts = (LONG_NAME, EVERYTHING, *[LONG_AGO] * 3, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")
    sql(site, MANY, *facts, username)
    page.reload()
    says(page, "Not used lately", "Expired", "Last used:")
    expect(page.get_by_role("link", name="Make a key")).to_have_count(0)
    yield "API keys"
    page.goto(f"{KEYS}new/")
    page.get_by_label("Name").fill("one more")
    page.get_by_label("Profile").select_option("See")
    press(page, "Make the key")
    says(page, "You have as many keys as there can be.")
    yield "Error: Make an API key"
    page.goto("/accounts/password/change/")
    says(page, "Your 50 API keys stay good.")
    yield "Change your password"
    page.goto("/accounts/lockdown/")
    says(page, "All 50 API keys stop working.")
    yield "Lock the account down"
    page.goto(KEYS)
    press_first(page, "Remove")
    says(page, "The key was removed.")
    yield "API keys"


def press_first(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name).first.click()


def being_asked_who_it_is(page: Page, site: Site) -> Iterator[str]:
    sql(site, "UPDATE accounts_loginsession SET auth_time = ?", LONG_AGO)
    page.get_by_role("link", name="Make a key").click()
    says(page, "Is it you")
    yield "Is it you?"
