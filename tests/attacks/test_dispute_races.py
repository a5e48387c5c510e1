"""Races between locks, recoveries, objections and reviews at two server processes.

Each race lists the pairs of acts that happen at once in it: (a) a lock by link, (b) a lock in a
session, (c) a reset of a locked account, (d) a recovery request, (e) the end of its waiting period,
(f) an objection to it, (g) a second step, (h) a review, (i) a change of the account, (j) signing
out everywhere else, (k) a question to Support, (l) a decision of Support. A locked account has no
session, so c never meets b, h, i or j. ``test_session_races`` covers jj.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from tests.support.administration import LIST, REASON
from tests.support.nodes import AT_ONCE, Nodes, server_errors
from tests.support.races import (
    SESSIONS,
    WAITS,
    browsers,
    confirmed,
    live_sessions,
    page_of,
    tabs_of,
    times_in_history,
    two_staff,
)
from tests.support.recovery_races import (
    CHANGE,
    EMAIL,
    LOCKDOWN,
    NEW,
    RESET,
    mailed,
    opens,
    reset_link,
    waiting,
)
from tests.support.second_factor import CHALLENGE, SETUP, code_of, seed_on
from tests.support.second_factor_races import after_password, enrolled
from tests.support.site import Client, Response, together
from tests.support.steps import LOGIN, PASSWORD, sql

REVIEW = "/accounts/review/"
LOST = "remove your passkeys and authenticator apps"
# The tables of the credentials, with the column that says since when they are held.
CREDENTIALS = {
    "accounts_emailaddress": "confirmed_at",
    "accounts_authenticator": "made_at",
    "accounts_recoverycodes": "made_at",
}
# Lets the daily job meet a question to Support that is not committed yet, and the other way round.
# Prints whether the later one waits, and what Support is asked to decide.
ASKING = f"""{WAITS}
from threading import Thread
from django.db import transaction
from accounts.activity.services import Actor
from accounts.common.proofs import Method, Proof
from accounts.recovery import services as recovery
from accounts.recovery.models import Recovery
from accounts.users.models import User
from tests.support.steps import make_user

def ask():
    recovery.ask_support(User.objects.get(), Proof.now(Method.PASSWORD), actor=Actor())

make_user("alice")
for first, second in ((ask, recovery.prune), (recovery.prune, ask)):
    Recovery.objects.update_or_create(user=User.objects.get(), defaults={{"at_support": []}})
    thread = Thread(target=second)
    with transaction.atomic():
        first()
        thread.start()
        print(waits(thread))
    thread.join()
    print(Recovery.objects.get().shown_to_support)
    Recovery.objects.update(support_asked_at=None)
"""
OWNED = "user_id = (SELECT id FROM accounts_user WHERE username = ?)"

type Act = Callable[[], Response]


def ago(**interval):
    return f"{datetime.now(UTC) - timedelta(**interval):%Y-%m-%d %H:%M:%S+00:00}"


@dataclass(frozen=True)
class Owner:
    """A user whose account and second factor are a month old.

    ``tabs`` share the session of one browser; ``strangers`` are signed out.
    """

    nodes: Nodes
    name: str
    tabs: list[Client]
    strangers: list[Client]
    seed: str
    codes: list[str]

    def rows(self, table, which="1 = 1", what="user_id"):
        statement = f"SELECT {what} FROM {table} WHERE {OWNED} AND {which}"
        return [str(row[0]) for row in sql(self.nodes[0], statement, self.name)]

    def update(self, table, what, *values):
        sql(self.nodes[0], f"UPDATE {table} SET {what} WHERE {OWNED}", *values, self.name)

    def times_in_history(self, *kinds):
        return tuple(times_in_history(self.nodes, self.name, kind) for kind in kinds)

    def link(self, subject, page):
        return mailed(self.nodes[0], f"{self.name}@example.org", subject, rf"{page}[\w-]+/")


def owner_of(nodes, name):
    browser, seed, codes = enrolled(nodes, name)
    owner = Owner(nodes, name, tabs_of(nodes, browser), browsers(nodes, AT_ONCE)[0], seed, codes)
    for table, since in CREDENTIALS.items():
        owner.update(table, f"{since} = ?", ago(days=30))
    sql(nodes[0], "UPDATE accounts_user SET date_joined = ? WHERE username = ?", ago(days=30), name)
    return owner


def another_browser(owner):
    """Return another signed-in browser of the owner."""
    (browser,), (token,) = after_password(owner.nodes, owner.name, 1)
    assert browser.post(CHALLENGE, {"code": owner.codes[-1]}, csrf=token).status == 302
    return browser


def added_email(nodes, browser, address, count=1):
    """Add ``address`` in ``browser``; return the form fields that confirm it.

    The code comes from the last of ``count`` mails to the address.
    """
    assert browser.post(EMAIL, {"email": address}).status == 302
    code = mailed(nodes[0], address, "is your code", "[0-9]{4} [0-9]{4}", count=count)
    return {"confirm": waiting(browser, address), "code": code}


def suspended_email(owner, address):
    """Add, remove and suspend an email; return the id of its row in the review."""
    browser = owner.tabs[0]
    assert browser.post(EMAIL, added_email(owner.nodes, browser, address)).status == 302
    (row,) = owner.rows("accounts_emailaddress", f"email = '{address}'", "id")
    assert browser.post(EMAIL, {"remove": row}).status == 302
    owner.update("accounts_formercredential", "is_suspended = (1 = 1)")
    return owner.rows("accounts_formercredential", what="id")[0]


def request_that_is_due(owner, link, subject):
    """Request a recovery with a reset link and end its wait; return the link to object to it."""
    assert owner.strangers[-1].post(link, {"lost": "ask"}).status == 302
    owner.update("accounts_recovery", "warned_at = ?", ago(hours=73))
    return owner.link(subject, "/accounts/2fa/recovery/")


def ready(browser, page, **fields):
    """Open a page and return the act of posting its form."""
    return partial(browser.post, page, fields, csrf=browser.csrf(page))


def delayed(act, within=0.1):
    """Delay an act by up to ``within`` seconds, so that it meets slower ones."""

    def wait():
        time.sleep(random.uniform(0, within))  # noqa: S311 no secret
        return act()

    return wait


def at_once(*acts):
    """Send requests at the same moment and return the statuses of the answers."""
    answers = together(len(acts), lambda i: acts[i]())
    assert server_errors(answers) == []
    return [answer.status for answer in answers]


def assert_locked(owner):
    """Fail unless the account is locked, has no session and no credential from the last week."""
    state = "SELECT password, horizon FROM accounts_user WHERE username = ?"
    ((password, horizon),) = sql(owner.nodes[0], state, owner.name)
    assert password.startswith("!locked ")
    assert horizon, "without a horizon, a mailed link alone would open it"
    assert live_sessions(owner.nodes, owner.name) == 0
    assert not any(owner.rows(t, f"{since} > '{ago(days=7)}'") for t, since in CREDENTIALS.items())
    assert owner.rows("accounts_pendingemail") == []


def at_desk(owner, act, **fields):
    """Return an act for each of two superusers, who are at different nodes."""
    staff = two_staff(owner.nodes, owner.name)
    page, form = f"{page_of(owner.nodes, owner.name)}{act}/", {"reason": REASON, **fields}
    return [partial(browser.post, page, form, csrf=browser.csrf(LIST)) for browser in staff]


def asking_support(browser, name):
    """Show the password of a locked account; return the act of asking Support to decide."""
    answer = browser.post(LOGIN, {"login": name, "password": PASSWORD})
    page = browser.get(answer.location).location
    return ready(browser, page, lost="support")


def one_waiting_period_is_finished_and_objected_to(nodes, name):
    """The waiting period ends once.

    Pairs: de df dg dh dj ee ef eg eh ej ff fg fh fj gh gj hj.
    """
    owner = owner_of(nodes, name)
    row, other = suspended_email(owner, f"{name}@shared.example"), another_browser(owner)
    (half,), _ = after_password(nodes, name, 1)
    link = reset_link(nodes, name)
    objection = request_that_is_due(owner, link, LOST)

    at_once(
        *(ready(browser, link, lost="finish") for browser in owner.strangers[:2]),
        ready(owner.strangers[2], link, lost="ask"),
        *(ready(tab, objection, former=PASSWORD) for tab in owner.tabs[:3]),
        ready(half, CHALLENGE, code=code_of(owner.seed, 1)),
        ready(owner.tabs[3], REVIEW, delete=row),
        ready(other, SESSIONS, others="1"),
    )

    kinds = ("recovery_asked", "factors_recovered", "recovery_cancelled")
    asked, finished, stopped = owner.times_in_history(*kinds)
    assert asked == finished + stopped == 1
    assert len(owner.rows("accounts_authenticator")) == stopped
    assert owner.rows("accounts_recovery", "asked_at IS NOT NULL") == []
    left = len(owner.rows("accounts_formercredential", "is_suspended = (1 = 1)"))
    assert owner.times_in_history("suspended_deleted") == (1 - left,)


def asked_by_two_of_different_strength(nodes, name):
    """The request that shows more wins, whichever came first. Pairs: dd."""
    owner = owner_of(nodes, name)
    home, *thieves = owner.strangers
    assert owner.tabs[0].post(LOCKDOWN).status == 200
    link = reset_link(nodes, name)
    assert home.post(link, {"former": PASSWORD}).status == 302

    at_once(
        *(ready(thief, link, lost="ask") for thief in thieves[:4]),
        *(ready(tab, link, lost="ask") for tab in tabs_of(nodes, home, 4)),
    )

    (asked,) = owner.rows("accounts_recovery", what="asked")
    assert "password" in asked
    assert owner.times_in_history("recovery_asked")[0] in {1, 2}


def a_row_is_put_back_deleted_and_taken_by_another(nodes, name):
    """Exactly one act succeeds, and the email has one owner. Pairs: hh hi."""
    owner, bob, shared = owner_of(nodes, name), f"{name}bob", f"{name}@shared.example"
    row, other = suspended_email(owner, shared), confirmed(nodes, bob)
    fields = added_email(nodes, other, shared, count=2)

    at_once(
        *(ready(tab, REVIEW, keep=row) for tab in owner.tabs[:3]),
        *(ready(tab, REVIEW, delete=row) for tab in owner.tabs[3:6]),
        *(ready(tab, EMAIL, **fields) for tab in tabs_of(nodes, other, 2)),
    )

    put_back, deleted = owner.times_in_history("put_back", "suspended_deleted")
    assert put_back + deleted + len(owner.rows("accounts_formercredential")) == 1
    assert len(owner.rows("accounts_emailaddress", f"email = '{shared}'")) == put_back
    assert times_in_history(nodes, bob, "address_added") == 1 - put_back


def locks_while_the_account_changes(nodes, name):
    """No new credential survives the lock, and no review ends the dispute that the lock begins.

    Pairs: aa ab ah ai aj bb bh bi bj ii ij.
    """
    owner = owner_of(nodes, name)
    other = another_browser(owner)
    links = [owner.link(words, LOCKDOWN) for words in ("app was added", "code was used")]
    fields = added_email(nodes, owner.tabs[0], f"{name}@second.example")
    seed = seed_on(owner.tabs[1].get(SETUP).text)

    at_once(
        *(delayed(ready(owner.strangers[i], link)) for i, link in enumerate(links)),
        *(delayed(ready(tab, LOCKDOWN)) for tab in owner.tabs[:2]),
        ready(owner.tabs[2], EMAIL, **fields),
        ready(owner.tabs[3], SETUP, code=code_of(seed)),
        ready(owner.tabs[4], CHANGE, password1=NEW),
        *(ready(tab, REVIEW, done="1") for tab in owner.tabs[5:7]),
        ready(owner.tabs[7], EMAIL, again=fields["confirm"]),
        ready(other, SESSIONS, others="1"),
    )

    # Of the two links to one mailbox, one locks; each of the two tabs may have begun to lock, too.
    assert owner.times_in_history("locked_down")[0] in {1, 2, 3}
    assert_locked(owner)
    assert len(owner.rows("accounts_authenticator")) == 1


def a_lock_while_lost_factors_are_removed(nodes, name):
    """Every request ends once.

    Pairs: ad ae af ag bd be bf bg de df dg di ei fi gg gi.
    """
    owner = owner_of(nodes, name)
    half, _ = after_password(nodes, name, 2)
    lock, link = owner.link("app was added", LOCKDOWN), reset_link(nodes, name)
    objection = request_that_is_due(owner, link, LOST)
    fields = added_email(nodes, owner.tabs[0], f"{name}@second.example")

    at_once(
        delayed(ready(owner.strangers[0], lock)),
        delayed(ready(owner.tabs[0], LOCKDOWN)),
        ready(owner.tabs[1], EMAIL, **fields),
        ready(owner.tabs[2], objection, former=PASSWORD),
        ready(owner.strangers[1], link, lost="ask"),
        ready(owner.strangers[2], link, lost="finish"),
        ready(half[0], CHALLENGE, code=owner.codes[0]),
        ready(half[1], CHALLENGE, code=code_of(owner.seed, 1)),
    )

    assert_locked(owner)
    kinds = ("recovery_asked", "recovery_cancelled", "factors_recovered")
    requests, stopped, finished = owner.times_in_history(*kinds)
    assert finished + stopped <= requests
    assert len(owner.rows("accounts_authenticator")) == 1 - finished


def resets_that_have_waited_and_objections(nodes, name):
    """Either one password is set or the request is stopped. Pairs: cc cd cf df."""
    owner = owner_of(nodes, name)
    assert owner.tabs[0].post(LOCKDOWN).status == 200
    link, thieves = reset_link(nodes, name), owner.strangers
    objection = request_that_is_due(owner, link, "unlock your account")

    at_once(
        *(ready(thieves[i], link, password1=NEW.format(i)) for i in range(4)),
        *(delayed(ready(tab, objection, former=PASSWORD)) for tab in owner.tabs[:2]),
        *(ready(browser, link, lost="ask") for browser in thieves[4:6]),
    )

    kinds = ("recovery_asked", "recovery_cancelled", "password_reset")
    requests, stopped, reset = owner.times_in_history(*kinds)
    assert 0 <= stopped <= requests
    assert reset == (0 if stopped else 1)
    assert sum(opens(nodes, name, NEW.format(i)) for i in range(4)) == reset


def locks_and_requests_during_resets(nodes, name):
    """At most one password is set, and the lock disables it. Pairs: ac cc cd ce cg."""
    owner = owner_of(nodes, name)
    home = owner.strangers
    another_browser(owner)
    locks = [owner.link(words, LOCKDOWN) for words in ("app was added", "code was used")]
    assert owner.tabs[0].post(LOCKDOWN).status == 200
    link = reset_link(nodes, name)
    request_that_is_due(owner, link, "unlock your account")

    at_once(
        *(delayed(ready(home[i], lock), 0.25) for i, lock in enumerate(locks)),
        *(ready(browser, link, password1=NEW) for browser in home[2:4]),
        ready(home[4], link, password1=NEW, lost="on"),
        *(ready(browser, link, lost="ask") for browser in home[5:7]),
        ready(home[7], link, code=owner.codes[0]),
    )

    assert owner.times_in_history("locked_down") == (2,), "a mailbox locks alone once"
    assert_locked(owner)
    reset, finished = owner.times_in_history("password_reset", "factors_recovered")
    assert finished <= reset <= 1
    assert len(owner.rows("accounts_authenticator")) == 1 - finished


def decisions_of_support_while_the_wait_is_finished(nodes, name):
    """Either the wait ends or Support decides, once. Pairs: dl ee el fl ll."""
    owner = owner_of(nodes, name)
    link = reset_link(nodes, name)
    objection = request_that_is_due(owner, link, LOST)

    at_once(
        *at_desk(owner, "decide", target=f"{name}@example.org"),
        *(ready(browser, link, lost="finish") for browser in owner.strangers[:2]),
        ready(owner.strangers[2], link, lost="ask"),
        delayed(ready(owner.tabs[0], objection, former=PASSWORD)),
    )

    kinds = ("factors_recovered", "support_decided", "recovery_cancelled")
    finished, decided, stopped = owner.times_in_history(*kinds)
    assert finished + decided + stopped == 1
    assert len(owner.rows("accounts_authenticator")) == 1 - finished
    assert owner.rows("accounts_recovery", "asked_at IS NOT NULL") == []


def questions_to_support_while_its_decision_is_used(nodes, name):
    """One password is set, and no case is left or lost. Pairs: ck cl kk kl."""
    owner = owner_of(nodes, name)
    assert owner.tabs[0].post(LOCKDOWN).status == 200
    mailbox, (first, second, *guests) = reset_link(nodes, name), owner.strangers
    ask = [asking_support(browser, name) for browser in (first, second)]
    assert ask[0]().status == 302
    assert at_desk(owner, "decide", target=f"{name}@example.org")[0]().status == 302
    decision = mailed(nodes[0], f"{name}@", "Set a new password", rf"{RESET}[\w-]+/", count=2)

    at_once(
        *(ready(guests[i], decision, password1=NEW.format(i)) for i in range(3)),
        *(delayed(ready(guest, mailbox, lost="support")) for guest in guests[3:5]),
        delayed(ask[1]),
    )

    assert sum(opens(nodes, name, NEW.format(i)) for i in range(3)) == 1
    assert owner.times_in_history("password_reset", "support_decided") == (1, 1)
    assert owner.rows("accounts_recovery", what="at_support") == ["[]"]


RACES = [
    one_waiting_period_is_finished_and_objected_to,
    asked_by_two_of_different_strength,
    a_row_is_put_back_deleted_and_taken_by_another,
    locks_while_the_account_changes,
    a_lock_while_lost_factors_are_removed,
    resets_that_have_waited_and_objections,
    locks_and_requests_during_resets,
    decisions_of_support_while_the_wait_is_finished,
    questions_to_support_while_its_decision_is_used,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_dispute_races_at_two_processes_have_one_outcome(nodes, race):
    """Withstands a race: locks, resets, requests, objections and decisions."""
    race(nodes, race.__name__.replace("_", "")[-18:])


def test_the_daily_job_does_not_delete_a_question_to_support_that_is_being_asked(on_postgresql):
    assert on_postgresql(ASKING) == ["True", "[['password']]"] * 2
