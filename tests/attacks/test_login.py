"""Guessing, locking out, telling by work, planting sessions."""

import re
from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, make_password
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.throttle.limits import LOGIN_ACCOUNT, LOGIN_FAMILIAR, LOGIN_SUBSCRIBER
from tests.conftest import Clock
from tests.support.steps import (
    CONFIRM,
    LOGIN,
    PASSWORD,
    WRONG,
    is_signed_in,
    make_user,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.django_db

GUESSES = LOGIN_ACCOUNT.burst


def at(address: str) -> Client:
    """A browser at an address of its own."""
    return Client(REMOTE_ADDR=address)


def guess(n: int, login: str = "alice", *, first: int = 1) -> list[int]:
    """The statuses of ``n`` wrong guesses, each from another address."""
    return [sign_in(at(f"192.0.2.{i}"), login, WRONG).status_code for i in range(first, first + n)]


@pytest.mark.parametrize(
    "names",
    [["alice", "ALICE", "\uff41lice"], ["alice@example.org", "Alice@EXAMPLE.org"]],
    ids=["name", "address"],
)
def test_only_so_many_guesses_at_a_name_pass_in_whatever_writing(
    clock: Clock, names: list[str]
) -> None:
    make_user("alice")

    statuses = [guess(1, names[i % len(names)], first=i)[0] for i in range(1, GUESSES + 2)]
    refused = sign_in(at("192.0.2.99"), names[0])

    assert statuses == [200] * GUESSES + [429]
    assert refused.status_code == 429
    assert refused["Retry-After"] == "60"
    clock.advance(seconds=59)
    assert sign_in(at("192.0.2.99"), names[0]).status_code == 429
    clock.advance(seconds=1)
    assert sign_in(at("192.0.2.99"), names[0]).status_code == 302


def test_guesses_at_nobody_are_limited_like_guesses_at_somebody(clock: Clock) -> None:
    make_user("alice")

    n = GUESSES + 1
    assert guess(n, "alice") == guess(n, "nobody") == guess(n, "nobody@example.org")


def test_one_address_cannot_guess_at_many_accounts(clock: Clock) -> None:
    make_user("mallory")
    browser = at("198.51.100.7")

    statuses = []
    each = LOGIN_SUBSCRIBER.burst // 2
    for i in range(each + 1):
        statuses.append(sign_in(browser, f"account{i}", WRONG).status_code)
        # A right password costs a hash as well, and buys no further guess.
        sign_in(at("198.51.100.7"), "mallory")

    assert statuses == [200] * each + [429]


def test_a_good_login_clears_neither_its_own_counter_nor_anothers(clock: Clock) -> None:
    make_user("alice")
    make_user("bob")

    assert guess(GUESSES - 1) == [200] * (GUESSES - 1)
    assert sign_in(at("198.51.100.1"), "alice").status_code == 302
    assert sign_in(at("198.51.100.2"), "bob").status_code == 302
    assert guess(2, first=20) == [200, 429]


def test_lock_out_used_against_its_victim_does_not_keep_her_out(clock: Clock) -> None:
    make_user("alice")
    sign_in(at("203.0.113.5"), "alice")
    assert guess(GUESSES + 2) == [200] * GUESSES + [429] * 2

    assert sign_in(at("203.0.113.5"), "alice").status_code == 302
    assert sign_in(at("203.0.113.5"), "alice@example.org").status_code == 302
    assert sign_in(at("203.0.113.77"), "alice").status_code == 429
    clock.advance(minutes=1)
    assert sign_in(at("203.0.113.77"), "alice").status_code == 302


def test_a_familiar_place_is_no_place_to_guess_from_either(clock: Clock) -> None:
    make_user("alice")
    sign_in(at("203.0.113.5"), "alice")
    n = LOGIN_FAMILIAR.burst

    statuses = [sign_in(at("203.0.113.5"), "alice", WRONG).status_code for _ in range(n + 1)]

    assert statuses == [200] * n + [429]


def shape(query: dict[str, str]) -> str:
    """A statement without its values."""
    return re.sub(r"'[^']*'|\b\d+\b|\b[0-9a-f]{32}\b|\bNULL\b", "?", query["sql"])


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a wrong password costs: the hashes, and the statements in their order."""
    hashes: Counter[str] = Counter()
    verify = Argon2PasswordHasher.verify

    def counted(self: Any, password: str, encoded: str) -> bool:
        hashes[encoded.split("$")[3]] += 1
        return verify(self, password, encoded)

    def measure(login: str, password: str = WRONG) -> tuple[dict[str, int], list[str]]:
        hashes.clear()
        browser = at("198.51.100.9")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            answer = sign_in(browser, login, password)
        assert answer.status_code == 200
        return dict(hashes), [shape(query) for query in queries.captured_queries]

    monkeypatch.setattr(Argon2PasswordHasher, "verify", counted)
    return measure


@pytest.mark.dear_hashes
def test_unknown_pending_switched_off_and_without_password_cost_the_same(work: Any) -> None:
    make_user("alice")
    make_user("bob", password=None)  # type: ignore[arg-type]
    make_user("mallory", is_active=False)
    sign_up(Client(), "pending")

    hashes, statements = work("alice")

    assert hashes == {"m=19456,t=2,p=1": 1}
    for login in ("nobody", "bob", "mallory", "pending"):
        assert work(login) == (hashes, statements), login
    known = work("alice@example.org")
    for login in ("nobody@example.org", "bob@example.org", "pending@example.org"):
        assert work(login) == known, login


def test_900_kb_password_is_not_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    make_user("alice")
    monkeypatch.delattr(Argon2PasswordHasher, "verify")

    assert sign_in(Client(), "alice", "a" * 900_000).status_code == 200
    assert sign_in(Client(), "nobody", "a" * 900_000).status_code == 200


@pytest.mark.parametrize("algorithm", ["pbkdf2_sha256", "scrypt"])
def test_900_kb_password_is_not_hashed_for_imported_accounts_either(algorithm: str) -> None:
    from accounts.passwords import services

    assert services.verify("a" * 900_000, make_password("a" * 900_000, hasher=algorithm)) is False


def test_session_fixation_a_planted_key_is_not_kept() -> None:
    make_user("alice")
    browser = Client()
    browser.cookies["sessionid"] = planted = "planted-by-mallory-0123456789abcdef"

    sign_in(browser, "alice")

    assert is_signed_in(browser)
    assert browser.cookies["sessionid"].value != planted
    browser.cookies["sessionid"] = planted
    assert not is_signed_in(browser)


def test_session_fixation_a_key_of_mallorys_own_session_is_not_kept() -> None:
    make_user("alice")
    mallory, alice = Client(), Client()
    sign_up(mallory, "mallory")
    planted = mallory.cookies["sessionid"].value
    alice.cookies["sessionid"] = planted

    sign_in(alice, "alice")

    assert is_signed_in(alice)
    assert alice.cookies["sessionid"].value != planted
    assert not is_signed_in(mallory)
    assert "mallory" not in mallory.get(CONFIRM).content.decode()


def test_the_key_changes_when_a_sign_up_is_remembered_too() -> None:
    browser = Client()
    sign_up(browser, "alice")
    before = browser.cookies["sessionid"].value

    sign_in(browser, "alice")

    assert browser.cookies["sessionid"].value != before


def test_password_is_not_kept_between_steps_in_session_or_page() -> None:
    browser = Client()
    pages = [
        sign_up(browser, "alice", "not an address"),
        sign_up(browser, "alice"),
        browser.get(CONFIRM),
        sign_in(Client(), "alice", WRONG),
        sign_in(Client(), "", PASSWORD),
    ]

    kept = repr(dict(browser.session)) + "".join(page.content.decode() for page in pages)

    assert PASSWORD not in kept
    assert WRONG not in kept
    assert "argon2" not in kept


@pytest.mark.parametrize("path", [LOGIN, "/accounts/signup/", CONFIRM, "/accounts/logout/"])
def test_a_form_without_a_csrf_token_changes_nothing(path: str) -> None:
    make_user("alice")
    browser = Client(enforce_csrf_checks=True)

    answer = browser.post(path, {"login": "alice", "password": PASSWORD})

    assert answer.status_code == 403
    assert not is_signed_in(browser)
