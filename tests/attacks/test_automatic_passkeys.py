"""Passkeys that the browser makes by itself after a sign-in with the password."""

import pytest
from django.test import Client

from accounts.activity.services import Actor
from accounts.sessions.models import LoginSession
from accounts.signin import policy
from accounts.twofactor import passkeys
from accounts.twofactor.adding import CODES
from accounts.twofactor.errors import TooManyFactors
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.twofactor.models import Passkey as Row
from accounts.twofactor.passkeys import options_for_second_step, options_to_add
from accounts.twofactor.services import has_passkey, make_recovery_codes, remove
from accounts.users.models import FormerCredential, User
from tests.support.api import claims_of, get_tokens
from tests.support.lockdown import lock_down
from tests.support.passkeys import completes_sign_in, options_of, post_credential, signs_in
from tests.support.second_factor import (
    CHALLENGE,
    enrolled,
    recovery_codes_on,
    shown_on,
    unused_code,
)
from tests.support.second_steps import REAUTHENTICATE, mails_about
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, by_mail, by_password, is_signed_in, make_user
from tests.support.webauthn import (
    ADD,
    LOGIN_PASSKEY,
    OFFER,
    VERIFIED,
    Passkey,
    automatic_options_on,
    codes_page,
    confirm_page,
    let_the_browser_make,
    options_on,
    registered,
)


@pytest.fixture
def alice(clock):
    return make_user("alice")


def with_passkey():
    """Return a browser that has made a passkey after a sign-in with the password, and it."""
    browser = Client()
    by_password(browser)
    return browser, let_the_browser_make(browser)


def makes_a_passkey(browser, user):
    """Return whether the site takes a passkey that the browser makes without being offered one."""
    options = options_to_add(user, is_automatic=True)
    post_credential(browser, Passkey().create(options), OFFER)
    return Row.objects.exists()


def test_it_is_made_once_told_to_the_owner_and_ends_no_session(alice):
    """Withstands a thief with the password: an automatic passkey."""
    elsewhere = signed_in(alice)

    browser, passkey = with_passkey()

    assert signs_in(passkey)
    assert len(mails_about("saved a passkey", to=alice.email)) == 1
    assert alice.activity.get(kind="passkey_made").detail == "Passkey"
    assert not has_passkey(alice), "it is no second factor"
    assert is_signed_in(elsewhere)
    assert automatic_options_on(browser.get("/").text) is None
    again = Client()
    by_password(again)
    assert automatic_options_on(again.get("/").text) is None


def test_none_is_made_after_another_proof_or_where_the_password_alone_does_not_sign_in(alice):
    mailed, browser = Client(), Client()
    by_mail(mailed)
    mailed.post(REAUTHENTICATE, {"password": PASSWORD})
    by_password(browser)

    for other in (mailed, Client()):
        assert automatic_options_on(other.get("/").text if is_signed_in(other) else "") is None
        assert not makes_a_passkey(other, alice)
    enrolled(alice)
    assert not makes_a_passkey(browser, alice)


def test_a_passkey_that_the_user_was_asked_for_and_an_automatic_one_are_not_mixed_up(alice):
    """Otherwise the browser could make a confirmed passkey without its user."""
    browser = Client()
    by_password(browser)
    asked, automatic = options_to_add(alice), options_to_add(alice, is_automatic=True)
    asks_for = [options["authenticatorSelection"] for options in (asked, automatic)]
    assert [(each["residentKey"], each["requireResidentKey"]) for each in asks_for] == [
        ("preferred", False),
        ("required", True),
    ]

    post_credential(browser, Passkey().create(asked), OFFER)
    post_credential(browser, Passkey().create(automatic), ADD)
    post_credential(browser, Passkey().create(asked, flags=VERIFIED), ADD)

    assert not Row.objects.exists()


def test_it_is_no_second_factor_before_it_is_confirmed(alice, clock):
    """Withstands a thief with the password: an automatic passkey."""
    browser, passkey = with_passkey()

    assert claims_of(get_tokens()["access"])["acr"] == "aal1", "the password alone still signs in"
    clock.advance(seconds=1)
    assert signs_in(passkey)
    session = LoginSession.objects.latest("begun_at")
    assert (session.amr, session.acr, session.factor_at) == (["unconfirmed_passkey"], "aal1", None)

    enrolled(alice)
    browser = Client()
    answer = post_credential(browser, passkey.get(options_of(browser)), LOGIN_PASSKEY)
    assert answer.url == CHALLENGE, "an account with a second factor asks for it"
    half = Client()
    by_password(half)
    in_second_step = passkey.get(options_for_second_step(User.objects.get()))
    assert not completes_sign_in(half, in_second_step)
    half.post(CHALLENGE, {"code": unused_code(alice)})
    assert is_signed_in(half)


def test_it_becomes_a_second_factor_when_the_user_has_saved_recovery_codes(alice, clock):
    elsewhere = signed_in(alice)
    browser, passkey = with_passkey()
    clock.advance(minutes=1)
    page = codes_page(browser, passkey)
    codes, shown = recovery_codes_on(page), {"shown": shown_on(page)}

    for wrong in ({}, {"code": codes[0]}, shown, {"code": "aaaaa-aaaaa", **shown}):
        browser.post(confirm_page(passkey), wrong)
        assert not Row.objects.get().confirmed, wrong
    browser.post(confirm_page(passkey), {"code": codes[3], **shown})

    assert by_password(Client()).url == CHALLENGE
    assert is_signed_in(browser)
    assert not is_signed_in(elsewhere)
    kept = RecoveryCodes.objects.get()
    assert (kept.saved_at, kept.made_at, kept.name) == (clock.now(), clock.now(), "Recovery codes")
    assert Row.objects.get().made_at == clock.now(), "its age counts from now on in a dispute"
    clock.advance(seconds=1)
    assert signs_in(passkey)
    assert LoginSession.objects.latest("begun_at").acr == "aal2"
    assert User.objects.get().emailed_codes is False


def test_the_codes_that_the_user_has_saved_work_although_a_lock_left_older_ones(alice):
    """Otherwise a user who loses the passkey is locked out."""
    enrolled(alice)
    make_recovery_codes(User.objects.get(), Actor())
    Authenticator.objects.all().delete()
    browser, passkey = with_passkey()
    page = codes_page(browser, passkey)
    saved = recovery_codes_on(page)

    browser.post(confirm_page(passkey), {"code": saved[0], "shown": shown_on(page)})

    by_code = Client()
    by_password(by_code)
    by_code.post(CHALLENGE, {"code": saved[1]})
    assert is_signed_in(by_code)


def test_removing_it_unconfirmed_keeps_the_recovery_codes_of_another_factor(alice):
    with_passkey()
    enrolled(alice)
    codes = make_recovery_codes(User.objects.get(), Actor())

    assert remove(Row, User.objects.get(), Row.objects.get().pk, Actor())

    assert RecoveryCodes.objects.get().fits(codes[0])


def test_confirming_it_beside_another_factor_or_removing_another_one_keeps_the_recovery_codes(
    alice,
):
    with_passkey()
    enrolled(alice)
    codes = make_recovery_codes(User.objects.get(), Actor())

    row = Row.objects.get()

    assert not passkeys.confirm(User.objects.get(), row.pk + 1, [], Actor()), "it is gone"
    assert passkeys.confirm(User.objects.get(), row.pk, [], Actor())
    assert not passkeys.confirm(User.objects.get(), row.pk, [], Actor()), "it is confirmed"
    passkeys.remove_unconfirmed(User.objects.get(), Actor())
    assert has_passkey(alice)
    row.pk, row.credential_id = None, "another"
    row.save()
    User.objects.update(password="!")
    assert remove(Row, User.objects.get(), row.pk, Actor()), "it was no factor"

    assert not FormerCredential.objects.exists()
    assert RecoveryCodes.objects.get().fits(codes[0])


def test_a_session_from_before_a_promotion_does_not_make_it_a_second_factor(alice):
    """Otherwise the password alone would enrol a factor for staff."""
    browser, passkey = with_passkey()
    page = codes_page(browser, passkey)
    User.objects.update(is_staff=True)
    saved = {"code": recovery_codes_on(page)[0], "shown": shown_on(page)}

    assert browser.post(confirm_page(passkey), saved).status_code == 403
    assert not Row.objects.get().confirmed


def test_an_account_gets_only_one_even_from_requests_at_the_same_moment(alice):
    """Withstands a race."""
    by_password(Client())
    assert policy.may_make_passkey(LoginSession.objects.get()), "both requests pass this check"
    answers = [Passkey().create(options_to_add(alice, is_automatic=True)) for _ in range(2)]

    passkeys.add_automatic(alice, answers[0], Actor())
    with pytest.raises(TooManyFactors):
        passkeys.add_automatic(alice, answers[1], Actor())


def test_the_owner_confirms_no_passkey_that_a_thief_has_made(alice):
    """Otherwise one click on the home page would let the thief sign in with the passkey alone."""
    owner, (_thief, planted) = Client(), with_passkey()
    by_password(owner)
    page, own = owner.get(confirm_page(planted)), Passkey(credential_id=planted.raw_id)
    others = {"code": "aaaaa-aaaaa", "shown": CODES.seal(alice, '["aaaaaaaaaa"]')}

    assert not recovery_codes_on(page.text)
    for answer in (own.get(options_on(page.text)), planted.get(options_of(Client())), "{}"):
        assert "shown" not in post_credential(owner, answer, confirm_page(planted)).text
    owner.post(confirm_page(planted), others)
    assert not passkeys.confirm(make_user("bob"), Row.objects.get().pk, [], Actor())

    assert not Row.objects.get().confirmed


def test_confirming_it_needs_recent_authentication(alice, clock):
    browser, passkey = with_passkey()
    page = codes_page(browser, passkey)
    saved = {"code": recovery_codes_on(page)[0], "shown": shown_on(page)}
    clock.advance(minutes=11)

    assert browser.post(confirm_page(passkey), saved).url.startswith(REAUTHENTICATE)
    assert not Row.objects.get().confirmed


CHANGES = {
    "a new password": lambda browser: browser.post(
        "/accounts/password/change/", {"password1": "slow comet over the harbour"}
    ),
    "a lock": lambda _browser: lock_down(User.objects.get(username="alice")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_ends_with_the_password_that_it_rests_on(alice, change):
    owner, (_thief, passkey) = Client(), with_passkey()
    by_password(owner)
    of_bob = registered(make_user("bob"))
    Row.objects.filter(credential_id=of_bob.id).update(confirmed=False)

    CHANGES[change](owner)

    assert Row.objects.get().credential_id == of_bob.id
    assert not signs_in(passkey)
    assert alice.activity.get(kind="passkey_removed").detail == "Passkey"
    assert not mails_about("passkey was removed"), "another mail tells of the change"
