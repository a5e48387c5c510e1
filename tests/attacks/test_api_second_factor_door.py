"""Ways round the second factor over the API: guesses, Basic, starting over, a trusted browser."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.sessions.models import LoginSession
from accounts.throttle.limits import CODE_SUBSCRIBER, FACTOR_ACCOUNT, FACTOR_DAY
from accounts.users.models import User
from tests.attacks.passkey_steps import set_up
from tests.attacks.second_steps import (
    WRONG_DIGITS,
    half_way,
    mails_about,
    new_recovery_codes,
    staff,
    with_factor,
)
from tests.attacks.test_lockdown import lock_down, switch_off
from tests.attacks.trusted_steps import trusting
from tests.conftest import Clock
from tests.support.api import Answer, call, get_tokens, is_good, second_step
from tests.support.second import CHALLENGE, SETUP, code_of, enrolled, turn_on
from tests.support.steps import PASSWORD, WRONG, make_user, sign_up
from tests.support.webauthn import registered

pytestmark = pytest.mark.django_db

GUESSES = FACTOR_ACCOUNT.burst
HOME = "203.0.113.5"


def at(address: str) -> Client:
    return Client(REMOTE_ADDR=address)  # type: ignore[arg-type]


def guess(i: int, code: str = WRONG_DIGITS) -> Answer:
    """A code, after a first step anew, from another address."""
    there = at(f"192.0.2.{i}")
    return second_step(get_tokens(client=there)["challenge"], code, there)


def families() -> int:
    return LoginSession.objects.filter(kind="api").count()


def test_cve_2025_64102_a_new_challenge_gives_no_guess_back(clock: Clock) -> None:
    _alice, seed = with_factor()

    assert [guess(i).status for i in range(1, GUESSES + 1)] == [401] * GUESSES
    refused = guess(99, code_of(seed))
    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (
        429,
        "throttled",
        "60",
    )

    clock.advance(seconds=60)
    assert guess(99, code_of(seed)).status == 200
    assert len(mails_about("too many codes were wrong")) == 1


@pytest.mark.parametrize("by_page", [0, 2, GUESSES])
def test_guesses_on_pages_and_calls_are_counted_together(clock: Clock, by_page: int) -> None:
    _alice, seed = with_factor()
    for i in range(by_page):
        page = half_way(REMOTE_ADDR=f"192.0.2.{100 + i}")
        assert page.post(CHALLENGE, {"code": WRONG_DIGITS}).status_code == 200
    for i in range(GUESSES - by_page):
        assert guess(i).status == 401

    assert guess(50, code_of(seed)).status == 429
    page = half_way(REMOTE_ADDR="192.0.2.200")
    assert page.post(CHALLENGE, {"code": code_of(seed)}).status_code == 429


def test_a_patient_guesser_has_as_many_guesses_as_on_the_pages(clock: Clock) -> None:
    with_factor()
    for i in range(FACTOR_DAY.burst):
        assert guess(i).status == 401
        clock.advance(minutes=1)

    refused = guess(99)

    assert refused.status == 429
    assert int(refused.headers["Retry-After"]) == FACTOR_DAY.refill - 60 * FACTOR_DAY.burst


def test_one_address_cannot_guess_at_many_accounts_over_the_api(clock: Clock) -> None:
    names = [f"person{i}" for i in range(CODE_SUBSCRIBER.burst // GUESSES + 1)]
    for name in names:
        with_factor(name)
    challenges = [get_tokens(name)["challenge"] for name in names]

    statuses = [second_step(one, WRONG_DIGITS).status for one in challenges for _ in range(GUESSES)]

    assert statuses == [401] * CODE_SUBSCRIBER.burst + [429] * GUESSES


def test_guessers_elsewhere_do_not_keep_the_owners_program_out(clock: Clock) -> None:
    _alice, seed = with_factor()
    home = at(HOME)
    assert second_step(get_tokens(client=home)["challenge"], code_of(seed), home).status == 200
    for i in range(GUESSES + 1):
        guess(i)
    clock.advance(seconds=30)

    assert second_step(get_tokens(client=home)["challenge"], code_of(seed), home).status == 200


FACTORS: dict[str, Callable[[Any], Any]] = {
    "authenticator": enrolled,
    "passkey": registered,
    "recovery codes": lambda user: (enrolled(user), new_recovery_codes(user)),
}


@pytest.mark.parametrize("factor", FACTORS.values(), ids=FACTORS)
def test_basic_with_a_password_is_no_way_round_the_second_factor(
    factor: Callable[[Any], Any],
) -> None:
    factor(make_user("alice"))

    for login in ("alice", "ALICE", "alice@example.org"):
        for path in ("me/", "sessions/", "activity/"):
            answer = call(path, basic=f"{login}:{PASSWORD}")
            assert (answer.status, answer.code) == (401, "second_factor_required")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "challenge" not in answer.body, "a call is no sign-in"
    answer = call("token/", {}, basic=f"alice:{PASSWORD}")
    assert (answer.status, answer.code) == (401, "second_factor_required")
    assert call("me/", basic=f"alice:{WRONG}").code == "invalid_credentials"


def test_basic_with_a_password_opens_calls_only_where_the_setting_says_so(settings: Any) -> None:
    make_user("alice")
    assert call("me/", basic=f"alice:{PASSWORD}").status == 200

    set_up(settings, api_basic_password="off")

    for password in (PASSWORD, WRONG):
        answer = call("me/", basic=f"alice:{password}")
        assert (answer.status, answer.code) == (401, "invalid_credentials")
    signed = call("token/", {}, basic=f"alice:{PASSWORD}")
    assert call("me/", basic=f"{signed['access']}:x").status == 200


@pytest.mark.parametrize("required", ["all", "staff"])
def test_cve_2026_94218_who_must_enrol_gets_no_token_by_starting_over(
    settings: Any, required: str
) -> None:
    set_up(settings, second_factor=required)
    staff()
    page = half_way("carol")

    for _ in range(3):
        answer = get_tokens("carol")
        assert (answer.status, answer.code) == (403, "enrolment_required")
        assert set(answer.body) == {"detail", "code"}
        assert call("me/", basic=f"carol:{PASSWORD}").code == "enrolment_required"
        page.get(SETUP)
    # A browser that is on its way through the enrolment is no help.
    assert get_tokens("carol", page).code == "enrolment_required"
    assert call("me/", client=page).status == 401
    assert families() == 0

    assert turn_on(page).status_code == 302
    assert get_tokens("carol").code == "second_factor_required"


def test_a_setting_that_comes_later_is_asked_at_the_next_sign_in(settings: Any) -> None:
    make_user("bob")
    assert get_tokens("bob").status == 200

    set_up(settings, second_factor="all")

    assert get_tokens("bob").code == "enrolment_required"


def test_a_trusted_browsers_cookie_means_nothing_to_the_api() -> None:
    alice, _seed = with_factor()
    trusted = trusting(alice)

    assert get_tokens(client=trusted).code == "second_factor_required"
    assert call("me/", client=trusted, basic=f"alice:{PASSWORD}").code == "second_factor_required"
    assert call("me/", client=trusted).status == 401
    assert families() == 0


@pytest.mark.parametrize("has_factor", [False, True])
def test_no_password_opens_an_account_that_was_locked_down(has_factor: bool) -> None:
    alice = make_user("alice")
    if has_factor:
        enrolled(alice)
    lock_down(User.objects.get())

    for password in (PASSWORD, "", "!", User.objects.get().password):
        answer = call("token/", {"username": "alice", "password": password})
        assert answer.status in {400, 401}
        assert answer.code in {"", "invalid_credentials"}
    assert call("me/", basic=f"alice:{PASSWORD}").code == "invalid_credentials"


def test_who_was_switched_off_is_told_so_after_the_right_password_only() -> None:
    alice, _seed = with_factor()
    switch_off(alice)

    for answer in (get_tokens(), call("me/", basic=f"alice:{PASSWORD}")):
        assert (answer.status, answer.code) == (403, "account_inactive")
        assert set(answer.body) == {"detail", "code"}
    wrong = call("token/", {"username": "alice", "password": WRONG})
    assert (wrong.status, wrong.code) == (401, "invalid_credentials")


def test_a_sign_up_that_waits_gets_no_token() -> None:
    sign_up(Client(), "mallory")

    for answer in (get_tokens("mallory"), call("me/", basic=f"mallory:{PASSWORD}")):
        assert (answer.status, answer.code) == (401, "email_not_verified")
    assert get_tokens("mallory@example.org").code == "invalid_credentials", "nobody's address yet"
    assert families() == 0


@pytest.mark.parametrize("happens", [lock_down, switch_off])
@pytest.mark.parametrize("has_factor", [False, True], ids=["one step", "two steps"])
def test_proofs_checked_before_a_change_give_no_token_after_it(
    monkeypatch: pytest.MonkeyPatch, happens: Callable[[Any], None], has_factor: bool
) -> None:
    """The account changes between the check of the last proof and the admission."""
    from accounts.tokens import services

    alice = make_user("alice")
    seed = enrolled(alice) if has_factor else ""
    begin = services._begin

    def begin_late(*args: Any) -> Any:
        happens(User.objects.get())
        return begin(*args)

    monkeypatch.setattr(services, "_begin", begin_late)
    answer = get_tokens()
    if has_factor:
        answer = second_step(answer["challenge"], code_of(seed))

    assert (answer.status, answer.code) == (401, "invalid_credentials")
    assert LoginSession.objects.filter(kind="api", ended_at=None).count() == 0
    assert not is_good(answer.body.get("access", "x"))
