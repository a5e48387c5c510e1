"""Attacks on the removal of lost second factors and on resets."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.activity.services import Actor
from accounts.common.proofs import Method, Proof
from accounts.common.secrets import encryption_key
from accounts.recovery import services as recovery
from accounts.recovery.models import Recovery
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.users.models import User
from accounts.users.services import confirm_email
from tests.support.disputes import asks_to_wait, lock, reloaded, reset_link
from tests.support.passkeys import signs_in
from tests.support.second_factor import CHALLENGE, SETUP, code_of, enrolled, seed_on, unused_code
from tests.support.second_steps import (
    ASKED,
    CHANGES,
    HOURS,
    NEW,
    REAUTHENTICATE,
    RESET,
    after_password,
    code_signs_in,
    factors_of,
    finish_recovery,
    mails_about,
    new_recovery_codes,
    opens,
    request_recovery,
    with_factor,
)
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import PASSWORD, is_signed_in, make_user, outbox, path_of, sign_in
from tests.support.webauthn import registered


def test_the_waiting_period_ends_exactly_when_it_is_due(clock):
    """Withstands a thief with the mailbox: the wait for a lost factor."""
    alice, _seed = with_factor()
    with_factor("bob")
    request_recovery("bob")
    clock.advance(hours=1)
    assert not finish_recovery(), "a request for another account does not count"
    request_recovery()

    clock.advance(hours=HOURS, seconds=-1)
    assert not finish_recovery()
    assert finish_recovery("bob")
    clock.advance(seconds=1)
    session = signed_in(alice)
    assert finish_recovery()
    assert not is_signed_in(session), "every session is revoked"


def test_a_recovery_request_expires_seven_days_after_its_waiting_period(clock):
    alice, _seed = with_factor()
    (link,) = request_recovery()
    clock.advance(hours=HOURS, days=7, seconds=-1)
    assert Client().get(link).status_code == 200

    clock.advance(seconds=1)

    assert Client().get(link).status_code == 404
    assert not finish_recovery()
    assert factors_of(alice) == 1


def test_no_waiting_period_starts_or_ends_when_the_setting_is_off(clock, settings):
    with_factor()
    request_recovery()
    set_up(settings, factor_recovery_hours=0)

    clock.advance(hours=HOURS)

    assert not finish_recovery()
    assert Client().post(reset_link(), {"lost": "ask"}).status_code == 403


def test_a_request_that_was_stopped_cannot_be_made_again_for_thirty_days(clock):
    """Withstands a thief with the mailbox."""
    alice, _seed = with_factor()
    request_recovery()
    assert request_recovery() == [], "a request is already waiting"
    after_password().post(CHALLENGE, {"code": unused_code(alice)})

    clock.advance(days=29)
    assert request_recovery() == []
    clock.advance(days=2)
    assert len(request_recovery()) == 1


def test_the_end_of_the_waiting_period_sets_no_password(clock):
    alice, _seed = with_factor()
    request_recovery()
    clock.advance(hours=HOURS - 1)
    assert Client().post(reset_link(), {"lost": "finish"}).status_code == 403
    clock.advance(hours=1)

    browser, link = Client(), reset_link()
    browser.post(link, {"lost": "finish", "password1": NEW})

    assert factors_of(alice) == 0
    assert not opens(NEW)
    assert browser.post(link, {"password1": NEW}).status_code == 404


def test_nothing_but_the_wait_removes_a_factor_that_was_not_shown(clock):
    """Withstands a thief with a second factor."""
    alice, _seed = with_factor()
    clock.advance(days=8)
    browser, link = Client(), reset_link()
    browser.post(link, {"former": PASSWORD})

    assert browser.post(link, {"lost": "finish"}).status_code == 403
    assert factors_of(alice) == 1


def test_a_second_factor_stops_the_request_from_inside_and_the_page_says_so_for_ten_minutes(clock):
    alice, _seed = with_factor()
    home, page = signed_in(alice), "/accounts/recovery/"
    assert home.get(page).status_code == 404
    request_recovery()
    assert 'name="former"' not in home.get(page).text, "the password alone stops nothing"

    home.post(REAUTHENTICATE, {"code": unused_code(alice)})

    assert "has been stopped" in home.get(page).text
    assert signed_in(make_user("bob")).get(page).status_code == 404
    clock.advance(minutes=10)
    assert home.get(page).status_code == 404


CHANGE = "/accounts/password/change/"


def test_every_email_is_notified_and_each_link_cancels_the_request(clock):
    alice, _seed = with_factor()
    others = ["alice@work.example", "alice@home.example"]
    for address in others:
        confirm_email(alice, address)
    links = request_recovery()
    assert {mail.to for mail in mails_about(ASKED)} == {"alice@example.org", *others}
    assert len(set(links)) == 3

    assert "stopped" in Client().post(links[1], {"former": PASSWORD}).text

    clock.advance(hours=HOURS)
    assert not finish_recovery()
    assert [Client().post(link).status_code for link in links] == [404] * 3


def test_a_mail_scanner_that_opens_the_link_does_not_cancel_the_request(clock):
    """Withstands an accident."""
    with_factor()
    (link,) = request_recovery()
    of_reset = reset_link().rstrip("/").rpartition("/")[2]

    page = Client().get(link)
    assert "<span>one of your email addresses</span>" in page.text
    assert [page.status_code, Client().head(link).status_code] == [200, 200]
    assert Client(enforce_csrf_checks=True).post(link).status_code == 403
    assert Client().post(f"/accounts/2fa/recovery/{of_reset}/").status_code == 404

    clock.advance(hours=HOURS)
    assert finish_recovery()


def test_the_link_cancels_the_request_once_and_does_nothing_else(clock):
    """Withstands a thief with the mailbox: the link that stops a wait."""
    alice, _seed = with_factor()
    home, (link,), browser = signed_in(alice), request_recovery(), Client()
    token = link.rstrip("/").rpartition("/")[2]
    before = type(alice).objects.values().get(pk=alice.pk)

    for other in (RESET, "/accounts/lockdown/", "/accounts/confirm-email/", "/accounts/owner/"):
        assert browser.post(f"{other}{token}/", {"password1": NEW}).status_code == 404
    assert Recovery.objects.count() == 1
    fields = {"password1": NEW, "lost": "finish", "remove": "1", "code": "x"}
    browser.post(link, {**fields, "former": PASSWORD})

    assert type(alice).objects.values().get(pk=alice.pk) == before
    assert factors_of(alice) == 1
    assert [is_signed_in(home), is_signed_in(browser)] == [True, False]
    assert browser.post(link).status_code == 404


SIGNS: dict[str, Callable[[Any], Any]] = {
    "a good second step": lambda user: after_password().post(
        CHALLENGE, {"code": unused_code(user)}
    ),
    "a recovery code": lambda user: code_signs_in(new_recovery_codes(user)[0]),
    "a fresh proof by code": lambda user: signed_in(user).post(
        REAUTHENTICATE, {"code": unused_code(user)}
    ),
    "a passkey": lambda user: signs_in(registered(user)),
    **{
        what: CHANGES[what] for what in ("a reset by mail", "a lockdown", "a reset by the operator")
    },
}


@pytest.mark.parametrize("stops", ["the thief’s factor", "the owner’s factor", "Support"])
def test_a_stop_by_a_factor_that_a_lock_puts_aside_does_not_hold(clock, stops):
    """Withstands a thief in the account."""
    alice = make_user("alice")
    enrolled(alice)
    clock.advance(days=30)
    enrolled(alice)
    assert asks_to_wait(Client(), reset_link())
    is_thiefs = stops == "the thief’s factor"
    factor = alice.authenticator_set.order_by("pk")[is_thiefs]
    proof = Proof.now(Method.TOTP, factor.persistent_id)
    assert recovery.cancel(reloaded(alice), proof, actor=Actor())
    if stops == "Support":
        Recovery.objects.update(stopped_by=None)
    assert not asks_to_wait(Client(), reset_link())

    lock(alice)

    assert asks_to_wait(Client(), reset_link()) is is_thiefs


@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS)
def test_any_sign_of_the_owner_cancels_the_request(clock, sign):
    alice, _seed = with_factor()
    request_recovery()
    assert Recovery.objects.exists()

    sign(alice)

    assert recovery.running(type(alice).objects.get()) is None


def test_actions_that_need_no_second_factor_do_not_cancel_the_request(clock):
    alice, _seed = with_factor()
    request_recovery()

    after_password().post(CHALLENGE, {"mail": "1"})
    after_password().post(CHALLENGE, {"code": "000000"})
    Client().post(RESET, {"login": "alice"})
    (link,) = [path_of(mail.action_url) for mail in mails_about(ASKED)]
    assert "you also need a passkey or a code" in Client().post(link).text
    signed_in(alice).post(CHANGE, {"password1": PASSWORD})

    clock.advance(hours=HOURS)
    assert finish_recovery()


@proves("V6.4.3", "63B-4.2.1")
def test_a_reset_accepts_no_password_before_the_second_factor():
    """Withstands a thief with the mailbox."""
    _alice, seed = with_factor()
    link, browser = reset_link(), Client()

    shown = browser.get(link)
    assert 'name="code"' in shown.text
    assert 'name="password1"' not in shown.text
    browser.post(link, {"password1": NEW})
    browser.post(link, {"password1": NEW, "code": "000000"})
    browser.post(link, {"password1": NEW, "code": ""})
    assert not opens(NEW)
    browser.post(link, {"password1": NEW, "code": code_of(seed)})
    assert not opens(NEW), "the factor and the password need a form each"

    assert browser.post(link, {"password1": NEW})["Location"] == "/accounts/login/"
    assert sign_in(browser, "alice", NEW)["Location"] == CHALLENGE, (
        "the second step is still required"
    )
    assert not is_signed_in(browser)


def test_a_factor_verified_for_a_reset_counts_in_that_browser_for_fifteen_minutes(clock):
    _alice, seed = with_factor()
    link, owner, mallory = reset_link(), Client(), Client()
    mallory.post("/accounts/login/code/", {"login": "mallory"})
    owner.cookies["sessionid"] = planted = mallory.cookies["sessionid"].value
    assert owner.post(link, {"code": code_of(seed)}).status_code == 302

    mallory.post(link, {"password1": NEW})

    assert not opens(NEW)
    assert owner.cookies["sessionid"].value != planted
    assert 'name="password1"' in owner.get(link).text
    clock.advance(minutes=15)
    owner.post(link, {"password1": NEW})
    assert not opens(NEW)


def test_a_factor_verified_for_a_reset_counts_for_that_account_only(clock):
    with_factor()
    _mallory, seed = with_factor("mallory")
    browser, mallorys, first = Client(), reset_link("mallory"), reset_link()
    clock.advance(minutes=1)
    second = reset_link()
    browser.post(mallorys, {"code": code_of(seed)})
    assert 'name="password1"' in browser.get(mallorys).text

    for link in (first, second):
        browser.post(link, {"password1": NEW})
        assert not opens(NEW)


@proves("V6.4.3")
def test_a_mailed_code_is_no_second_factor_for_a_reset():
    """The mailbox already gives the link, so a mailed code proves nothing more."""
    with_factor()
    browser = after_password()
    browser.post(CHALLENGE, {"mail": "1"})
    code = str(outbox()[-1].code)
    link = reset_link()
    count = len(mails_about("code"))

    browser.post(link, {"mail": "1"})
    browser.post(link, {"code": code})
    browser.post(link, {"password1": NEW})

    assert len(mails_about("code")) == count
    assert not opens(NEW)


def test_a_code_used_for_a_reset_cannot_be_used_again():
    alice, seed = with_factor()
    recovery = new_recovery_codes(alice)[0]
    link = reset_link()
    assert Client().post(link, {"code": code_of(seed)}).status_code == 302
    assert Client().post(link, {"code": recovery}).status_code == 302

    assert not code_signs_in(code_of(seed))
    assert not code_signs_in(recovery)
    assert Client().post(link, {"code": recovery}).status_code == 200


def test_a_copied_cookie_and_the_password_do_not_bypass_the_second_step(settings):
    """Withstands a thief with a cookie."""
    set_up(settings, session_protection="basic")
    _alice, seed = with_factor()
    owner = Client(headers={"user-agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"})
    after_password(browser=owner).post(CHALLENGE, {"code": code_of(seed)})
    assert is_signed_in(owner)
    thief = Client(headers={"user-agent": "curl/8.14.1"})
    thief.cookies["sessionid"] = owner.cookies["sessionid"].value
    assert thief.get("/")["Location"].startswith(REAUTHENTICATE)
    assert 'name="password"' not in thief.get(REAUTHENTICATE).text

    thief.post(REAUTHENTICATE, {"password": PASSWORD})
    assert not is_signed_in(thief)
    thief.post(REAUTHENTICATE, {"password": PASSWORD, "code": "000000"})
    assert not is_signed_in(thief)
    thief.post(REAUTHENTICATE, {"password": PASSWORD, "code": code_of(seed)})
    assert not is_signed_in(thief), "a used code does not reauthenticate"
    thief.post(REAUTHENTICATE, {"code": code_of(seed, 1)})
    assert is_signed_in(thief), "the owner reauthenticates in another browser"


@proves("V7.5.1", "63B-4.1.2")
def test_factors_cannot_be_changed_without_recent_authentication(clock):
    browser = signed_in(with_factor()[0])
    browser.get(SETUP)
    clock.advance(minutes=11)
    before = list(Authenticator.objects.values())

    page = f"/accounts/2fa/totp/{before[0]['id']}/"
    acts = [(SETUP, {}), ("/accounts/2fa/recovery-codes/", {"new": "1"})]
    acts += [(page, {"remove": "1"}), (page, {"name": "mine"})]
    for path, data in acts:
        assert browser.post(path, data)["Location"].startswith(REAUTHENTICATE), data

    assert list(Authenticator.objects.values()) == before
    assert not RecoveryCodes.objects.exists()


def change(browser, user, **fields):
    row = Authenticator.objects.get(user=user)
    return browser.post(f"/accounts/2fa/totp/{row.pk}/", fields)


def test_a_password_does_not_reauthenticate_for_a_change_of_factors(clock):
    """Withstands a thief with the password."""
    alice, _seed = with_factor()
    browser = signed_in(alice)
    clock.advance(minutes=20)
    browser.post(REAUTHENTICATE, {"password": PASSWORD})

    answer = change(browser, alice, remove="1")

    assert answer.url.startswith(REAUTHENTICATE)
    assert 'name="password"' not in browser.get(answer.url).text
    browser.post(answer.url, {"password": PASSWORD})
    for fields in ({"remove": "1"}, {"name": "Mine"}):
        assert change(browser, alice, **fields).url.startswith(REAUTHENTICATE)
    browser.post(answer.url, {"code": unused_code(alice)})
    assert change(browser, alice, remove="1").url == "/accounts/2fa/"


def test_a_sign_up_link_opened_in_another_users_session_enrols_the_new_account(clock, settings):
    """Withstands another member."""
    set_up(settings, second_factor="all")
    alice, _seed = with_factor()
    browser = Client()
    fields = {"username": "bob", "email": "bob@example.org", "password1": PASSWORD}
    browser.post("/accounts/signup/", fields)
    link = path_of(outbox()[-1].action_url)
    signed_in(alice, browser)

    browser.post(link, {"password": PASSWORD})
    assert not is_signed_in(browser)
    seed = seed_on(browser.get(SETUP).text)
    browser.post(SETUP, {"code": code_of(seed)})

    assert factors_of(alice) == 1
    assert factors_of(User.objects.get(username="bob")) == 1


def test_an_abandoned_sign_in_cannot_be_completed():
    _alice, seed = with_factor()
    by_link, by_sign_out = after_password(), after_password()

    by_link.get("/accounts/login/?other=1")
    by_sign_out.post("/accounts/logout/")

    for browser in (by_link, by_sign_out):
        browser.post(CHALLENGE, {"code": code_of(seed)})
        assert not is_signed_in(browser)


@proves("V11.3.3")
def test_a_lost_encryption_key_breaks_no_page_and_no_recovery(settings):
    """Withstands an operator's mistake."""
    alice, _seed = with_factor()
    codes = new_recovery_codes(alice)
    browser = signed_in(alice)
    browser.get(SETUP)
    link = reset_link()
    set_up(settings, encryption_keys=(encryption_key(),))

    for page in ("/", "/accounts/2fa/", SETUP):
        assert browser.get(page).status_code == 200, page
    lost = after_password()
    assert lost.get(CHALLENGE).status_code == 200
    for code in ("123456", codes[0]):
        refused = lost.post(CHALLENGE, {"code": code}).text
        assert "We can’t check your code because of a problem on our side" in refused
        assert "clock" not in refused
    assert asks_to_wait(Client(), link)
