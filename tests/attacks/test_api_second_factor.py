"""The second step over the API: what is held between the steps, and which codes end it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from accounts.sessions.models import LoginSession
from accounts.tokens.models import TokenChallenge
from accounts.users.models import User
from tests.attacks.passkey_steps import set_up
from tests.attacks.second_steps import (
    WRONG_DIGITS,
    enters,
    half_way,
    mails_about,
    new_recovery_codes,
    staff,
    with_factor,
)
from tests.attacks.test_lockdown import change_password, lock_down, switch_off
from tests.attacks.test_sessions import by_staff
from tests.conftest import Clock
from tests.support.api import Answer, call, claims_of, get_tokens, is_good, second_step
from tests.support.second import CHALLENGE, code_of, enrolled, turn_on
from tests.support.signin import signed_in
from tests.support.steps import make_user
from tests.support.webauthn import registered

pytestmark = pytest.mark.django_db

FINISH = "to finish signing in"


def first_step(name: str = "alice", methods: set[str] | None = None) -> str:
    """The challenge that is given for a right password."""
    answer = get_tokens(name)
    assert (answer.status, answer.code) == (401, "second_factor_required")
    assert methods is None or set(answer["methods"]) == methods
    return str(answer["challenge"])


def mail_for(challenge: str) -> Answer:
    return call("token/challenge/", {"challenge": challenge, "method": "email"})


def families() -> int:
    return LoginSession.objects.filter(kind="api").count()


def test_a_right_password_alone_gives_a_challenge_and_nothing_else() -> None:
    alice, _seed = with_factor()

    answer = get_tokens()

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert set(answer.body) == {"detail", "code", "challenge", "methods"}
    assert answer["methods"] == ["totp", "email"]
    assert families() == 0
    assert not alice.activity.filter(kind__startswith="client_signed_in").exists()
    for path in ("me/", "sessions/"):
        assert call(path, token=answer["challenge"]).status == 401
        assert call(path, basic=f"{answer['challenge']}:x").status == 401
    assert call("token/refresh/", {"refresh": answer["challenge"]}).code == "token_not_valid"


def test_both_steps_give_tokens_that_say_so(clock: Clock) -> None:
    _alice, seed = with_factor()
    challenge = first_step()
    clock.advance(minutes=2)

    answer = second_step(challenge, code_of(seed))

    claims = claims_of(answer["access"])
    assert is_good(answer["access"])
    assert (claims["amr"], claims["acr"]) == (["pwd", "otp"], "aal2")
    assert claims["auth_time"] == claims["iat"]


@pytest.mark.parametrize("seconds, good", [(299, True), (300, False)])
def test_a_challenge_is_good_for_five_minutes(clock: Clock, seconds: int, good: bool) -> None:
    _alice, seed = with_factor()
    challenge = first_step()
    second_step(challenge, WRONG_DIGITS)
    clock.advance(seconds=seconds)

    answer = second_step(challenge, code_of(seed))

    assert (answer.status, answer.code) == ((200, "") if good else (401, "invalid_challenge"))
    assert families() == good
    assert mail_for(challenge).code == "invalid_challenge"


def test_a_challenge_is_good_for_five_codes_and_a_new_one_costs_a_first_step(
    clock: Clock,
) -> None:
    _alice, seed = with_factor()
    challenge = first_step()
    for _ in range(5):
        assert second_step(challenge, WRONG_DIGITS).code == "invalid_code"
        clock.advance(seconds=10)
    clock.advance(minutes=2)

    assert second_step(challenge, code_of(seed)).code == "invalid_challenge"
    assert second_step(first_step(), code_of(seed)).status == 200


def test_a_challenge_is_spent_by_success_and_by_nothing_else(clock: Clock) -> None:
    _alice, seed = with_factor()
    challenge = first_step()
    assert second_step(challenge, WRONG_DIGITS).code == "invalid_code"
    assert second_step(challenge, code_of(seed)).status == 200
    clock.advance(seconds=30)

    assert second_step(challenge, code_of(seed)).code == "invalid_challenge"
    assert mail_for(challenge).code == "invalid_challenge"
    assert families() == 1


def test_an_unknown_challenge_is_refused_like_a_used_one() -> None:
    _alice, seed = with_factor()
    challenge = first_step()

    for text in (challenge[:-1], challenge.swapcase(), "x", str(User.objects.get().pk), "\u0660"):
        assert second_step(text, code_of(seed)).code == "invalid_challenge"
    assert second_step(challenge, code_of(seed)).status == 200


@pytest.mark.parametrize(
    "happens",
    [
        change_password,
        lock_down,
        switch_off,
        lambda alice: by_staff(alice, {"is_active": "on", "is_staff": "on"}),
        lambda alice: turn_on(signed_in(alice), name="Tablet"),
        new_recovery_codes,
    ],
    ids=["password", "lockdown", "switched off", "rights", "factor", "recovery codes"],
)
def test_a_challenge_from_before_a_change_of_the_account_is_worth_nothing(
    clock: Clock, happens: Callable[[Any], None]
) -> None:
    _alice, seed = with_factor()
    challenge = first_step()

    happens(User.objects.get(username="alice"))
    clock.advance(seconds=60)

    assert second_step(challenge, code_of(seed)).code == "invalid_challenge"
    assert mail_for(challenge).code == "invalid_challenge"
    assert families() == 0


def test_anothers_challenge_or_anothers_code_opens_nothing() -> None:
    _alice, alices = with_factor()
    _mallory, mallorys = with_factor("mallory")
    hers, his = first_step(), first_step("mallory")

    assert second_step(hers, code_of(mallorys)).code == "invalid_code"
    assert second_step(his, code_of(alices)).code == "invalid_code"
    answer = call(
        "token/challenge/", {"challenge": his, "code": code_of(mallorys), "user": "alice"}
    )
    assert claims_of(answer["access"])["sub"] == str(User.objects.get(username="mallory").pk)


@pytest.mark.parametrize("first", ["page", "call"])
def test_a_code_is_good_once_on_pages_and_calls_together(clock: Clock, first: str) -> None:
    _alice, seed = with_factor()
    code = code_of(seed)
    doors = {
        "page": lambda: enters(code),
        "call": lambda: second_step(first_step(), code).status == 200,
    }
    second = ({*doors} - {first}).pop()

    assert doors[first]()
    clock.advance(seconds=29)
    assert not doors[second]()
    assert not doors[first]()


@pytest.mark.parametrize("first", ["page", "call"])
def test_a_recovery_code_is_good_once_on_pages_and_calls_together(first: str) -> None:
    alice, _seed = with_factor()
    code = new_recovery_codes(alice)[0]
    doors = {
        "page": lambda: enters(code),
        "call": lambda: second_step(first_step(), code.upper()).status == 200,
    }
    assert set(get_tokens()["methods"]) == {"totp", "recovery_code", "email"}

    assert doors[first]()
    assert not any(door() for door in doors.values())
    assert len(mails_about("recovery code was used")) == 1


def test_a_mailed_code_ends_the_challenge_that_it_was_asked_for_by_and_no_other(
    clock: Clock,
) -> None:
    with_factor()
    challenge, other = first_step(), first_step()
    page = half_way()

    assert mail_for(challenge).status == 202
    (mail,) = mails_about(FINISH, "alice@example.org")
    assert mail_for(challenge).status == 429, "a mailbox isn't filled"
    assert second_step(other, mail.code).code == "invalid_code"
    page.post(CHALLENGE, {"code": mail.code})
    assert page.get("/").status_code == 302

    answer = second_step(challenge, mail.code)
    claims = claims_of(answer["access"])
    assert (claims["amr"], claims["acr"]) == (["pwd", "mail"], "aal1")
    assert second_step(first_step(), mail.code).code == "invalid_code"


def test_a_code_that_was_mailed_for_a_page_ends_no_challenge() -> None:
    with_factor()
    page = half_way()
    page.post(CHALLENGE, {"mail": "1"})
    (mail,) = mails_about(FINISH)

    assert second_step(first_step(), mail.code).code == "invalid_code"


def test_an_account_with_nothing_but_passkeys_is_not_let_in_by_a_mailbox() -> None:
    alice = make_user("alice")
    registered(alice)
    challenge = first_step(methods=set())

    assert mail_for(challenge).status == 401
    assert mails_about(FINISH) == []
    assert second_step(challenge, "AAAA2222").code == "invalid_code"
    assert families() == 0


@pytest.mark.parametrize("rights", [{"is_staff": True}, {"is_superuser": True}])
def test_staff_are_mailed_no_code(rights: dict[str, bool]) -> None:
    carol = make_user("carol", **rights)
    seed = enrolled(carol)
    challenge = first_step("carol", methods={"totp"})

    assert mail_for(challenge).status == 401
    assert mails_about(FINISH) == []
    assert second_step(challenge, code_of(seed)).status == 200


@pytest.mark.parametrize("has_passkey", [False, True])
def test_no_code_will_do_for_staff_who_must_have_a_passkey_and_none_is_used_up(
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
    assert families() == 0
    set_up(settings, staff_factor="any")
    assert second_step(first_step("carol"), codes[0]).status == 200


def test_a_challenge_is_kept_as_a_digest_and_forgotten_when_it_is_over(clock: Clock) -> None:
    with_factor()
    challenge = first_step()
    (row,) = TokenChallenge.objects.values()
    assert challenge not in str(row)
    assert second_step(row["digest"], WRONG_DIGITS).code == "invalid_challenge"

    clock.advance(minutes=5)
    call_command("prune")

    assert not TokenChallenge.objects.exists()
