"""Timing must not reveal who has an account: equal statements, and medians within 5 ms."""

import math
import re
import statistics
import time
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from accounts.passwords import foreign, mix
from accounts.passwords.hashers import Argon2id
from accounts.passwords.schemes import ForeignHash
from accounts.signin import services as signin
from accounts.users import services as users
from accounts.users.models import User, locked_password
from tests.support.foreign_hashes import BCRYPT, NOTATIONS, SHA256, TYPED
from tests.support.second_factor import enrolled
from tests.support.site import Site
from tests.support.standards import proves
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
API = "/api/v1/"
API_CALLS = [f"{API}password/reset/", f"{API}login/code/"]
# An imported hash that was not converted into a form that the site can read.
UNREADABLE = "$2b$04$abcdefghijklmnopqrstuuQBrjlCaBn2yLxUb.HgBE0Q8Ut8M1Iy6"
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
    kind = {"content_type": "application/json"} if page.startswith(API) else {}
    with CaptureQueriesContext(connection) as queries:
        answer = browser.post(page, data, **kind)
    assert answer.status_code in {200, 202, 302, 400}
    values = r"'[^']*'|\bs\d+_x\d+\b|\b\d+\b|\b[0-9a-f]{32}\b|\bNULL\b"
    # ``IS NULL``, if there is no user, uses the same index as ``= id``.
    statements = [
        re.sub(values, "?", query["sql"]).replace("IS ?", "= ?")
        for query in queries.captured_queries
    ]
    text = alike(answer).replace(data.get("login", ""), "")
    return statements, (answer.status_code, answer.headers.keys(), answer.cookies.keys(), text)


def alike(answer):
    """Return the body of an answer without the parts that always differ."""
    return re.sub('"(challenge|request_id)":"[^"]+"', "", without_nonces(answer.text))


@pytest.mark.parametrize("address", ["{}", "{}@example.org"], ids=["name", "address"])
@pytest.mark.parametrize("page", [RESET, BY_CODE, *API_CALLS])
def test_requesting_a_mail_answers_and_costs_the_same_for_known_and_unknown_accounts(
    people, page, address
):
    """Withstands a spy."""
    costs, before, shown = [], len(outbox()), set()
    for name in people:
        browser = Browser()
        browser.get(page)
        login = address.format(name)
        field = "username" if page.startswith(API) else "login"
        costs.append(work_and_answer(browser, page, {field: login}))
        shown.add(alike(browser.get(page)).replace(login, ""))

    assert costs == [costs[0]] * len(people)
    assert len(shown) == 1
    assert any("accounts_outgoingmail" in statement for statement in costs[0][0])
    mailed = [mail.to for mail in outbox()[before:]]
    assert mailed == ["alice@example.org", "bob@example.org", "", "", ""]


@proves("V6.3.8")
@pytest.mark.production_hashes
@pytest.mark.parametrize("address", ["{}", "{}@example.org"], ids=["name", "address"])
def test_3_3_a_wrong_password_answers_and_costs_the_same_for_every_account(
    people, monkeypatch, address
):
    """Withstands a spy."""
    make_user("erin", password=None)
    User.objects.filter(username="erin").update(password=UNREADABLE)
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


@pytest.mark.parametrize("address", ["{}", "{}@example.org"], ids=["name", "address"])
def test_every_login_makes_one_object_from_a_row_whether_or_not_somebody_has_it(
    people, monkeypatch, address
):
    made = []
    from_db = Model.from_db.__func__

    def counted(model, *row):
        made.append(model)
        return from_db(model, *row)

    monkeypatch.setattr(Model, "from_db", classmethod(counted))

    for name in people:
        made.clear()
        users.find_by_login(address.format(name))
        assert len(made) == 1, name


@pytest.fixture
def imported(people):
    """Give every account with a password an imported hash, and return the logins."""
    User.objects.exclude(username="bob").update(password=foreign.accept(BCRYPT))
    User.objects.filter(username="mallory").update(password=locked_password())
    mix.store()
    mix.refresh()
    yield ["alice", "bob", "mallory", "nobody"]
    mix._mix = mix.Mix()


def test_on_a_site_with_imported_hashes_every_login_computes_the_same_hash(imported, monkeypatch):
    """Withstands a spy.

    This is true for accounts with and without a password, locked ones, and unknown ones.
    """
    computed = []
    compute = ForeignHash.compute

    def counted(self, password):
        computed.append((self.scheme, self.costs))
        return compute(self, password)

    monkeypatch.setattr(ForeignHash, "compute", counted)
    monkeypatch.delattr(Argon2id, "verify")
    tried = [{"login": login, "password": WRONG} for login in imported]
    spent = [work_and_answer(Browser(), LOGIN, data) for data in tried]

    assert spent == [spent[0]] * len(imported)
    assert computed == [("bcrypt", (4,))] * len(imported)
    computed.clear()
    mix._mix = mix.Mix()
    monkeypatch.setattr(signin, "hit", lambda *_, **_options: False)
    assert "isn’t right" in Browser().post(LOGIN, {"login": "alice", "password": TYPED}).text
    assert computed == [("bcrypt", (4,))], "the budgets of the account are used up"


def test_a_wrong_code_runs_the_same_statements_for_every_account(people):
    costs = []
    for name in people:
        browser: Any = Browser()
        browser.post(BY_CODE, {"login": name})
        statements, _answer = work_and_answer(browser, BY_CODE, {"code": WRONG_CODE})
        costs.append(statements)

    assert costs == [costs[0]] * len(people)


@pytest.mark.parametrize("call", API_CALLS)
def test_a_wrong_code_over_the_api_runs_the_same_statements_for_every_account(people, call):
    costs = []
    # The first sign-in loads the signing key.
    for name in ["first", *people]:
        browser: Any = Browser()
        asked = browser.post(call, {"username": name}, content_type="application/json").json()
        data = {"challenge": asked["challenge"], "code": WRONG_CODE, "password": WRONG}
        fields = {name: data[name] for name in data if name != "password" or "reset" in call}
        costs.append(work_and_answer(browser, f"{call}confirm/", fields))

    assert costs[1:] == [costs[1]] * len(people)


def ms(browser, page, login, token):
    """Return the time that the answer to a form takes, in milliseconds."""
    started = time.perf_counter()
    answer = browser.post(page, {"login": login, "password": WRONG}, csrf=token)
    taken = (time.perf_counter() - started) * 1000
    assert answer.status in {200, 302}, answer.status
    return taken


@proves("V6.3.8")
@pytest.mark.proof
@pytest.mark.alone
@pytest.mark.parametrize("page", [LOGIN, RESET, BY_CODE])
def test_median_times_of_known_and_unknown_accounts_differ_by_less_than_5_ms(page):
    """Withstands a spy."""
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


TRIES = 2000
MOST_Z = 3.0
IMPORTED = {
    "bcrypt": BCRYPT.replace("04", "08"),
    "PBKDF2": f"pbkdf2_sha256$100000$salt${'A' * 43}=",
    "scrypt": NOTATIONS["scrypt of Werkzeug"],
    "sealed": SHA256,
    "wrapped": SHA256,
}
IMPORT = """
from accounts.passwords import foreign, mix
from accounts.users.models import User
User.objects.update(password=foreign.accept(%r))
mix.store()
"""


def z_score(one, other):
    """Return how surely the times in ``one`` and ``other`` differ (Mann and Whitney's test)."""
    ranked = sorted([*((ms, True) for ms in one), *((ms, False) for ms in other)])
    ranks = sum(rank for rank, (_ms, is_one) in enumerate(ranked, 1) if is_one)
    n, m = len(one), len(other)
    return (ranks - n * (n + m + 1) / 2) / math.sqrt(n * m * (n + m + 1) / 12)


@pytest.mark.proof
@pytest.mark.alone
@pytest.mark.parametrize("kind", IMPORTED)
def test_2000_tries_do_not_tell_an_imported_hash_from_an_unknown_login(kind):
    with Site(LIMITS_SCALE="100000") as site:
        member(site, "alice")
        site.manage("shell", "--no-imports", "-c", IMPORT % IMPORTED[kind])
        if kind == "wrapped":
            site.manage("rehash")
        site.stop()
        site.start()
        browser = site.client()
        token = browser.csrf(LOGIN)
        times = {"alice": [], "nobody": []}
        for _ in range(TRIES // 2):
            for login, taken in times.items():
                taken.append(ms(browser, LOGIN, login, token))
        z = z_score(*times.values())
        medians = [round(statistics.median(taken), 2) for taken in times.values()]
        print(f"{kind}: {medians} ms, z = {z:+.2f}")  # noqa: T201 the proof's figures
        assert abs(z) < MOST_Z
