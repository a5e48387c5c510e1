"""The owner and the acts that the races of ``test_dispute_races`` share."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from tests.support.client import Client, Response, together
from tests.support.nodes import AT_ONCE, Nodes, server_errors
from tests.support.races import browsers, live_sessions, tabs_of, times_in_history
from tests.support.recovery_races import EMAIL, mailed, waiting
from tests.support.second_factor import CHALLENGE
from tests.support.second_factor_races import after_password, enrolled
from tests.support.steps import sql

REVIEW = "/accounts/review/"
LOST = "remove your second factors"
# The tables of the credentials, with the column that says since when they are held.
CREDENTIALS = {
    "accounts_emailaddress": "confirmed_at",
    "accounts_authenticator": "made_at",
    "accounts_recoverycodes": "made_at",
}
OWNED = "user_id = (SELECT id FROM accounts_user WHERE username = ?)"

type Act = Callable[[], Response]


def ago(**interval: float) -> str:
    return f"{datetime.now(UTC) - timedelta(**interval):%Y-%m-%d %H:%M:%S+00:00}"


@dataclass(frozen=True)
class Owner:
    """A user whose account, browser and second factor are a month old.

    ``tabs`` share the session of that browser; ``strangers`` are browsers unknown to the account.
    """

    nodes: Nodes
    name: str
    tabs: list[Client]
    strangers: list[Client]
    seed: str
    codes: list[str]

    def rows(self, table: str, which: str = "1 = 1", what: str = "user_id") -> list[str]:
        statement = f"SELECT {what} FROM {table} WHERE {OWNED} AND {which}"
        return [str(row[0]) for row in sql(self.nodes[0], statement, self.name)]

    def update(self, table: str, what: str, *values: str) -> None:
        sql(self.nodes[0], f"UPDATE {table} SET {what} WHERE {OWNED}", *values, self.name)

    def times_in_history(self, *kinds: str) -> tuple[int, ...]:
        return tuple(times_in_history(self.nodes, self.name, kind) for kind in kinds)

    def link(self, subject: str, page: str) -> str:
        return mailed(self.nodes[0], f"{self.name}@example.org", subject, rf"{page}[\w-]+/")


def owner_of(nodes: Nodes, name: str) -> Owner:
    browser, seed, codes = enrolled(nodes, name)
    owner = Owner(nodes, name, tabs_of(nodes, browser), browsers(nodes, AT_ONCE)[0], seed, codes)
    for table, since in {**CREDENTIALS, "accounts_knownbrowser": "since"}.items():
        owner.update(table, f"{since} = ?", ago(days=30))
    sql(nodes[0], "UPDATE accounts_user SET date_joined = ? WHERE username = ?", ago(days=30), name)
    return owner


def another_browser(owner: Owner) -> Client:
    """Return another signed-in browser of the owner."""
    (browser,), (token,) = after_password(owner.nodes, owner.name, 1)
    assert browser.post(CHALLENGE, {"code": owner.codes[-1]}, csrf=token).status == 302
    return browser


def added_email(nodes: Nodes, browser: Client, address: str, count: int = 1) -> dict[str, str]:
    """Add ``address`` in ``browser``; return the form fields that confirm it.

    The code comes from the last of ``count`` mails to the address.
    """
    assert browser.post(EMAIL, {"email": address}).status == 302
    code = mailed(nodes[0], address, "is your code", "[0-9]{4} [0-9]{4}", count=count)
    return {"confirm": waiting(browser, address), "code": code}


def suspended_email(owner: Owner, address: str) -> str:
    """Add, remove and suspend an email; return the id of its row in the review."""
    browser = owner.tabs[0]
    assert browser.post(EMAIL, added_email(owner.nodes, browser, address)).status == 302
    (row,) = owner.rows("accounts_emailaddress", f"email = '{address}'", "id")
    assert browser.post(EMAIL, {"remove": row}).status == 302
    owner.update("accounts_formercredential", "is_suspended = (1 = 1)")
    return owner.rows("accounts_formercredential", what="id")[0]


def request_that_is_due(owner: Owner, browser: Client, page: str, subject: str) -> str:
    """Request a recovery, end its waiting period, and return the link to object to it."""
    assert browser.post(page, {"lost": "ask"}).status == 302
    owner.update("accounts_recovery", "due_at = ?", ago(hours=1))
    return owner.link(subject, "/accounts/2fa/recovery/")


def ready(browser: Client, page: str, **fields: str) -> Act:
    """Open a page and return the act of posting its form."""
    return partial(browser.post, page, fields, csrf=browser.csrf(page))


def delayed(act: Act, within: float = 0.1) -> Act:
    """Delay an act by up to ``within`` seconds, so that it meets slower ones."""

    def wait() -> Response:
        time.sleep(random.uniform(0, within))  # noqa: S311 no secret
        return act()

    return wait


def at_once(*acts: Act) -> list[int]:
    """Send requests at the same moment and return the statuses of the answers."""
    answers = together(len(acts), lambda i: acts[i]())
    assert server_errors(answers) == []
    return [answer.status for answer in answers]


def assert_locked(owner: Owner) -> None:
    """Fail unless the account is locked, has no session and no credential from the last week."""
    state = "SELECT password, disputed_at FROM accounts_user WHERE username = ?"
    ((password, disputed_at),) = sql(owner.nodes[0], state, owner.name)
    assert password.startswith("!locked ")
    assert disputed_at, "without a dispute, a mailed link alone would open it"
    assert live_sessions(owner.nodes, owner.name) == 0
    assert not any(owner.rows(t, f"{since} > '{ago(days=7)}'") for t, since in CREDENTIALS.items())
    assert owner.rows("accounts_pendingemail") == []
