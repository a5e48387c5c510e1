"""Timing must not reveal who has an account: equal statements, and medians within 5 ms."""

import re
import statistics
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from accounts.passwords.hashers import Argon2id
from accounts.users.models import User
from tests.support.second_factor import enrolled
from tests.support.site import Site
from tests.support.steps import (
    LOGIN,
    WRONG,
    WRONG_CODE,
    make_user,
    member,
    outbox,
    sign_up,
    sql,
    without_nonces,
)

PAIRS = 200
MOST_MS = 5.0

RESET = "/accounts/password/reset/"
BY_CODE = "/accounts/login/code/"
# PASSWORD, hashed by another framework with an algorithm that the site does not have.
BCRYPT = "$2b$04$abcdefghijklmnopqrstuuQBrjlCaBn2yLxUb.HgBE0Q8Ut8M1Iy6"
OTHERS = {"unknown": "nobody", "no password": "bob", "pending": "mallory"}


@pytest.fixture
def people(db):
    """Alice, who has a second factor, and accounts that answers must not distinguish from hers."""
    enrolled(make_user("alice"))
    make_user("bob", password=None)
    make_user("mallory", is_active=False)
    sign_up(Browser(), "pending")
    return ["alice", "bob", "mallory", "pending", "nobody"]


def work_and_answer(browser, page, data):
    """Return the SQL statements of a request and its answer without the parts that vary."""
    with CaptureQueriesContext(connection) as queries:
        answer = browser.post(page, data)
    assert answer.status_code in {200, 302}
    values = r"'[^']*'|\bs\d+_x\d+\b|\b\d+\b|\b[0-9a-f]{32}\b|\bNULL\b"
    # ``IS NULL``, if there is no user, uses the same index as ``= id``.
    statements = [
        re.sub(values, "?", query["sql"]).replace("IS ?", "= ?")
        for query in queries.captured_queries
    ]
    text = without_nonces(answer.text).replace(data.get("login", ""), "")
    return statements, (answer.status_code, answer.headers.keys(), answer.cookies.keys(), text)


@pytest.mark.parametrize("address", ["{}", "{}@example.org"], ids=["name", "address"])
@pytest.mark.parametrize("page", [RESET, BY_CODE])
def test_requesting_a_mail_answers_and_costs_the_same_for_known_and_unknown_accounts(
    people, page, address
):
    costs, before, shown = [], len(outbox()), set()
    for name in people:
        browser = Browser()
        browser.get(page)
        login = address.format(name)
        costs.append(work_and_answer(browser, page, {"login": login}))
        shown.add(without_nonces(browser.get(page).text).replace(login, ""))

    assert costs == [costs[0]] * len(people)
    assert len(shown) == 1
    assert any("accounts_outgoingmail" in statement for statement in costs[0][0])
    mailed = [mail.to for mail in outbox()[before:]]
    assert mailed == ["alice@example.org", "bob@example.org", "", "", ""]


@pytest.mark.production_hashes
@pytest.mark.parametrize("address", ["{}", "{}@example.org"], ids=["name", "address"])
def test_3_3_a_wrong_password_answers_and_costs_the_same_for_every_account(
    people, monkeypatch, address
):
    make_user("erin", password=None)
    User.objects.filter(username="erin").update(password=BCRYPT)
    people.append("erin")
    verify, hashes = Argon2id.verify, []

    def counted(self, password, encoded):
        hashes.append(encoded.split("$")[3])
        return verify(self, password, encoded)

    monkeypatch.setattr(Argon2id, "verify", counted)
    tried = [{"login": address.format(name), "password": WRONG} for name in people]
    spent = [work_and_answer(Browser(), LOGIN, data) for data in tried]

    assert spent == [spent[0]] * len(people)
    assert "isn’t right" in spent[0][1][-1]
    assert hashes == ["m=19456,t=2,p=1"] * len(people)


def test_a_wrong_code_runs_the_same_statements_for_every_account(people):
    costs = []
    for name in people:
        browser: Any = Browser()
        browser.post(BY_CODE, {"login": name})
        statements, _answer = work_and_answer(browser, BY_CODE, {"code": WRONG_CODE})
        costs.append(statements)

    assert costs == [costs[0]] * len(people)


def ms(browser, page, login, token):
    """Return the time that the answer to a form takes, in milliseconds."""
    started = time.perf_counter()
    answer = browser.post(page, {"login": login, "password": WRONG}, csrf=token)
    taken = (time.perf_counter() - started) * 1000
    assert answer.status in {200, 302}, answer.status
    return taken


@pytest.mark.proof
@pytest.mark.alone
@pytest.mark.parametrize("page", [LOGIN, RESET, BY_CODE])
def test_median_times_of_known_and_unknown_accounts_differ_by_less_than_5_ms(page):
    with Site(LIMITS_SCALE="100000") as site:
        member(site, "alice")
        member(site, "bob")
        sql(site, "UPDATE accounts_user SET password = '!' WHERE username = ?", "bob")
        sign_up(site.client(), "mallory")
        browser = site.client()
        token = browser.csrf(page)
        for kind, login in OTHERS.items():
            known, other = [], []
            for _ in range(PAIRS):
                known.append(ms(browser, page, "alice", token))
                other.append(ms(browser, page, login, token))
            apart = statistics.median(other) - statistics.median(known)
            print(f"{page} {kind}: {apart:+.2f} ms of {statistics.median(known):.1f}")  # noqa: T201 the proof's figures
            assert abs(apart) < MOST_MS, kind
