"""Second factors, passkeys and recovery codes as older proofs in disputes."""

import pytest
from django.test import Client

from accounts.activity.services import Actor
from accounts.recovery.locks import lock_down
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.users.models import User
from tests.support.clock import Clock
from tests.support.disputes import alice, reset_link, sets_password
from tests.support.passkeys import options_of, owner, post_credential
from tests.support.second_factor import (
    CHALLENGE,
    RECOVERY_CODES,
    code_of,
    enrolled,
    recovery_codes_on,
)
from tests.support.second_factor import set_up_authenticator as adds_an_app
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, is_signed_in, sign_in
from tests.support.webauthn import Passkey, registered

pytestmark = pytest.mark.django_db


def test_a_removed_factor_is_not_accepted_without_a_lock_and_guesses_are_limited(
    home: Client, clock: Clock
) -> None:
    """The attacker has found the replaced phone and reads the mailbox."""
    old = enrolled(alice())
    clock.advance(days=8)
    browser = signed_in(alice())
    browser.post("/accounts/reauthenticate/", {"code": code_of(old)})
    adds_an_app(browser, name="New")
    clock.advance(minutes=1)
    browser.post("/accounts/reauthenticate/", {"code": code_of(old)})
    row = Authenticator.objects.get(name="Phone")
    assert browser.post(f"/accounts/2fa/totp/{row.pk}/", {"remove": "1"}).status_code == 302
    clock.advance(days=1)
    finder = Client()
    finder.post(reset_link(), {"code": code_of(old)})
    assert not sets_password(finder, reset_link())

    lock_down(alice(), Actor())
    link = reset_link()
    clock.advance(minutes=1)
    right = code_of(old)
    answers = [finder.post(link, {"code": "000000"}).status_code for _ in range(6)]
    assert answers[-1] == 429
    assert finder.post(link, {"code": right}).status_code == 429
    clock.advance(minutes=10)
    shows = [Client().post(link, {"code": code_of(old)}).status_code for _ in range(2)]
    assert shows == [302, 200], "a code works once"


def test_the_browser_is_not_told_to_delete_a_suspended_passkey(clock: Clock) -> None:
    _alice, passkey = owner()
    User.objects.update(date_joined=clock.now().replace(year=2020))
    lock_down(User.objects.get(), Actor())

    page = post_credential(Client(), passkey.get(options_of(Client())))

    assert not is_signed_in(page.client)
    assert "data-signal" not in page.text


def test_a_passkey_leads_to_the_recovery_of_a_locked_account_without_a_mailbox(
    home: Client, clock: Clock
) -> None:
    """The owner may have nothing but the passkey and a known browser."""
    passkey = registered(alice())
    clock.advance(days=8)
    lock_down(alice(), Actor())
    browser = Client()
    link = recovery_page_by_passkey(browser, passkey)
    assert "<li>a second factor</li>" in browser.get(link).text
    assert not sets_password(browser, link), "one proof is not enough, not even a factor"
    assert sets_password(home, recovery_page_by_passkey(home, passkey))


def recovery_page_by_passkey(browser: Client, passkey: Passkey) -> str:
    """Sign in to a locked account with its passkey; return the recovery page's path."""
    answer = post_credential(browser, passkey.get(options_of(browser)))
    return str(browser.get(answer.url).url)


def test_a_passkey_removed_by_a_thief_is_accepted_once_at_the_reset_of_a_locked_account(
    home: Client, clock: Clock
) -> None:
    enrolled(alice())
    passkey = registered(alice())
    clock.advance(days=8)
    stolen = Client()
    post_credential(stolen, passkey.get(options_of(stolen)))
    row = alice().passkey_set.get()
    assert stolen.post(f"/accounts/2fa/passkeys/{row.pk}/", {"remove": "1"}).status_code == 302
    lock_down(alice(), Actor())

    browser, link = Client(), reset_link()
    credential = passkey.get(options_of(browser, link))
    answers = [post_credential(each, credential, link).status_code for each in (browser, Client())]
    assert answers == [302, 200], "an answer works once"
    assert sets_password(browser, link)


def test_recovery_codes_count_as_older_proof_if_a_thief_replaced_them(
    home: Client, clock: Clock
) -> None:
    enrolled(alice())
    clock.advance(minutes=1)
    browser = signed_in(alice())
    browser.post(RECOVERY_CODES, {"new": "1"})
    codes = recovery_codes_on(browser.get(RECOVERY_CODES).text)
    clock.advance(days=30)
    thief = Client()
    sign_in(thief, "alice")
    thief.post(CHALLENGE, {"code": codes[0]})
    thief.post(RECOVERY_CODES, {"new": "1"})
    lock_down(alice(), Actor())
    assert not RecoveryCodes.objects.exists()

    browser, link = Client(), reset_link()
    browser.post(link, {"code": codes[1]})
    assert sets_password(browser, link)
    assert Client().post(reset_link(), {"code": codes[1]}).status_code == 200, "used up"


def test_a_factor_that_a_thief_removed_is_still_required(home: Client, clock: Clock) -> None:
    seed = enrolled(alice())
    clock.advance(days=8)
    thief = signed_in(alice())
    thief.post("/accounts/reauthenticate/", {"code": code_of(seed)})
    thief.post(f"/accounts/2fa/totp/{Authenticator.objects.get().pk}/", {"remove": "1"})
    assert not Authenticator.objects.exists()
    lock_down(alice(), Actor())

    browser, link = Client(), reset_link()
    browser.post(link, {"former": PASSWORD})
    assert not sets_password(browser, link), (
        "mailbox and password are not enough without the factor"
    )
    clock.advance(minutes=1)
    browser.post(link, {"code": code_of(seed)})
    assert sets_password(browser, link)
