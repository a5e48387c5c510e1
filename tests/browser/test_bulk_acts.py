"""A bulk act in a browser."""

import uuid

from playwright.sync_api import expect

from accounts.administration.bulk import BATCH
from tests.support.administration import LIST, REASON
from tests.support.browser_steps import administrator, become, newcomer
from tests.support.steps import sql

SITE = {"SESSION_PROTECTION": "off"}


def copies(site, username, number):
    """Create accounts that differ from ``username`` only by their names."""
    [(pk, *row)] = sql(site, "SELECT id, * FROM accounts_user WHERE username = ?", username)
    insert = f"INSERT INTO accounts_user VALUES ({', '.join('?' * len(row))})"
    for n in range(number):
        own = {pk: uuid.uuid4().hex, username: f"{username}{n}"}
        sql(site, insert, *(own.get(value, value) for value in row))


def test_a_bulk_act_goes_on_by_itself_until_nobody_is_left(site, page):
    carol = administrator(site, "carol")
    newcomer(site, "alice")
    copies(site, "alice", 2 * BATCH)
    become(page, carol)

    page.goto(f"{LIST}?q=alice")
    page.locator("#action-toggle").check()
    page.get_by_text(f"Select all {2 * BATCH + 1} people").click()
    page.get_by_role("combobox").select_option("Deactivate the accounts")
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Deactivate the accounts").click()

    done = f"{2 * BATCH + 1} accounts deactivated"
    expect(page.get_by_role("main")).to_contain_text(done)
    active = "SELECT COUNT(*) FROM accounts_user WHERE is_active AND username LIKE ?"
    assert sql(site, active, "alice%") == [(0,)]
