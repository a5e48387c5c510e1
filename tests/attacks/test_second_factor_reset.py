"""Ways around the second step: password resets, copied cookies, unattended and shared browsers."""

import dataclasses
from typing import Any

import pytest
from django.test import Client

from tests.support.clock import Clock
from tests.support.factor_recovery import NEW, opens
from tests.support.second_factor import CHALLENGE, SETUP, code_of, seed_on, unused_code
from tests.support.second_steps import (
    REAUTHENTICATE,
    after_password,
    code_signs_in,
    factors_of,
    mails_about,
    new_recovery_codes,
    reset_link,
    with_factor,
)
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, is_signed_in, outbox, path_of, sign_in

pytestmark = pytest.mark.django_db


def test_a_reset_accepts_no_password_before_the_second_factor() -> None:
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


def test_a_factor_verified_for_a_reset_counts_in_that_browser_for_fifteen_minutes(
    clock: Clock,
) -> None:
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


def test_a_factor_verified_for_a_reset_counts_for_that_link_only(clock: Clock) -> None:
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


def test_a_mailed_code_is_no_second_factor_for_a_reset() -> None:
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


def test_a_code_used_for_a_reset_cannot_be_used_again() -> None:
    alice, seed = with_factor()
    recovery = new_recovery_codes(alice)[0]
    link = reset_link()
    assert Client().post(link, {"code": code_of(seed)}).status_code == 302
    assert Client().post(link, {"code": recovery}).status_code == 302

    assert not code_signs_in(code_of(seed))
    assert not code_signs_in(recovery)
    assert Client().post(link, {"code": recovery}).status_code == 200


def test_a_reset_after_a_lockdown_requires_the_second_factor() -> None:
    """Otherwise a mailed link would be enough to open an account with a second factor."""
    alice, _seed = with_factor()
    signed_in(alice).post("/accounts/lockdown/")
    link, browser = reset_link(), Client()

    browser.post(link, {"password1": NEW})

    assert factors_of(alice) == 1
    assert not opens(NEW)


def protect(settings: Any, kind: str) -> None:
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, session_protection=kind)


def test_a_copied_cookie_and_the_password_do_not_bypass_the_second_step(settings: Any) -> None:
    protect(settings, "basic")
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


def test_password_and_mailbox_sign_in_but_cannot_remove_a_factor(
    clock: Clock,
) -> None:
    alice, _seed = with_factor()
    browser, other = after_password(), after_password()
    for half in (browser, other):
        clock.advance(minutes=1)
        half.post(CHALLENGE, {"mail": "1"})
    unused = str(outbox()[-1].code)
    browser.post(CHALLENGE, {"code": mails_about("code")[0].code})
    assert is_signed_in(browser)

    assert browser.post(REAUTHENTICATE, {"code": unused}).status_code == 200
    change(browser, alice, remove="1")

    assert factors_of(alice) == 1


def test_factors_cannot_be_changed_without_recent_authentication(clock: Clock) -> None:
    from accounts.twofactor.models import Authenticator, RecoveryCodes

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


def change(browser: Client, user: Any, **fields: str) -> Any:
    from accounts.twofactor.models import Authenticator

    row = Authenticator.objects.get(user=user)
    return browser.post(f"/accounts/2fa/totp/{row.pk}/", fields)


def test_a_password_does_not_reauthenticate_for_a_change_of_factors(clock: Clock) -> None:
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


def test_a_sign_up_link_opened_in_another_users_session_enrols_the_new_account(
    clock: Clock, settings: Any
) -> None:
    from accounts.users.models import User

    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, second_factor="all")
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


def test_an_abandoned_sign_in_cannot_be_completed() -> None:
    _alice, seed = with_factor()
    by_link, by_sign_out = after_password(), after_password()

    by_link.get("/accounts/login/?other=1")
    by_sign_out.post("/accounts/logout/")

    for browser in (by_link, by_sign_out):
        browser.post(CHALLENGE, {"code": code_of(seed)})
        assert not is_signed_in(browser)


def test_a_thiefs_recovery_requests_do_not_count_after_a_change_of_the_account(
    clock: Clock,
) -> None:
    from accounts.users import services as users

    alice, _seed = with_factor()
    for _ in range(3):
        assert after_password().post(CHALLENGE, {"lost": "ask"}).status_code == 302
        signed_in(alice).post("/accounts/recovery/", {"former": PASSWORD})
    assert after_password().post(CHALLENGE, {"lost": "ask"}).status_code == 429

    users.void_proofs_and_links(alice)

    assert after_password().post(CHALLENGE, {"lost": "ask"}).status_code == 302


def test_a_lost_encryption_key_breaks_no_page_and_no_recovery(settings: Any) -> None:
    from accounts.common.secrets import encryption_key

    alice, _seed = with_factor()
    browser = signed_in(alice)
    browser.get(SETUP)
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, encryption_keys=(encryption_key(),))

    for page in ("/", "/accounts/2fa/", SETUP):
        assert browser.get(page).status_code == 200, page
    lost = after_password()
    assert lost.get(CHALLENGE).status_code == 200
    assert lost.post(CHALLENGE, {"code": "123456"}).status_code == 200
    assert lost.post(CHALLENGE, {"lost": "ask"}).status_code == 302
