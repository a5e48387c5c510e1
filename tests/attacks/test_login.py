"""Guessing, locking out, enormous passwords, planting sessions."""

from ipaddress import ip_network
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, make_password
from django.test import Client

from accounts.throttle.limits import LOGIN_ACCOUNT, LOGIN_FAMILIAR, LOGIN_NETWORK
from tests.conftest import Clock
from tests.support.signin import set_up
from tests.support.steps import CONFIRM, PASSWORD, WRONG, is_signed_in, make_user, sign_in, sign_up

pytestmark = pytest.mark.django_db

PROXIES = (ip_network("127.0.0.1"),)
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


@pytest.mark.parametrize(
    "trusted, forwarded",
    [((), ""), ((), "203.0.113.{i}"), (PROXIES, "203.0.113.{i}, 198.51.100.9")],
    ids=["no header", "forged", "forged left of what a trusted proxy saw"],
)
def test_one_address_cannot_guess_at_many_accounts(
    clock: Clock, settings: Any, trusted: Any, forwarded: str
) -> None:
    set_up(settings, trusted_proxies=trusted)
    make_user("mallory")

    def guess_at(login: str, password: str, i: int) -> int:
        told = {"HTTP_X_FORWARDED_FOR": forwarded.format(i=i)} if forwarded else {}
        browser = Client(REMOTE_ADDR="127.0.0.1", **told)
        return int(sign_in(browser, login, password).status_code)

    statuses = []
    each = LOGIN_NETWORK.burst // 2
    for i in range(each + 1):
        statuses.append(guess_at(f"account{i}", WRONG, i))
        # A right password costs a hash as well, and buys no further guess.
        guess_at("mallory", PASSWORD, i)

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


def test_900_kb_password_is_not_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor by the algorithms of imported accounts."""
    from accounts.passwords import services

    make_user("alice")
    imported = make_password("a" * 900_000, hasher="scrypt")
    monkeypatch.delattr(Argon2PasswordHasher, "verify")

    assert services.verify("a" * 900_000, imported) is False
    for login in ("alice", "nobody"):
        assert sign_in(Client(), login, "a" * 900_000).status_code == 200


def test_session_fixation_a_planted_key_is_not_kept() -> None:
    make_user("alice")
    mallory = Client()
    sign_up(mallory, "mallory")

    for planted in ("planted-by-mallory-0123456789abcdef", mallory.cookies["sessionid"].value):
        alice, thief = Client(), Client()
        alice.cookies["sessionid"] = thief.cookies["sessionid"] = planted
        sign_in(alice, "alice")
        assert is_signed_in(alice)
        assert alice.cookies["sessionid"].value != planted
        assert not is_signed_in(thief)
    assert "mallory" not in mallory.get(CONFIRM).content.decode()


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
