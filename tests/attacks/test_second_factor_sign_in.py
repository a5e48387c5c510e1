"""Attacks between the two steps of a sign-in, and ways around the second step."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.support.administration import by_superuser
from tests.support.clock import Clock
from tests.support.second_factor import CHALLENGE, SETUP, code_of, enrolled, seed_on
from tests.support.second_steps import (
    CHANGES,
    after_password,
    code_signs_in,
    factors_of,
    mails_about,
    new_recovery_codes,
    staff,
    with_factor,
)
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, is_signed_in, make_user, outbox, sign_in
from tests.support.urls import ROUTES, address

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"
BY_CODE = "/accounts/login/code/"
NEW = "a lantern over seven wet roofs"

CLOSED = {
    route for route, entry in ROUTES.items() if getattr(entry.callback, "login_required", True)
}
EVERYTHING = {
    **{"login": "carol", "username": "carol", "email": "carol@example.org", "password": PASSWORD},
    **{"password1": NEW, "next": "/admin/", "remove": "1", "others": "1", "new": "1"},
}


@pytest.mark.parametrize("has_factor", [True, False], ids=["second step", "enrolment"])
def test_7_3_an_unfinished_sign_in_reaches_no_page(has_factor: bool) -> None:
    carol = staff()
    if has_factor:
        enrolled(carol)
    browser, session = after_password("carol"), signed_in(make_user("bob"))
    assert len(CLOSED) > 30

    for route in sorted(CLOSED):
        for answer in (browser.get(address(route)), browser.post(address(route), EVERYTHING)):
            assert answer.status_code == 302, route
            assert "/login/?next=" in answer["Location"], route
    assert session.get("/").status_code == 200
    assert not is_signed_in(browser)


@pytest.mark.parametrize("has_factor", [True, False], ids=["second step", "enrolment"])
def test_a_password_alone_gives_a_session_on_no_page(has_factor: bool) -> None:
    carol = staff()
    if has_factor:
        enrolled(carol)
    browser = after_password("carol")

    for route in sorted(ROUTES):
        browser.post(address(route), EVERYTHING)
        browser.get(address(route))
        assert not is_signed_in(browser), route
        assert browser.get("/admin/").status_code == 302, route
    assert factors_of(carol) == int(has_factor)
    assert carol.login_sessions.count() == 0
    assert sign_in(Client(), "carol").status_code == 302, "the password has not changed"


def test_the_first_step_is_valid_for_thirty_minutes_and_is_not_extended(
    clock: Clock,
) -> None:
    _alice, seed = with_factor()
    carol = staff()
    late, busy, enrolling, in_time = (
        after_password(),
        after_password(),
        after_password("carol"),
        after_password(),
    )
    hers = seed_on(enrolling.get(SETUP).text)
    for _ in range(3):
        clock.advance(minutes=9, seconds=59)
        busy.post(CHALLENGE, {"mail": "1"})
        busy.post(CHALLENGE, {"code": "000000"})
        busy.get(CHALLENGE)

    in_time.post(CHALLENGE, {"code": code_of(seed)})
    clock.advance(seconds=3)
    answers = [browser.post(CHALLENGE, {"code": code_of(seed, 1)}) for browser in (late, busy)]
    answers.append(enrolling.post(SETUP, {"code": code_of(hers)}))

    assert is_signed_in(in_time)
    assert [answer["Location"].partition("?")[0] for answer in answers] == [LOGIN] * 3
    assert not is_signed_in(late)
    assert not is_signed_in(busy)
    assert factors_of(carol) == 0


SWITCHES: dict[str, Callable[[Any], Any]] = {
    "switched off and on": lambda user: by_superuser(user, "deactivate", "reactivate"),
    "switched off": lambda user: type(user).objects.filter(pk=user.pk).update(is_active=False),
}


@pytest.mark.parametrize("change", (CHANGES | SWITCHES).values(), ids=CHANGES | SWITCHES)
def test_an_unfinished_sign_in_is_invalid_once_credentials_change(
    change: Callable[[Any], Any],
) -> None:
    alice, seed = with_factor()
    browser = after_password()

    change(alice)
    answer = browser.post(CHALLENGE, {"code": code_of(seed, 1)})

    assert answer["Location"] == LOGIN
    assert not is_signed_in(browser)


def test_a_code_mailed_before_a_change_is_invalid_after_it() -> None:
    alice, _seed = with_factor()
    browser = after_password()
    browser.post(CHALLENGE, {"mail": "1"})
    code = str(mails_about("code")[-1].code)
    new_recovery_codes(alice)

    browser = after_password(browser=browser)
    browser.post(CHALLENGE, {"code": code})

    assert not is_signed_in(browser)


def test_session_fixation_the_session_key_changes_at_both_steps() -> None:
    _alice, seed = with_factor()
    browser, mallory, copy = Client(), Client(), Client()
    mallory.post(BY_CODE, {"login": "mallory"})
    browser.cookies["sessionid"] = planted = mallory.cookies["sessionid"].value

    after_password(browser=browser)
    copy.cookies["sessionid"] = between = browser.cookies["sessionid"].value

    assert between != planted
    assert mallory.get(CHALLENGE)["Location"] == LOGIN
    browser.post(CHALLENGE, {"code": code_of(seed)})
    assert is_signed_in(browser)
    assert browser.cookies["sessionid"].value != between
    for other in (mallory, copy):
        assert other.get(CHALLENGE)["Location"] == LOGIN
        other.post(CHALLENGE, {"code": code_of(seed, 1)})
        assert not is_signed_in(other)


def test_the_second_step_belongs_to_the_last_account_of_the_first_step() -> None:
    """The second step completes the sign-in that was started last in a browser."""
    with_factor()
    _mallory, seed = with_factor("mallory")
    browser = after_password()
    after_password("mallory", browser)

    browser.post(CHALLENGE, {"code": code_of(seed)})

    assert "mallory" in browser.get("/").text
    assert not code_signs_in(code_of(seed), "alice")


def test_a_mailed_code_is_no_second_step_after_a_sign_in_by_mail() -> None:
    """This includes a code that was requested after the password in the same browser."""
    with_factor()
    browser = after_password()
    browser.post(CHALLENGE, {"mail": "1"})
    earlier = str(outbox()[-1].code)
    browser.post(BY_CODE, {"login": "alice"})
    assert browser.post(BY_CODE, {"code": str(outbox()[-1].code)})["Location"] == CHALLENGE
    count = len(outbox())

    asked = browser.post(CHALLENGE, {"mail": "1"})
    assert asked.status_code == 401
    assert len(outbox()) == count
    browser.post(CHALLENGE, {"code": earlier})

    assert not is_signed_in(browser)
    assert "?method=email" not in browser.get(CHALLENGE).text


@pytest.mark.parametrize("rights", ["is_staff", "is_superuser"])
def test_a_mailed_code_is_no_second_step_for_staff(rights: str) -> None:
    carol, seed = with_factor("carol")
    browser = after_password("carol")
    browser.post(CHALLENGE, {"mail": "1"})
    earlier = str(outbox()[-1].code)
    type(carol).objects.filter(pk=carol.pk).update(**{rights: True})
    count = len(outbox())

    assert browser.post(CHALLENGE, {"mail": "1"}).status_code == 401
    assert len(outbox()) == count
    browser.post(CHALLENGE, {"code": earlier})
    assert not is_signed_in(browser)
    browser.post(CHALLENGE, {"code": code_of(seed)})
    assert is_signed_in(browser)
