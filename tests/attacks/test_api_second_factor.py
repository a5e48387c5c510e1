"""Attacks on the second step over the API: on its codes and limits, and ways around it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.sessions.models import LoginSession
from accounts.throttle.limits import FACTOR_SUBSCRIBER
from accounts.tokens import services as tokens
from accounts.users.models import User
from tests.support.api import Answer, call, get_tokens, is_good, second_step
from tests.support.api_steps import FINISH, api_sessions, first_step, mail_for, status_and_code
from tests.support.lockdown import lock_down, switch_off
from tests.support.passkeys import set_up
from tests.support.second_factor import CHALLENGE, SETUP, code_of, enrolled, set_up_authenticator
from tests.support.second_steps import (
    WRONG_DIGITS,
    after_password,
    code_signs_in,
    mails_about,
    new_recovery_codes,
    staff,
    trusting_browser,
    with_factor,
)
from tests.support.signin import Clock
from tests.support.steps import PASSWORD, WRONG, make_user
from tests.support.webauthn import registered

pytestmark = pytest.mark.django_db
GUESSES = FACTOR_SUBSCRIBER.burst


@pytest.mark.parametrize("first", ["page", "call"])
@pytest.mark.parametrize("kind", ["app", "recovery code"])
def test_a_code_works_once_across_pages_and_api(clock: Clock, kind: str, first: str) -> None:
    alice, seed = with_factor()
    code = code_of(seed) if kind == "app" else new_recovery_codes(alice)[0]
    ways = {
        "page": lambda: code_signs_in(code),
        "call": lambda: second_step(first_step(), code.upper()).status == 200,
    }

    assert ways[first]()
    clock.advance(seconds=29)
    assert not any(way() for way in ways.values())
    assert len(mails_about("recovery code was used")) == (kind == "recovery code")


def test_an_account_with_passkeys_only_cannot_sign_in_by_mailed_code() -> None:
    registered(make_user("alice"))
    challenge = first_step(methods=set())

    assert mail_for(challenge).status == 401
    assert mails_about(FINISH) == []
    assert second_step(challenge, "0000 0000").code == "invalid_code"
    assert api_sessions() == 0


def test_staff_get_no_mailed_code_over_the_api() -> None:
    for name, rights in (("carol", {"is_staff": True}), ("owner", {"is_superuser": True})):
        _user, seed = with_factor(name, **rights)
        challenge = first_step(name, methods={"totp"})

        assert mail_for(challenge).status == 401
        assert second_step(challenge, code_of(seed)).status == 200
    assert mails_about(FINISH) == []


@pytest.mark.parametrize("has_passkey", [False, True])
def test_staff_who_need_a_passkey_cannot_use_codes_and_no_code_is_used_up(
    settings: Any, has_passkey: bool
) -> None:
    carol = staff()
    seed = enrolled(carol)
    if has_passkey:
        registered(carol)
    codes = new_recovery_codes(User.objects.get())
    set_up(settings, staff_factor="passkey")

    challenge = first_step("carol", methods=set())

    assert mail_for(challenge).status == 401
    for code in (code_of(seed), codes[0]):
        assert second_step(challenge, code).code == "enrolment_required"
    assert api_sessions() == 0
    set_up(settings, staff_factor="any")
    assert second_step(first_step("carol"), codes[0]).status == 200


def at(address: str) -> Client:
    return Client(REMOTE_ADDR=address)


def guess(i: int, code: str = WRONG_DIGITS) -> Answer:
    """Start a new sign-in from IP address number ``i`` and try a code."""
    there = at(f"192.0.2.{i}")
    return second_step(get_tokens(client=there)["challenge"], code, there)


def test_cve_2025_64102_a_new_challenge_gives_no_new_guesses(clock: Clock) -> None:
    """Guesses on pages and over the API share one limit."""
    _alice, seed = with_factor()
    page = after_password(REMOTE_ADDR="192.0.2.200")
    assert page.post(CHALLENGE, {"code": WRONG_DIGITS}).status_code == 200

    assert [guess(i).status for i in range(1, GUESSES)] == [401] * (GUESSES - 1)
    refused = guess(99, code_of(seed))
    assert status_and_code(refused) == (429, "throttled")
    assert refused.headers["Retry-After"] == "60"
    page = after_password(REMOTE_ADDR="192.0.2.201")
    assert page.post(CHALLENGE, {"code": code_of(seed)}).status_code == 429

    clock.advance(seconds=60)
    assert guess(99, code_of(seed)).status == 200
    assert len(mails_about("too many wrong codes")) == 1


def test_guesses_from_elsewhere_do_not_block_the_owners_second_step(clock: Clock) -> None:
    _alice, seed = with_factor()
    home = at("203.0.113.5")

    def sign_in_at_home() -> int:
        return second_step(get_tokens(client=home)["challenge"], code_of(seed), home).status

    assert sign_in_at_home() == 200
    for i in range(GUESSES + 1):
        guess(i)
    clock.advance(seconds=30)
    assert sign_in_at_home() == 200


def test_basic_auth_does_not_bypass_the_second_factor() -> None:
    enrolled(make_user("alice"))
    registered(make_user("bob"))

    for login in ("alice", "ALICE", "alice@example.org", "bob"):
        answer = call("sessions/", basic=f"{login}:{PASSWORD}")
        assert status_and_code(answer) == (401, "second_factor_required")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "challenge" not in answer.body, "only the sign-in endpoint issues challenges"
    for path, data in (("token/", {}), ("keys/", {"name": "bot"})):
        answer = call(path, data, basic=f"alice:{PASSWORD}")
        assert status_and_code(answer) == (401, "second_factor_required")
    assert call("me/", basic=f"alice:{WRONG}").code == "invalid_credentials"


def test_basic_auth_with_a_password_works_only_if_the_setting_allows_it(settings: Any) -> None:
    make_user("alice")
    assert call("me/", basic=f"alice:{PASSWORD}").status == 200

    set_up(settings, api_basic_password="off")

    for password in (PASSWORD, WRONG):
        answer = call("me/", basic=f"alice:{password}")
        assert status_and_code(answer) == (401, "invalid_credentials")
    signed = call("token/", {}, basic=f"alice:{PASSWORD}")
    assert call("me/", basic=f"{signed['access']}:x").status == 200


@pytest.mark.parametrize("required", ["all", "staff"])
def test_cve_2026_94218_starting_over_does_not_skip_enrolment(settings: Any, required: str) -> None:
    staff()
    make_user("bob")
    assert get_tokens("bob").status == 200
    set_up(settings, second_factor=required)
    assert get_tokens("bob").status == (403 if required == "all" else 200)
    LoginSession.objects.all().delete()
    page = after_password("carol")

    for _ in range(3):
        answer = get_tokens("carol")
        assert status_and_code(answer) == (403, "enrolment_required")
        assert set(answer.body) == {"detail", "code"}
        assert call("me/", basic=f"carol:{PASSWORD}").code == "enrolment_required"
        page.get(SETUP)
    # A browser that has begun the enrolment does not help.
    assert get_tokens("carol", page).code == "enrolment_required"
    assert call("me/", client=page).status == 401
    assert api_sessions() == 0

    assert set_up_authenticator(page).status_code == 302
    assert get_tokens("carol").code == "second_factor_required"


def test_the_api_ignores_the_trusted_browser_cookie() -> None:
    alice, _seed = with_factor()
    trusted = trusting_browser(alice)

    assert get_tokens(client=trusted).code == "second_factor_required"
    assert call("me/", client=trusted, basic=f"alice:{PASSWORD}").code == "second_factor_required"
    assert call("me/", client=trusted).status == 401
    assert api_sessions() == 0


def test_locked_and_inactive_accounts_get_no_token_and_only_the_owner_learns_why() -> None:
    lock_down(make_user("bob"))
    alice, _seed = with_factor()
    switch_off(alice)

    for answer in (get_tokens(), call("me/", basic=f"alice:{PASSWORD}")):
        assert status_and_code(answer) == (403, "account_inactive")
        assert set(answer.body) == {"detail", "code"}
    stored = User.objects.get(username="bob").password
    for name, password in (("alice", WRONG), ("bob", PASSWORD), ("bob", "!"), ("bob", stored)):
        answer = call("token/", {"username": name, "password": password})
        assert status_and_code(answer) == (401, "invalid_credentials")
    assert call("me/", basic=f"bob:{PASSWORD}").code == "invalid_credentials"


@pytest.mark.parametrize("happens", [lock_down, switch_off])
@pytest.mark.parametrize("has_factor", [False, True], ids=["one step", "two steps"])
def test_a_password_or_code_checked_before_a_change_gives_no_token_after_it(
    monkeypatch: pytest.MonkeyPatch, happens: Callable[[Any], None], has_factor: bool
) -> None:
    """The account changes between the last check and the start of the session."""
    alice = make_user("alice")
    seed = enrolled(alice) if has_factor else ""
    begin = tokens._begin

    def begin_late(*args: Any) -> Any:
        happens(User.objects.get())
        return begin(*args)

    monkeypatch.setattr(tokens, "_begin", begin_late)
    answer = get_tokens()
    if has_factor:
        answer = second_step(answer["challenge"], code_of(seed))

    assert status_and_code(answer) == (401, "invalid_credentials")
    assert LoginSession.objects.filter(kind="api", ended_at=None).count() == 0
    assert not is_good(answer.body.get("access", "x"))
