"""Attacks with browsers that skip the second step, and with weak proofs."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import serializers
from django.core.management import call_command
from django.test import Client

from accounts.activity.services import Actor
from accounts.recovery.locks import lock_down
from accounts.sessions.models import LoginSession
from accounts.twofactor.models import TrustedBrowser
from accounts.twofactor.services import set_emailed_codes
from accounts.users.models import User
from accounts.users.services import AccountChanged
from tests.support.api import second_step
from tests.support.api_steps import first_step, mail_for
from tests.support.passkeys import (
    add_passkey,
    options_of,
    owner,
    person,
    post_credential,
    times_in_history,
)
from tests.support.second_factor import (
    CHALLENGE,
    EMAILED_CODES,
    enrolled,
    set_up_authenticator,
    unused_code,
)
from tests.support.second_steps import (
    CHANGES,
    COOKIE,
    FIREFOX,
    TRUSTED,
    after_password,
    browser,
    factors_of,
    mails_about,
    needs_second_step,
    reset_by_mail,
    trusting_browser,
    with_cookie,
    with_factor,
)
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import IPHONE, LOGIN, PASSWORD, is_signed_in, make_user, sign_in
from tests.support.webauthn import LOGIN_PASSKEY, registered


@pytest.fixture
def alice():
    user = person()
    enrolled(user)
    return user


def test_a_trusted_browser_skips_the_second_step(alice, settings):
    settings.SESSION_COOKIE_SECURE = True
    here = trusting_browser(alice)

    assert not needs_second_step(here)

    login = LoginSession.objects.filter(user=alice).latest("begun_at")
    assert (login.amr, login.acr) == (["pwd", "trusted_browser"], "aal1")
    cookie = here.cookies[COOKIE]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Lax")
    assert (cookie["path"], cookie["domain"]) == ("/", "")
    assert cookie["max-age"] == timedelta(days=30).total_seconds()


def test_a_copied_trust_cookie_is_refused_in_another_kind_of_browser(alice):
    """Withstands a thief with a cookie."""
    value = trusting_browser(alice).cookies[COOKIE].value

    for agent in (IPHONE, FIREFOX.replace("X11; Linux x86_64", "Windows NT 10.0"), ""):
        assert needs_second_step(with_cookie(value, agent)), agent
    assert not needs_second_step(with_cookie(value, FIREFOX.replace("142", "143"))), (
        "an update of the browser keeps the trust"
    )


def test_a_trust_cookie_works_only_for_its_user_and_only_with_the_password(alice):
    """Withstands a thief with a cookie."""
    bob = person("bob")
    enrolled(bob)
    here = trusting_browser(alice)

    here.cookies.pop("sessionid")
    assert not is_signed_in(here)
    assert here.get(CHALLENGE).url == LOGIN
    assert post_credential(here, "{}", LOGIN_PASSKEY).status_code == 200
    assert not is_signed_in(here)
    assert sign_in(here, "alice", "not her password at all").status_code == 200
    assert needs_second_step(here, "bob")


def test_a_forged_trust_cookie_or_a_database_row_does_not_skip_the_second_step(alice):
    """Withstands a forger."""
    here = trusting_browser(alice)
    row = TrustedBrowser.objects.get()
    assert here.cookies[COOKIE].value not in serializers.serialize("json", [row])

    forged = ["", "true", "a" * 43, "a" * 5000, "é", '"']
    for value in (*forged, row.digest, row.digest.upper(), str(row.pk), str(alice.pk)):
        assert needs_second_step(with_cookie(value)), value[:50]


def test_no_browser_can_be_trusted_when_the_setting_is_0(alice, settings):
    set_up(settings, trusted_browser_days=0)
    here = after_password()
    assert "trust" not in here.get(CHALLENGE).text

    here.post(CHALLENGE, {"code": unused_code(alice), "trust": "on"})

    assert is_signed_in(here)
    assert COOKIE not in here.cookies


def test_no_browser_is_trusted_before_the_second_step_succeeds(alice):
    """Withstands a thief with the password."""
    registered(alice)
    _mallory, foreign = owner("mallory")
    here = browser()

    here.post(LOGIN, {"login": "alice", "password": PASSWORD, "trust": "on"})
    credential = foreign.get(options_of(here, f"{CHALLENGE}?method=passkey"))
    for posted in ({"code": "000000"}, {}, {"mail": "1"}, {"credential": credential}):
        here.post(CHALLENGE, {"trust": "on", **posted})
    here.post(TRUSTED, {"trust": "on"})

    assert COOKIE not in here.cookies
    assert not TrustedBrowser.objects.exists()


def test_another_users_trusted_browsers_are_neither_visible_nor_revocable(alice):
    """Withstands another member."""
    here = trusting_browser(alice)
    row = TrustedBrowser.objects.get()
    thief = signed_in(person("mallory"))

    assert "Firefox" not in thief.get(TRUSTED).text
    thief.post(TRUSTED, {"end": str(row.pk)})
    thief.post(TRUSTED, {"all": "1"})
    for number in ("", "-1", "9" * 30, "²", "\0", "a"):
        assert thief.post(TRUSTED, {"end": number}).status_code == 302
        here.post(TRUSTED, {"end": number})

    assert not needs_second_step(here)
    assert times_in_history(alice, "trust_ended") == 0


def test_two_users_of_one_browser_are_trusted_separately(alice):
    bob = person("bob")
    enrolled(bob)
    here = trusting_browser(alice)
    here.cookies.pop("sessionid")
    assert sign_in(here, "bob").url == CHALLENGE
    here.post(CHALLENGE, {"code": unused_code(bob), "trust": "on"})
    assert not needs_second_step(here, "alice")
    assert not needs_second_step(here, "bob")
    here.post(TRUSTED, {"all": "1"})

    assert needs_second_step(here, "bob")
    assert not needs_second_step(here, "alice")


@proves("V3.3.5")
def test_a_planted_trust_cookie_with_many_parts_is_refused_and_does_not_grow(alice):
    """Withstands a hostile client."""
    here = with_cookie(".".join(["a" * 43] * 8))
    assert needs_second_step(here)

    here.post(CHALLENGE, {"code": unused_code(alice), "trust": "on"})

    assert is_signed_in(here)
    assert len(here.cookies[COOKIE].value) <= 400
    assert not needs_second_step(here)


ENDS: dict[str, Callable[[Client, Any], object]] = {
    "this one ended": lambda here, alice: here.post(
        TRUSTED, {"end": str(alice.trusted_browsers.get().pk)}
    ),
    "all ended": lambda here, _alice: here.post(TRUSTED, {"all": "1"}),
    **{name: lambda _here, alice, do=do: do(alice) for name, do in CHANGES.items()},
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_changes_of_credentials_and_the_owner_end_the_trust(alice, end):
    here = trusting_browser(alice)
    copy = with_cookie(here.cookies[COOKIE].value)

    end(here, alice)

    alice.refresh_from_db()
    if not alice.has_usable_password():
        reset_by_mail(alice)
        alice.refresh_from_db()
    if not factors_of(alice):
        enrolled(alice)
    assert "Trusted until" not in signed_in(alice).get(TRUSTED).text
    assert needs_second_step(copy)


def test_the_trust_ends_after_its_days_or_after_fewer_that_are_set_later(alice, clock, settings):
    here = trusting_browser(alice)
    clock.advance(days=30, seconds=-1)
    assert not needs_second_step(here), "using the trust does not extend it"
    for days, is_over in ((31, False), (29, True), (0, True)):
        set_up(settings, trusted_browser_days=days)
        assert needs_second_step(here) is is_over

    set_up(settings, trusted_browser_days=30)
    clock.advance(seconds=1)

    assert needs_second_step(here)
    call_command("prune", verbosity=0)
    assert not TrustedBrowser.objects.exists()


FINISH = "code to finish signing in"
LOCKDOWN = "/accounts/lockdown/"


def turn(browser, state):
    assert browser.post(EMAILED_CODES, {"emailed_codes": state}).url == "/accounts/2fa/"


def emailed_code_signs_in():
    """Return whether the password and an emailed code sign alice in."""
    browser = after_password()
    if browser.post(CHALLENGE, {"mail": "1"}).status_code == 302:
        browser.post(CHALLENGE, {"code": mails_about(FINISH)[-1].code})
    return is_signed_in(browser)


def test_a_code_that_was_emailed_before_the_owner_turned_it_off_is_refused(clock):
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


@pytest.mark.parametrize("add", [set_up_authenticator, add_passkey])
def test_the_first_factor_turns_emailed_codes_off_until_the_owner_turns_them_on(add):
    browser = signed_in(make_user("alice", emailed_codes=True))
    add(browser)

    browser.get(f"{EMAILED_CODES}?emailed_codes=on")
    assert not emailed_code_signs_in()

    turn(browser, "on")
    assert emailed_code_signs_in()


@pytest.mark.parametrize("days, then, ends", [(6, "on", 1), (8, "on", 0), (6, "off", 0)])
def test_a_lock_turns_off_emailed_codes_that_a_thief_may_have_turned_on(clock, days, then, ends):
    """Withstands a thief in the account."""
    alice, _seed = with_factor(emailed_codes=False)
    clock.advance(days=30)
    browser = signed_in(alice)
    turn(browser, "on")
    turn(browser, then)
    clock.advance(days=days)
    browser = signed_in(alice)
    said = "Emailed codes will be turned off for the second step."

    assert (said in browser.get(LOCKDOWN).text) == ends
    browser.post(LOCKDOWN)

    assert User.objects.get().emailed_codes == (then == "on" and not ends)
    assert times_in_history(alice, "emailed_codes_off") == ends + (then == "off")


def test_a_request_from_before_a_lock_does_not_turn_emailed_codes_on():
    with_factor()
    before = User.objects.get()
    lock_down(before, Actor())

    with pytest.raises(AccountChanged):
        set_emailed_codes(before, Actor(), is_on=True)
