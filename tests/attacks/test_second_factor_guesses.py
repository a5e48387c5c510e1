"""Guessing at the second step: its limits, and that they do not block the owner."""

import pytest
from django.test import Client

from accounts.activity.models import Activity
from accounts.common.proofs import Method
from accounts.throttle.limits import (
    CODE_GUESS,
    FACTOR_ACCOUNT,
    FACTOR_SUBSCRIBER,
    FACTOR_SUBSCRIBER_DAY,
)
from tests.support.clock import Clock
from tests.support.second_factor import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    code_of,
    recovery_codes_on,
    seed_on,
)
from tests.support.second_steps import (
    REAUTHENTICATE,
    WRONG_DIGITS,
    after_password,
    code_signs_in,
    mails_about,
    with_factor,
)
from tests.support.signin import signed_in
from tests.support.steps import LOGOUT, is_signed_in, make_user, outbox, path_of, sign_in

pytestmark = pytest.mark.django_db

GUESSES = FACTOR_SUBSCRIBER.burst
HOME = "203.0.113.5"
BLOCKED = "too many wrong codes"


def guess(browser: Client, code: str = WRONG_DIGITS) -> int:
    return int(browser.post(CHALLENGE, {"code": code}).status_code)


def guesses(n: int, *, first: int = 1, line: int = 0, code: str = WRONG_DIGITS) -> list[int]:
    """Guess ``n`` times, each in a new sign-in from another IP address; return the statuses."""
    addresses = (f"10.{line}.0.{i}" for i in range(first, first + n))
    return [guess(after_password(REMOTE_ADDR=address), code) for address in addresses]


def test_7_5_cve_2025_64102_signing_in_again_gives_no_new_guesses(clock: Clock) -> None:
    _alice, seed = with_factor()

    assert guesses(GUESSES + 1) == [200] * GUESSES + [429]
    refused = after_password(REMOTE_ADDR="10.0.0.99").post(CHALLENGE, {"code": code_of(seed)})
    assert refused.status_code == 429
    assert refused["Retry-After"] == "60"

    clock.advance(seconds=60)
    assert code_signs_in(code_of(seed), REMOTE_ADDR="10.0.0.99")


def test_only_time_restores_guesses(clock: Clock) -> None:
    with_factor()
    make_user("mallory")
    asked, gone = after_password(), after_password()
    assert guesses(GUESSES) == [200] * GUESSES

    sign_in(Client(), "alice")
    sign_in(Client(), "mallory")
    Client().post("/accounts/login/code/", {"login": "alice"})
    asked.get(CHALLENGE)
    asked.post(CHALLENGE, {"mail": "1"})
    gone.post("/accounts/logout/")

    assert guesses(1, first=20) == [429]


def test_a_successful_second_step_restores_no_guesses(clock: Clock) -> None:
    _alice, seed = with_factor()

    assert guesses(GUESSES - 1) == [200] * (GUESSES - 1)
    assert code_signs_in(code_of(seed), REMOTE_ADDR=HOME)

    assert guesses(2, first=20) == [200, 429]


def test_guesses_in_every_spelling_and_on_every_page_are_counted(clock: Clock) -> None:
    alice, _seed = with_factor()
    make_user("bob")
    session = signed_in(alice, by=[Method.PASSWORD, Method.MAIL])
    Client().post("/accounts/password/reset/", {"login": "alice"})
    link = path_of(outbox()[-1].action_url)
    mailed = after_password()
    mailed.post(CHALLENGE, {"mail": "1"})

    statuses = [
        guess(after_password(), "000 000"),
        guess(after_password(), "\u0660" * 6),
        guess(mailed, "000-000"),
        session.post(REAUTHENTICATE, {"code": "000000"}).status_code,
        Client().post(link, {"code": "000000"}).status_code,
    ]

    assert statuses == [200] * GUESSES
    assert session.post(REAUTHENTICATE, {"code": "000000"}).status_code == 429
    assert Client().post(link, {"code": "000000"}).status_code == 429
    assert guess(after_password()) == 429


@pytest.mark.parametrize("code", ["aaaaa-aaaaa", "0000 0000"])
def test_guesses_at_recovery_and_mailed_codes_are_limited_by_network(
    clock: Clock, code: str
) -> None:
    """These codes are too long to guess, so the guesses do not count for the account."""
    _alice, seed = with_factor()
    mallory = after_password()
    mallory.post(CHALLENGE, {"mail": "1"})

    statuses = [guess(mallory, code) for _ in range(CODE_GUESS.burst + 1)]

    assert statuses == [200] * CODE_GUESS.burst + [429]
    assert not is_signed_in(mallory)
    assert code_signs_in(code_of(seed), REMOTE_ADDR=HOME)


def test_second_factor_guesses_from_elsewhere_do_not_block_a_known_browser(clock: Clock) -> None:
    _alice, seed = with_factor()
    hers = after_password()
    guess(hers, code_of(seed))
    assert is_signed_in(hers)
    hers.post("/accounts/logout/")
    for line in range(2):
        assert guesses(GUESSES + 1, line=line) == [200] * GUESSES + [429]
    assert code_signs_in(code_of(seed, 1), REMOTE_ADDR="10.9.0.1"), (
        "two networks do not use up the account's guesses"
    )
    for line in range(2, 6):
        guesses(GUESSES, line=line)

    clock.advance(minutes=1)
    assert guess(after_password(REMOTE_ADDR="10.9.0.1"), code_of(seed)) == 429
    assert guess(after_password(browser=hers), code_of(seed)) == 302
    hers.post("/accounts/logout/")
    statuses = [guess(after_password(browser=hers)) for _ in range(GUESSES + 1)]
    assert statuses == [200] * GUESSES + [429], "guesses from a known browser are limited, too"


def test_a_browser_known_by_a_mailed_code_only_has_no_guesses_of_its_own(
    clock: Clock,
) -> None:
    _alice, seed = with_factor()
    browser = after_password()
    browser.post(CHALLENGE, {"mail": "1"})
    guess(browser, str(mails_about("code")[-1].code))
    assert is_signed_in(browser)
    browser.post("/accounts/logout/")
    assert [guess(after_password()) for _ in range(GUESSES)] == [200] * GUESSES

    assert guess(after_password(browser=browser), code_of(seed)) == 429


def test_a_patient_attacker_has_thirty_guesses_and_then_one_every_48_minutes(
    clock: Clock,
) -> None:
    """One wide network has only twelve of them, so that it cannot block the owner."""
    with_factor()
    statuses = []
    for i in range(FACTOR_SUBSCRIBER_DAY.burst):
        for line in (0, 1, 2) if i < 9 else (0,):
            statuses.append(guess(after_password(REMOTE_ADDR=f"10.{line}.0.{i}")))
        clock.advance(minutes=1)
    refused = after_password(REMOTE_ADDR="10.3.0.1").post(CHALLENGE, {"code": WRONG_DIGITS})

    assert statuses == [200] * FACTOR_ACCOUNT.burst
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) == FACTOR_ACCOUNT.per
    clock.advance(seconds=FACTOR_ACCOUNT.per)
    statuses = [guess(after_password(REMOTE_ADDR=f"10.{line}.0.1")) for line in (0, 3, 3)]
    assert statuses == [429, 200, 429]


def test_one_ip_address_cannot_guess_at_many_accounts(clock: Clock) -> None:
    names = [f"person{i}" for i in range(CODE_GUESS.burst // GUESSES + 1)]
    for name in names:
        with_factor(name)
    browsers = {name: after_password(name) for name in names}

    statuses = [guess(browsers[name]) for name in names for _ in range(GUESSES)]

    assert statuses == [200] * CODE_GUESS.burst + [429] * GUESSES


def test_the_owner_is_mailed_at_most_once_an_hour_about_guesses(clock: Clock) -> None:
    alice, _seed = with_factor()

    guesses(GUESSES + 3)
    assert [mail.to for mail in mails_about(BLOCKED)] == ["alice@example.org"]
    assert alice.activity.filter(kind="factor_failed_new").count() == 1
    assert alice.activity.filter(kind="factor_failed").count() == GUESSES - 1

    before = alice.activity.count()
    assert guesses(5, first=40) == [429] * 5
    assert alice.activity.count() == before, "refused guesses are not recorded"

    clock.advance(minutes=61)
    guesses(GUESSES + 3, first=30)
    assert len(mails_about(BLOCKED)) == 2
    assert len(mails_about("failed at the second")) == 1
    clock.advance(days=1)
    guesses(1)
    assert len(mails_about("failed at the second")) == 2, "the mail is sent once a day"


def test_guesses_do_not_block_the_browser_in_which_the_factor_was_added(clock: Clock) -> None:
    home = signed_in(make_user("alice"))
    seed = seed_on(home.get(SETUP).text)
    assert home.post(SETUP, {"code": code_of(seed)}).status_code == 302
    codes = recovery_codes_on(home.get(RECOVERY_CODES).text)

    clock.advance(minutes=2)
    for line in range(6):
        guesses(GUESSES, line=line)
    home.post("/accounts/logout/")

    assert guess(after_password(browser=home), code_of(seed)) == 302
    assert code_signs_in(codes[0], REMOTE_ADDR="203.0.113.7"), (
        "recovery codes work in every network"
    )


def test_a_few_wrong_codes_in_a_session_send_no_mail(clock: Clock) -> None:
    alice, _seed = with_factor()
    browser = signed_in(alice)
    before = len(outbox())

    for _ in range(4):
        browser.post(REAUTHENTICATE, {"code": WRONG_DIGITS})

    assert len(outbox()) == before
    kinds = set(Activity.objects.filter(user=alice).values_list("kind", flat=True))
    assert "proof_failed" in kinds
    assert not {"factor_failed", "factor_failed_new", "factor_blocked"} & kinds


def test_a_thief_with_the_password_cannot_use_up_the_mailed_codes_of_a_known_browser(
    clock: Clock,
) -> None:
    _alice, seed = with_factor()
    hers = after_password(REMOTE_ADDR=HOME)
    assert hers.post(CHALLENGE, {"code": code_of(seed)}).status_code == 302
    hers.post(LOGOUT)
    for line in range(4):
        thieves = [after_password(REMOTE_ADDR=f"10.{line}.0.{i}") for i in range(1, 11)]
        assert [thief.post(CHALLENGE, {"mail": "1"}).status_code for thief in thieves] == [302] * 10
    assert after_password(REMOTE_ADDR="10.9.0.1").post(CHALLENGE, {"mail": "1"}).status_code == 429

    sign_in(hers, "alice")
    assert hers.post(CHALLENGE, {"mail": "1"}).status_code == 302
