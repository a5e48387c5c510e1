"""Codes work once: replays, other spellings, earlier codes, other users' codes."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.cache import cache
from django.test import Client

from accounts.throttle.models import StoredBudget
from tests.support.clock import Clock
from tests.support.second_factor import CHALLENGE, SETUP, code_of, enrolled, seed_on
from tests.support.second_steps import (
    after_password,
    code_signs_in,
    factors_of,
    mails_about,
    new_recovery_codes,
    with_factor,
)
from tests.support.signin import signed_in
from tests.support.steps import is_signed_in, make_user

pytestmark = pytest.mark.django_db

FULL_WIDTH = {ord("0") + n: chr(0xFF10 + n) for n in range(10)}
ARABIC = {ord("0") + n: chr(0x0660 + n) for n in range(10)}
# ``int()`` and ``str.isdigit()`` accept all of these as the same number.
WRITINGS = {
    "as it was": lambda code: code,
    "spaces": lambda code: f" {code[:3]} {code[3:]} ",
    "no-break spaces": lambda code: f"\xa0{code[:3]}\u2009{code[3:]}",
    "full width": lambda code: code.translate(FULL_WIDTH),
    "Arabic digits": lambda code: code.translate(ARABIC),
    "mixed digits": lambda code: code[:3].translate(ARABIC) + code[3:].translate(FULL_WIDTH),
    "plus sign": lambda code: f"+{code}",
    "leading zeros": lambda code: f"000{code}",
    "underscores": "_".join,
}


@pytest.mark.parametrize("written", WRITINGS.values(), ids=WRITINGS)
def test_7_4_a_used_code_is_refused_in_every_spelling(written: Any) -> None:
    _alice, seed = with_factor()
    first, second = code_of(seed), code_of(seed, 1)

    assert code_signs_in(first)
    assert not code_signs_in(written(first))
    assert [code_signs_in(written(second)), code_signs_in(second)].count(True) == 1


def test_a_code_used_to_reauthenticate_cannot_sign_in() -> None:
    alice, seed = with_factor()
    session, code = signed_in(alice), code_of(seed)

    assert session.post("/accounts/reauthenticate/", {"code": code}).status_code == 302
    assert not code_signs_in(code)


def test_the_code_that_enrolled_an_authenticator_cannot_sign_in() -> None:
    alice = make_user("alice")
    browser = signed_in(alice)
    code = code_of(seed_on(browser.get(SETUP).text))
    assert browser.post(SETUP, {"code": code}).status_code == 302
    assert factors_of(alice) == 1

    assert not code_signs_in(code)


def test_one_seed_cannot_be_enrolled_twice() -> None:
    alice = make_user("alice")
    browser = signed_in(alice)
    seed = seed_on(browser.get(SETUP).text)
    shown = dict(browser.session)
    browser.post(SETUP, {"code": code_of(seed)})

    # The state that a second click finds if it arrives before the first one is saved.
    session = browser.session
    session["totp_seed"] = shown["totp_seed"]
    session.save()
    answer = browser.post(SETUP, {"code": code_of(seed, 1)})

    assert answer.status_code == 200
    assert seed_on(answer.text) == seed
    assert factors_of(alice) == 1


def test_no_earlier_code_is_accepted_once_a_later_one_was_used(clock: Clock) -> None:
    _alice, seed = with_factor()
    before, now, after = (code_of(seed, steps) for steps in (-1, 0, 1))

    assert code_signs_in(after)
    assert not code_signs_in(now)
    assert not code_signs_in(before)
    clock.advance(seconds=30)
    assert not code_signs_in(after), "the code is current now, but used"
    clock.advance(seconds=30)
    assert code_signs_in(code_of(seed))


def test_a_replay_is_refused_even_after_limits_and_caches_were_flushed() -> None:
    _alice, seed = with_factor()
    code = code_of(seed)
    assert code_signs_in(code)

    StoredBudget.objects.all().delete()
    cache.clear()

    assert not code_signs_in(code)


def test_a_code_of_another_user_is_refused() -> None:
    alice, _seed = with_factor()
    bob, seed = with_factor("bob")
    theirs = new_recovery_codes(bob)
    new_recovery_codes(alice)

    assert not code_signs_in(code_of(seed, 1), "alice")
    assert not code_signs_in(theirs[0], "alice")
    assert code_signs_in(code_of(seed, 1), "bob"), (
        "an attempt on another account does not use up a code"
    )
    assert code_signs_in(theirs[0], "bob")


def test_a_code_of_a_removed_authenticator_is_refused() -> None:
    from accounts.twofactor.models import Authenticator

    alice, seed = with_factor()
    other = enrolled(alice)
    lost = Authenticator.objects.filter(user=alice).earliest("pk")
    assert code_signs_in(code_of(other, -1)), "each of two authenticators works"
    alice.refresh_from_db()
    session = signed_in(alice)

    answer = session.post(f"/accounts/2fa/totp/{lost.pk}/", {"remove": "1"})

    assert answer.status_code == 302
    assert factors_of(alice) == 1
    assert not code_signs_in(code_of(seed))
    assert code_signs_in(code_of(other))


def test_another_users_authenticator_cannot_be_seen_renamed_or_removed() -> None:
    from accounts.twofactor.models import Authenticator

    alice, _seed = with_factor()
    row = Authenticator.objects.get(user=alice)
    mallory = signed_in(make_user("mallory"))
    page = f"/accounts/2fa/totp/{row.pk}/"

    statuses = [mallory.get(page).status_code]
    statuses += [mallory.post(page, data).status_code for data in ({"remove": "1"}, {"name": "x"})]

    assert statuses == [404] * 3
    assert Authenticator.objects.get(user=alice).name == row.name


@pytest.mark.parametrize(
    "written",
    [str, str.upper, lambda code: f" {code.replace('-', ' - ')} ".translate(FULL_WIDTH)],
    ids=["as it was", "capitals", "spaces"],
)
def test_a_recovery_code_works_once_in_every_spelling(written: Any) -> None:
    alice, _seed = with_factor()
    codes = new_recovery_codes(alice)
    for _ in range(3):
        after_password().post(CHALLENGE, {"code": "bbbbb-bbbbb"})

    assert code_signs_in(written(codes[0])), "wrong codes use up no recovery code"
    assert not code_signs_in(codes[0])
    assert not code_signs_in(written(codes[0]))
    assert code_signs_in(codes[1])


def test_recovery_codes_are_invalid_after_a_new_set_and_without_an_authenticator() -> None:
    from accounts.twofactor.models import Authenticator, RecoveryCodes

    alice, _seed = with_factor()
    former = new_recovery_codes(alice)
    latter = new_recovery_codes(alice)
    assert not code_signs_in(former[0])
    assert code_signs_in(latter[0])

    row = Authenticator.objects.get(user=alice)
    assert signed_in(alice).post(f"/accounts/2fa/totp/{row.pk}/", {"remove": "1"}).status_code
    assert not RecoveryCodes.objects.exists()
    alice.refresh_from_db()
    enrolled(alice)

    assert not code_signs_in(latter[1])


def mailed_code(browser: Client) -> str:
    """Request a mailed code at the second step and return it."""
    assert browser.post(CHALLENGE, {"mail": "1"}).status_code == 302
    mail = mails_about("code to finish signing in")[-1]
    assert mail.to == "alice@example.org"
    return str(mail.code)


def test_a_mailed_second_step_code_works_once_and_only_in_its_own_browser(
    clock: Clock,
) -> None:
    with_factor()
    asked = after_password()
    code = mailed_code(asked)

    assert not code_signs_in(code), "a code does not work in another browser"
    asked.post(CHALLENGE, {"code": code})
    assert is_signed_in(asked)
    clock.advance(minutes=1)
    again = after_password()
    mailed_code(again)
    again.post(CHALLENGE, {"code": code})
    assert not is_signed_in(again)


def test_a_mailed_sign_in_code_is_no_second_step_and_the_other_way_round() -> None:
    with_factor()
    by_mail = Client()
    by_mail.post("/accounts/login/code/", {"login": "alice"})
    first = str(mails_about("code to sign in")[-1].code)
    asked = after_password()
    second = mailed_code(asked)

    asked.post(CHALLENGE, {"code": first})
    assert not is_signed_in(asked)
    assert by_mail.post("/accounts/login/code/", {"code": second}).status_code == 200
    asked.post(CHALLENGE, {"code": second})
    assert is_signed_in(asked), "the wrong attempts have not used up the code"


def test_no_typed_code_causes_a_server_error() -> None:
    with_factor()
    browser = after_password()
    codes = ["", "\0" * 6, "12345", "²³¹²³¹", "①②③④⑤⑥", "1e5000", "\ud800" * 6, "nan000"]
    codes += ["a" * 20_000, "-" * 64, "aaaaa-aaaaa"]

    for code in codes:
        body = urlencode({"code": code.encode("utf-8", "surrogatepass")})
        answer = browser.post(CHALLENGE, body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code in {200, 429}, ascii(code)[:20]
        assert not is_signed_in(browser)


def test_no_authenticator_id_causes_a_server_error() -> None:
    browser = signed_in(with_factor()[0])

    for number in ("0", "999999", str(2**63), "9" * 19, "9" * 5000):
        assert browser.get(f"/accounts/2fa/totp/{number}/").status_code == 404
        assert browser.post(f"/accounts/2fa/totp/{number}/", {"remove": "1"}).status_code == 404
