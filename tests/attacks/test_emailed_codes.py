"""Emailed codes as the second step: they are off unless the owner turns them on."""

import pytest
from django.test import Client

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.recovery.locks import lock_down
from accounts.twofactor.services import set_emailed_codes
from accounts.users.models import User
from accounts.users.services import AccountChanged
from tests.support.api import second_step
from tests.support.api_steps import first_step, mail_for
from tests.support.clock import Clock
from tests.support.second_factor import CHALLENGE, EMAILED_CODES, set_up_authenticator
from tests.support.second_steps import after_password, mails_about, with_factor
from tests.support.signin import signed_in
from tests.support.steps import is_signed_in, make_user
from tests.support.webauthn import ADD, Passkey, options_on

pytestmark = pytest.mark.django_db


FINISH = "code to finish signing in"
LOCKDOWN = "/accounts/lockdown/"


def turn(browser: Client, state: str) -> None:
    assert browser.post(EMAILED_CODES, {"emailed_codes": state}).url == "/accounts/2fa/"


def emailed_code_signs_in() -> bool:
    """Return whether the password and an emailed code sign alice in."""
    browser = after_password()
    if browser.post(CHALLENGE, {"mail": "1"}).status_code == 302:
        browser.post(CHALLENGE, {"code": mails_about(FINISH)[-1].code})
    return is_signed_in(browser)


def test_a_code_that_was_emailed_before_the_owner_turned_it_off_is_refused(clock: Clock) -> None:
    alice, _seed = with_factor()
    on_a_page, challenge = after_password(), first_step()
    on_a_page.post(CHALLENGE, {"mail": "1"})
    of_page = mails_about(FINISH)[-1].code
    clock.advance(minutes=1)
    assert mail_for(challenge).status == 202
    of_api = mails_about(FINISH)[-1].code

    turn(signed_in(alice), "off")

    on_a_page.post(CHALLENGE, {"code": of_page})
    assert not is_signed_in(on_a_page)
    assert second_step(challenge, str(of_api)).code == "invalid_code"
    clock.advance(minutes=1)
    assert mail_for(first_step(methods={"totp"})).status == 401
    assert not emailed_code_signs_in()


@pytest.mark.parametrize("factor", ["app", "passkey"])
def test_the_first_factor_turns_emailed_codes_off_until_the_owner_turns_them_on(
    factor: str,
) -> None:
    browser = signed_in(make_user("alice"))
    if factor == "app":
        set_up_authenticator(browser)
    else:
        credential = Passkey().create(options_on(browser.get(ADD).text))
        browser.post(ADD, {"credential": credential})

    assert not emailed_code_signs_in()

    turn(browser, "on")
    assert emailed_code_signs_in()


def test_opening_the_page_does_not_turn_emailed_codes_on() -> None:
    alice, _seed = with_factor()
    User.objects.update(emailed_codes=False)

    signed_in(alice).get(f"{EMAILED_CODES}?emailed_codes=on")

    assert not emailed_code_signs_in()


@pytest.mark.parametrize("days, stays", [(6, False), (8, True)])
def test_a_lock_turns_off_emailed_codes_that_a_thief_may_have_turned_on(
    clock: Clock, days: int, *, stays: bool
) -> None:
    alice, _seed = with_factor(emailed_codes=False)
    clock.advance(days=30)
    browser = signed_in(alice)
    turn(browser, "on")
    clock.advance(days=days)
    browser = signed_in(alice)
    said = "Emailed codes will be turned off for the second step."

    assert (said in browser.get(LOCKDOWN).text) is not stays
    browser.post(LOCKDOWN)

    assert User.objects.get().emailed_codes is stays
    assert Activity.objects.filter(kind="emailed_codes_off").exists() is not stays


def test_a_request_from_before_a_lock_does_not_turn_emailed_codes_on() -> None:
    with_factor()
    before = User.objects.get()
    lock_down(before, Actor())

    with pytest.raises(AccountChanged):
        set_emailed_codes(before, Actor(), is_on=True)
