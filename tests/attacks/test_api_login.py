"""The API's login is no second chance to guess, and tells nothing that the pages don't tell."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.throttle.limits import LOGIN_ACCOUNT, LOGIN_FAMILIAR, LOGIN_SUBSCRIBER
from accounts.tokens import ring
from tests.conftest import Clock
from tests.support.api_jwt import API, ME, TOKEN, Answer, basic, call
from tests.support.second import enrolled
from tests.support.steps import PASSWORD, WRONG, WRONG_CODE, make_user, outbox, sign_in, sign_up

pytestmark = [pytest.mark.django_db, pytest.mark.dear_hashes]

GUESSES = LOGIN_ACCOUNT.burst
USERS, VERIFY_EMAIL, RESEND = f"{API}users/", f"{API}email/verify/", f"{API}email/resend/"

type Way = Callable[..., Answer]


def by_body(name: str, password: str, *, at: str = "198.51.100.9", **headers: str) -> Answer:
    """Sign in as most programs do."""
    body = {"email" if "@" in name else "username": name, "password": password}
    return call(Client(REMOTE_ADDR=at), TOKEN, body, **headers)


def by_basic(name: str, password: str, *, at: str = "198.51.100.9", **headers: str) -> Answer:
    """The same by HTTP Basic."""
    client = Client(REMOTE_ADDR=at)
    return call(client, TOKEN, {}, authorization=basic(name, password), **headers)


def by_a_call(name: str, password: str, *, at: str = "198.51.100.9", **headers: str) -> Answer:
    """A password with a call, and no token at all."""
    return call(Client(REMOTE_ADDR=at), ME, authorization=basic(name, password), **headers)


WAYS = [by_body, by_basic, by_a_call]


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many, of which parameters, were made or compared with."""
    counted: Counter[str] = Counter()
    verify, encode = Argon2PasswordHasher.verify, Argon2PasswordHasher.encode

    def count_verify(self: Any, password: str, encoded: str) -> bool:
        counted[encoded.split("$")[3]] += 1
        return verify(self, password, encoded)

    def count_encode(self: Any, password: str, salt: str) -> str:
        counted["made"] += 1
        return encode(self, password, salt)

    monkeypatch.setattr(Argon2PasswordHasher, "verify", count_verify)
    monkeypatch.setattr(Argon2PasswordHasher, "encode", count_encode)
    return counted


def people() -> None:
    """Alice, and all who must not be told from nobody."""
    make_user("alice")
    make_user("bob", password=None)  # type: ignore[arg-type]
    make_user("mallory", is_active=False)
    sign_up(Client(), "pending")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("password", [PASSWORD, WRONG], ids=["right", "wrong"])
def test_a_sign_in_costs_one_hash_whoever_it_is_for(
    way: Way, password: str, hashes: Counter[str]
) -> None:
    people()
    enrolled(make_user("dave"))
    names = ("alice", "bob", "mallory", "pending", "dave", "nobody")
    for name in (*names, *(f"{name}@example.org" for name in names)):
        hashes.clear()
        way(name, password)
        assert dict(hashes) == {"m=19456,t=2,p=1": 1}, name


@pytest.mark.parametrize("way", WAYS)
def test_what_is_too_long_for_a_password_is_not_hashed(way: Way, hashes: Counter[str]) -> None:
    make_user("alice")
    hashes.clear()
    for name in ("alice", "nobody"):
        assert way(name, "a" * 1025).short == (401, "invalid_credentials")
        assert way(name, "a" * 900_000).short == (401, "invalid_credentials")
    assert not hashes


def shape(query: dict[str, str]) -> str:
    """A statement without its values."""
    values = r"'[^']*'|\bs\d+_x\d+\b|\b\d+\b|\b[0-9a-f]{32}\b|\bNULL\b"
    return re.sub(values, "?", query["sql"]).replace("IS ?", "= ?")


def work(act: Callable[[], Answer]) -> tuple[int, bytes, list[tuple[str, str]], list[str]]:
    """What is answered, and by which statements."""
    with CaptureQueriesContext(connection) as queries:
        answer = act()
    own = {"Location", "X-Request-ID"}
    headers = sorted((name, value) for name, value in answer.headers.items() if name not in own)
    done = [shape(query) for query in queries.captured_queries]
    return answer.status, answer.body, headers, done


@pytest.mark.parametrize("way", WAYS)
def test_unknown_pending_switched_off_and_without_password_answer_and_cost_the_same(
    way: Way,
) -> None:
    people()
    ring.signer()  # the first one would look for it
    for names in (
        ("alice", "nobody", "bob", "mallory", "pending"),
        tuple(f"{n}@example.org" for n in ("alice", "nobody", "bob", "mallory", "pending")),
    ):
        known, *others = (work(lambda name=name: way(name, WRONG)) for name in names)
        assert known[:2] == (401, known[1])
        assert b"invalid_credentials" in known[1]
        assert others == [known] * len(others)


@pytest.mark.parametrize("way", WAYS)
def test_only_the_right_password_is_told_what_is_missing(way: Way) -> None:
    people()
    enrolled(make_user("dave"))
    told = {"pending": "email_not_verified", "dave": "second_factor_required"}
    for name, code in told.items():
        assert way(name, PASSWORD).short == (401, code)
        assert way(name, WRONG).short == (401, "invalid_credentials")
    # An address that waits for its confirmation is nobody's.
    assert way("pending@example.org", PASSWORD).short == (401, "invalid_credentials")


def test_the_limits_of_the_pages_are_the_limits_of_the_api(clock: Clock) -> None:
    make_user("alice")
    ways = [*WAYS, lambda *login, at: sign_in(Client(REMOTE_ADDR=at), *login)]

    statuses = []
    for i in range(GUESSES + 4):
        answer = ways[i % 4]("alice", WRONG, at=f"192.0.2.{i}")
        statuses.append(answer.status if isinstance(answer, Answer) else answer.status_code)

    assert [status for status in statuses[:GUESSES] if status not in {200, 401}] == []
    assert statuses[GUESSES:] == [429] * 4
    for way in WAYS:
        refused = way("alice", PASSWORD, at="192.0.2.99")
        assert refused.short == (429, "throttled")
        assert refused.headers["Retry-After"] == "60"
    assert sign_in(Client(REMOTE_ADDR="192.0.2.98"), "alice").status_code == 429
    clock.advance(minutes=1)
    assert by_body("alice", PASSWORD, at="192.0.2.99").status == 200


@pytest.mark.parametrize("way", WAYS)
def test_a_name_in_other_writings_has_no_further_guesses(clock: Clock, way: Way) -> None:
    make_user("alice")
    names = ["alice", "ALICE", "\uff41lice", "alice"]

    guesses = [way(names[i % 4], WRONG, at=f"192.0.2.{i}").status for i in range(GUESSES + 3)]

    assert guesses == [401] * GUESSES + [429] * 3


@pytest.mark.parametrize("way", WAYS)
def test_guesses_elsewhere_do_not_keep_an_owners_program_out(clock: Clock, way: Way) -> None:
    make_user("alice")
    assert way("alice", PASSWORD, at="203.0.113.5").status == 200
    for i in range(GUESSES + 2):
        way("alice", WRONG, at=f"192.0.2.{i}")

    assert way("alice", PASSWORD, at="203.0.113.77").status == 429
    assert way("alice", PASSWORD, at="203.0.113.5").status == 200
    here = [way("alice", WRONG, at="203.0.113.5").status for _ in range(LOGIN_FAMILIAR.burst + 1)]
    assert here == [401] * LOGIN_FAMILIAR.burst + [429]


FORGED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "True-Client-IP", "Via",
          "CF-Connecting-IP", "X-Cluster-Client-IP", "Client-IP", "Remote-Addr")  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_forged_address_gives_no_further_guesses(clock: Clock, way: Way) -> None:
    statuses = []
    for i in range(LOGIN_SUBSCRIBER.burst + 5):
        forged = dict.fromkeys(FORGED, f"203.0.113.{i}")
        forged["Forwarded"] = f"for=203.0.113.{i}"
        statuses.append(way(f"nobody{i}", WRONG, **forged).status)

    assert statuses == [401] * LOGIN_SUBSCRIBER.burst + [429] * 5


def new(name: str, address: str) -> Answer:
    """Sign up."""
    body = {"username": name, "email": address, "password": PASSWORD}
    return call(Client(), USERS, body)


def test_a_sign_up_answers_and_costs_the_same_at_a_taken_and_a_free_address(
    hashes: Counter[str],
) -> None:
    people()
    works, made = [], []
    for name, owner in (("first", "nobody"), ("other", "alice"), ("third", "pending")):
        hashes.clear()
        status, body, headers, done = work(lambda n=name, o=owner: new(n, f"{o}@example.org"))
        works.append((status, len(body), headers, done, dict(hashes)))
        made.append(body)

    assert works == [works[0]] * 3
    assert works[0][0] == 201
    assert works[0][4] == {"made": 1}
    assert len(set(made)) == 3
    # Nor afterwards: by name and right password, by address, by a code that is wrong.
    later = [by_body(name, PASSWORD) for name in ("first", "other", "third")]
    assert {answer.short for answer in later} == {(401, "email_not_verified")}


def test_another_mail_answers_and_costs_the_same_whether_somebody_waits_for_it(
    clock: Clock,
) -> None:
    people()
    clock.advance(minutes=2)
    before = len(outbox())
    names = ("nobody", "pending", "alice", "bob", "mallory")
    works = [
        work(lambda name=name: call(Client(), RESEND, {"email": f"{name}@example.org"}))
        for name in names
    ]

    assert works == [works[0]] * len(names)
    assert works[0][0] == 200
    assert [mail.to for mail in outbox()[before:] if mail.to] == ["pending@example.org"]


def test_a_wrong_code_answers_and_costs_the_same_at_every_address() -> None:
    people()
    names = ("nobody", "pending", "alice", "bob", "mallory")
    works = []
    for name in names:
        body = {"email": f"{name}@example.org", "code": WRONG_CODE}
        works.append(work(lambda body=body: call(Client(), VERIFY_EMAIL, body)))

    assert works == [works[0]] * len(names)
    assert works[0][0] == 400
