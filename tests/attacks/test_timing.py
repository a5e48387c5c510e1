"""Time tells nothing about who exists: statements are equal, and medians within 5 ms (printed)."""

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
from tests.support.client import Client
from tests.support.second import enrolled
from tests.support.site import Site
from tests.support.steps import (
    LOGIN,
    PASSWORD,
    WRONG,
    WRONG_CODE,
    but_for_nonces,
    make_user,
    outbox,
    sign_up,
    sql,
)

PAIRS = 200
MOST_MS = 5.0

RESET = "/accounts/password/reset/"
BY_CODE = "/accounts/login/code/"
# Of PASSWORD, as another framework writes it; the site does not know the algorithm.
BCRYPT = "$2b$04$abcdefghijklmnopqrstuuQBrjlCaBn2yLxUb.HgBE0Q8Ut8M1Iy6"
STRANGERS = {"unknown": "nobody", "no password": "bob", "pending": "mallory"}


@pytest.fixture
def people(db: None) -> list[str]:
    """Alice, who has a second factor; and everybody who must not be told from her."""
    enrolled(make_user("alice"))
    make_user("bob", password=None)  # type: ignore[arg-type]
    make_user("mallory", is_active=False)
    sign_up(Browser(), "pending")
    return ["alice", "bob", "mallory", "pending", "nobody"]


def work(browser: Browser, page: str, data: dict[str, str]) -> list[str]:
    """The statements of an answer in their order, without their values."""
    return work_and_answer(browser, page, data)[0]


def work_and_answer(browser: Browser, page: str, data: dict[str, str]) -> tuple[list[str], Any]:
    """The same, and the answer but for what was typed and what differs each time."""
    with CaptureQueriesContext(connection) as queries:
        answer = browser.post(page, data)
    assert answer.status_code in {200, 302}
    values = r"'[^']*'|\bs\d+_x\d+\b|\b\d+\b|\b[0-9a-f]{32}\b|\bNULL\b"
    # No user is one of no id: the same look through the same index.
    statements = [
        re.sub(values, "?", query["sql"]).replace("IS ?", "= ?")
        for query in queries.captured_queries
    ]
    text = but_for_nonces(answer.text).replace(data.get("login", ""), "")
    return statements, (answer.status_code, answer.headers.keys(), answer.cookies.keys(), text)


@pytest.mark.parametrize("address", ["{}", "{}@example.org"], ids=["name", "address"])
@pytest.mark.parametrize("page", [RESET, BY_CODE])
def test_a_mail_to_nobody_costs_and_is_answered_the_same_as_one_to_a_member(
    people: list[str], page: str, address: str
) -> None:
    costs, before, shown = [], len(outbox()), set()
    for name in people:
        browser = Browser()
        browser.get(page)
        login = address.format(name)
        costs.append(work_and_answer(browser, page, {"login": login}))
        shown.add(but_for_nonces(browser.get(page).text).replace(login, ""))

    assert costs == [costs[0]] * len(people)
    assert len(shown) == 1
    assert any("accounts_outgoingmail" in statement for statement in costs[0][0])
    mailed = [mail.to for mail in outbox()[before:]]
    assert mailed == ["alice@example.org", "bob@example.org", "", "", ""]


@pytest.mark.dear_hashes
@pytest.mark.parametrize("address", ["{}", "{}@example.org"], ids=["name", "address"])
def test_3_3_a_wrong_password_costs_and_is_answered_the_same_whoever_it_is_tried_for(
    people: list[str], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    make_user("erin", password=None)
    User.objects.filter(username="erin").update(password=BCRYPT)
    people.append("erin")
    verify, hashes = Argon2id.verify, []

    def counted(self: Any, password: str, encoded: str) -> bool:
        hashes.append(encoded.split("$")[3])
        return verify(self, password, encoded)

    monkeypatch.setattr(Argon2id, "verify", counted)
    tried = [{"login": address.format(name), "password": WRONG} for name in people]
    spent = [work_and_answer(Browser(), LOGIN, data) for data in tried]

    assert spent == [spent[0]] * len(people)
    assert "is not right" in spent[0][1][-1]
    assert hashes == ["m=19456,t=2,p=1"] * len(people)


def test_a_wrong_code_costs_the_same_statements_whoever_it_is_tried_for(people: list[str]) -> None:
    costs = []
    for name in people:
        browser: Any = Browser()
        browser.post(BY_CODE, {"login": name})
        costs.append(work(browser, BY_CODE, {"code": WRONG_CODE}))

    assert costs == [costs[0]] * len(people)


def ms(browser: Client, page: str, login: str, token: str) -> float:
    """How long the answer to one form takes, in milliseconds."""
    started = time.perf_counter()
    answer = browser.post(page, {"login": login, "password": WRONG}, csrf=token)
    taken = (time.perf_counter() - started) * 1000
    assert answer.status in {200, 302}, answer.status
    return taken


def member(site: Site, name: str) -> None:
    """Somebody with a confirmed address, made past the pages."""
    site.manage(
        "shell",
        "-c",
        "from accounts.users import services as s;"
        "from accounts.passwords.services import hash_password as h;"
        f"s.take_username({name!r}, until=None);"
        f"u = s.create_user({name!r}, h({PASSWORD!r}));"
        f"s.confirm_email(u, '{name}@example.org')",
    )


@pytest.mark.proof
@pytest.mark.alone
@pytest.mark.parametrize("page", [LOGIN, RESET, BY_CODE])
def test_medians_of_known_and_unknown_people_are_within_five_milliseconds(page: str) -> None:
    with Site(LIMITS_SCALE="100000") as site:
        member(site, "alice")
        member(site, "bob")
        sql(site, "UPDATE accounts_user SET password = '!' WHERE username = ?", "bob")
        sign_up(site.client(), "mallory")
        browser = site.client()
        token = browser.csrf(page)
        for kind, login in STRANGERS.items():
            known, other = [], []
            for _ in range(PAIRS):
                known.append(ms(browser, page, "alice", token))
                other.append(ms(browser, page, login, token))
            apart = statistics.median(other) - statistics.median(known)
            print(f"{page} {kind}: {apart:+.2f} ms of {statistics.median(known):.1f}")  # noqa: T201
            assert abs(apart) < MOST_MS, kind
