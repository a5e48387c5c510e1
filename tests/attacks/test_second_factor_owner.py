"""What a thief with the password or a cookie can do to an owner who has a second factor."""

import dataclasses
from typing import Any

import pytest
from django.test import Client

from accounts.activity.models import Activity
from tests.attacks.second_steps import (
    REAUTHENTICATE,
    WRONG_DIGITS,
    enters,
    factors_of,
    half_way,
    with_factor,
)
from tests.conftest import Clock
from tests.support.second import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    code_of,
    recovery_codes_on,
    seed_on,
    unused_code,
)
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, is_signed_in, make_user, outbox, path_of

pytestmark = pytest.mark.django_db

HOME, ELSEWHERE = {"REMOTE_ADDR": "192.0.2.1"}, {"REMOTE_ADDR": "198.51.100.9"}


def change(browser: Client, user: Any, **fields: str) -> Any:
    from accounts.twofactor.models import Authenticator

    row = Authenticator.objects.get(user=user)
    return browser.post(f"/accounts/2fa/totp/{row.pk}/", fields)


def test_guesses_do_not_keep_the_owner_out_of_where_the_factor_was_added(clock: Clock) -> None:
    alice = make_user("alice")
    home = signed_in(alice, Client(**HOME))
    seed = seed_on(home.get(SETUP).text)
    assert home.post(SETUP, {"code": code_of(seed)}).status_code == 302
    codes = recovery_codes_on(home.get(RECOVERY_CODES).text)

    clock.advance(minutes=2)
    thief = half_way(**ELSEWHERE)
    for _ in range(10):
        thief.post(CHALLENGE, {"code": WRONG_DIGITS})

    assert enters(code_of(seed), **HOME)
    assert enters(codes[0], REMOTE_ADDR="203.0.113.5"), "recovery codes are good anywhere"


def test_the_owners_own_slips_are_no_news_to_her(clock: Clock) -> None:
    alice, _seed = with_factor()
    browser = signed_in(alice)
    before = len(outbox())

    for _ in range(7):
        browser.post(REAUTHENTICATE, {"code": WRONG_DIGITS})

    assert len(outbox()) == before
    kinds = set(Activity.objects.filter(user=alice).values_list("kind", flat=True))
    assert "proof_failed" in kinds
    assert not {"factor_failed", "factor_failed_new", "factor_blocked"} & kinds


def test_a_password_is_no_fresh_proof_for_a_change_of_factors(clock: Clock) -> None:
    alice, _seed = with_factor()
    browser = signed_in(alice)
    clock.advance(minutes=20)
    browser.post(REAUTHENTICATE, {"password": PASSWORD})

    answer = change(browser, alice, remove="1")

    assert answer.url.startswith(f"{REAUTHENTICATE}?factor=1")
    assert 'name="password"' not in browser.get(answer.url).text
    browser.post(answer.url, {"password": PASSWORD})
    for fields in ({"remove": "1"}, {"name": "Mine"}):
        assert change(browser, alice, **fields).url.startswith(REAUTHENTICATE)
    browser.post(answer.url, {"code": unused_code(alice)})
    assert change(browser, alice, remove="1").url == "/accounts/2fa/"


def test_password_and_mailbox_get_in_but_remove_no_factor(clock: Clock) -> None:
    alice, _seed = with_factor()
    browser = half_way()
    browser.post(CHALLENGE, {"mail": "1"})
    browser.post(CHALLENGE, {"code": outbox()[-1].code})
    assert is_signed_in(browser)

    change(browser, alice, remove="1")

    assert factors_of(alice) == 1


def test_a_link_opened_beside_another_account_adds_the_factor_to_its_own(
    clock: Clock, settings: Any
) -> None:
    from accounts.users.models import User

    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, second_factor="all")
    alice, _seed = with_factor()
    browser = Client()
    fields = {"username": "bob", "email": "bob@example.org", "password1": PASSWORD}
    browser.post("/accounts/signup/", fields)
    link = path_of(outbox()[-1].action_url)
    signed_in(alice, browser)

    browser.post(link, {"password": PASSWORD})
    assert not is_signed_in(browser)
    seed = seed_on(browser.get(SETUP).text)
    browser.post(SETUP, {"code": code_of(seed)})

    assert factors_of(alice) == 1
    assert factors_of(User.objects.get(username="bob")) == 1


def test_a_half_sign_in_that_was_given_up_is_nobodys() -> None:
    _alice, seed = with_factor()
    by_link, by_sign_out = half_way(), half_way()

    by_link.get("/accounts/login/?other=1")
    by_sign_out.post("/accounts/logout/")

    for browser in (by_link, by_sign_out):
        browser.post(CHALLENGE, {"code": code_of(seed)})
        assert not is_signed_in(browser)


def test_a_thiefs_asking_keeps_the_owner_from_nothing_after_a_new_password(clock: Clock) -> None:
    from accounts.users import services as users

    alice, _seed = with_factor()
    for _ in range(3):
        assert half_way().post(CHALLENGE, {"lost": "ask"}).status_code == 302
        signed_in(alice).post("/accounts/2fa/", {"cancel": "1"})
    assert half_way().post(CHALLENGE, {"lost": "ask"}).status_code == 429

    users.outdate(alice)

    assert half_way().post(CHALLENGE, {"lost": "ask"}).status_code == 302


def test_keys_that_are_gone_leave_the_pages_and_the_way_back(settings: Any) -> None:
    from accounts.kernel.secrets import encryption_key

    alice, _seed = with_factor()
    browser = signed_in(alice)
    browser.get(SETUP)
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, encryption_keys=(encryption_key(),))

    for page in ("/", "/accounts/2fa/", SETUP):
        assert browser.get(page).status_code == 200, page
    lost = half_way()
    assert lost.get(CHALLENGE).status_code == 200
    assert lost.post(CHALLENGE, {"code": "123456"}).status_code == 200
    assert lost.post(CHALLENGE, {"lost": "ask"}).status_code == 302
