"""Attacks on the challenges with which the API asks for the second step."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from accounts.tokens.models import TokenChallenge
from accounts.users.models import User
from tests.support.administration import by_staff
from tests.support.api import call, claims_of, get_tokens, is_good, second_step
from tests.support.api_steps import FINISH, api_sessions, first_step, first_step_of_alice, mail_for
from tests.support.clock import Clock
from tests.support.lockdown import change_password, lock_down, switch_off
from tests.support.second_factor import CHALLENGE, code_of, set_up_authenticator
from tests.support.second_steps import (
    WRONG_DIGITS,
    after_password,
    mails_about,
    new_recovery_codes,
    with_factor,
)
from tests.support.signin import signed_in

pytestmark = pytest.mark.django_db


def test_a_right_password_alone_gives_a_challenge_and_nothing_else(clock: Clock) -> None:
    alice, seed = with_factor()

    answer = get_tokens()

    challenge = answer["challenge"]
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert set(answer.body) == {"detail", "code", "challenge", "methods"}
    assert answer["methods"] == ["totp", "email"]
    assert api_sessions() == 0
    assert not alice.activity.filter(kind__startswith="client_signed_in").exists()
    assert call("me/", token=challenge).status == 401
    assert call("me/", basic=f"{challenge}:x").status == 401
    assert call("token/refresh/", {"refresh": challenge}).code == "token_not_valid"
    clock.advance(minutes=2)
    access = second_step(challenge, code_of(seed))["access"]
    claims = claims_of(access)
    assert is_good(access)
    assert (claims["amr"], claims["acr"]) == (["pwd", "otp"], "aal2")
    assert claims["auth_time"] == claims["iat"]


def test_a_challenge_is_valid_for_five_minutes_stored_as_a_digest_and_then_pruned(
    clock: Clock,
) -> None:
    late, seed = first_step_of_alice()
    (row,) = TokenChallenge.objects.values()
    assert late not in str(row)
    for text in (row["digest"], late[:-1], late.swapcase(), "x", str(row["user_id"]), "\u0660"):
        assert second_step(text, code_of(seed)).code == "invalid_challenge"
    in_time = first_step()
    clock.advance(seconds=299)
    assert second_step(in_time, code_of(seed)).status == 200
    clock.advance(seconds=1)

    for answer in (second_step(late, code_of(seed)), mail_for(late)):
        assert answer.code == "invalid_challenge"
    assert api_sessions() == 1
    call_command("prune")
    assert not TokenChallenge.objects.exists()


def test_a_challenge_allows_five_codes_and_a_new_one_needs_the_password(clock: Clock) -> None:
    challenge, seed = first_step_of_alice()
    for _ in range(5):
        assert second_step(challenge, WRONG_DIGITS).code == "invalid_code"
    clock.advance(minutes=3)

    assert second_step(challenge, code_of(seed)).code == "invalid_challenge"
    assert second_step(first_step(), code_of(seed)).status == 200


def test_a_challenge_is_used_up_by_success_only(clock: Clock) -> None:
    challenge, seed = first_step_of_alice()
    assert second_step(challenge, WRONG_DIGITS).code == "invalid_code"
    assert second_step(challenge, code_of(seed)).status == 200
    clock.advance(seconds=30)

    assert second_step(challenge, code_of(seed)).code == "invalid_challenge"
    assert mail_for(challenge).code == "invalid_challenge"
    assert api_sessions() == 1


@pytest.mark.parametrize(
    "happens",
    [
        change_password,
        lock_down,
        switch_off,
        lambda alice: by_staff(alice, {"is_active": "on", "is_staff": "on"}),
        lambda alice: set_up_authenticator(signed_in(alice), name="Tablet"),
        new_recovery_codes,
    ],
    ids=["password", "lockdown", "switched off", "rights", "factor", "recovery codes"],
)
def test_a_challenge_is_invalid_after_a_change_of_the_account(
    clock: Clock, happens: Callable[[Any], None]
) -> None:
    challenge, seed = first_step_of_alice()

    happens(User.objects.get(username="alice"))
    clock.advance(seconds=60)

    assert second_step(challenge, code_of(seed)).code == "invalid_challenge"
    assert mail_for(challenge).code == "invalid_challenge"
    assert api_sessions() == 0


def test_another_users_challenge_or_code_is_useless() -> None:
    _alice, alices = with_factor()
    _mallory, mallorys = with_factor("mallory")
    hers, his = first_step(), first_step("mallory")

    assert second_step(hers, code_of(mallorys)).code == "invalid_code"
    assert second_step(his, code_of(alices)).code == "invalid_code"
    theirs = {"challenge": his, "code": code_of(mallorys)}
    assert call("token/challenge/", {**theirs, "user": "alice"}).status == 400
    answer = call("token/challenge/", theirs)
    assert claims_of(answer["access"])["sub"] == str(User.objects.get(username="mallory").pk)


def test_a_mailed_code_completes_only_the_challenge_that_requested_it(
    clock: Clock,
) -> None:
    with_factor()
    challenge, other = first_step(), first_step()
    page = after_password()

    assert mail_for(challenge).status == 202
    (mail,) = mails_about(FINISH, "alice@example.org")
    assert mail_for(challenge).status == 429, "a second mail is not sent at once"
    assert second_step(other, mail.code).code == "invalid_code"
    page.post(CHALLENGE, {"code": mail.code})
    assert page.get("/").status_code == 302

    claims = claims_of(second_step(challenge, mail.code)["access"])
    assert (claims["amr"], claims["acr"]) == (["pwd", "mail"], "aal1")
    assert second_step(first_step(), mail.code).code == "invalid_code"
    clock.advance(minutes=5)
    (page := after_password()).post(CHALLENGE, {"mail": "1"})
    of_page = mails_about(FINISH)[-1].code
    assert of_page != mail.code
    assert second_step(first_step(), of_page).code == "invalid_code"
    page.post(CHALLENGE, {"code": of_page})
    assert page.get("/").status_code == 200, "a code that the page requested works on the page"
