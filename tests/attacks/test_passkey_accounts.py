"""Accounts that need a passkey, or that have a passkey and no password."""

from typing import Any

import pytest
from django.test import Client

from accounts.sessions.models import LoginSession
from accounts.users.models import PendingSignup, User
from tests.support.clock import Clock
from tests.support.passkeys import (
    REAUTHENTICATE,
    after_password,
    completes_sign_in,
    options_of,
    owner,
    person,
    post_credential,
    set_up,
    signs_in,
)
from tests.support.second_factor import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    enrolled,
    recovery_codes_on,
    unused_code,
)
from tests.support.signin import signed_in
from tests.support.steps import CONFIRM, SIGNUP, by_mail, is_signed_in, outbox, path_of, sign_in
from tests.support.webauthn import ADD, Passkey

pytestmark = pytest.mark.django_db

ADMIN = "/admin/"
STAFF = {"is_staff": True, "is_superuser": True}


def confirm_by_mail(browser: Client) -> Any:
    """Confirm a sign-up with the code of the newest mail."""
    return browser.post(CONFIRM, {"code": outbox()[-1].code})


@pytest.mark.parametrize("has_app", [True, False])
def test_staff_who_need_a_passkey_add_it_after_the_steps_they_can_take(
    settings: Any, has_app: bool
) -> None:
    set_up(settings, staff_factor="passkey")
    carol = person("carol", **STAFF)
    browser = Client()
    if has_app:
        enrolled(carol)
        assert sign_in(browser, "carol").url == CHALLENGE
        assert browser.get(ADD).url == CHALLENGE
        assert browser.post(CHALLENGE, {"code": unused_code(carol)}).url == ADD
    else:
        assert sign_in(browser, "carol").url == ADD
        browser.get(SETUP)
    assert not is_signed_in(browser)
    assert "authenticator app" not in browser.get(ADD).text

    post_credential(browser, Passkey().create(options_of(browser, ADD)), ADD)

    assert browser.get(ADMIN).status_code == 200
    proofs = ["pwd", "otp", "passkey"] if has_app else ["pwd", "passkey"]
    assert LoginSession.objects.get(user=carol).amr == proofs


def test_staff_with_a_passkey_cannot_sign_in_with_an_authenticator_app(settings: Any) -> None:
    set_up(settings, staff_factor="passkey")
    carol, passkey = owner("carol", **STAFF)
    enrolled(carol)
    browser = after_password("carol")

    browser.post(CHALLENGE, {"code": unused_code(carol)})

    assert not is_signed_in(browser)
    assert browser.get(ADD).url == CHALLENGE, "the app does not allow adding a passkey either"
    assert "authenticator app shows" not in browser.get(f"{CHALLENGE}?method=totp").text
    assert completes_sign_in(browser, passkey.get(options_of(browser, CHALLENGE)))
    assert browser.get(ADMIN).status_code == 200


def test_a_session_from_before_the_setting_does_not_open_the_admin(
    settings: Any, clock: Clock
) -> None:
    carol, passkey = owner("carol", **STAFF)
    enrolled(carol)
    browser = signed_in(carol)
    assert browser.get(ADMIN).status_code == 200

    set_up(settings, staff_factor="passkey")

    again = f"{REAUTHENTICATE}?next={ADMIN}"
    assert browser.get(ADMIN, follow=True).redirect_chain[-1][0] == again
    clock.advance(minutes=1)
    browser.post(REAUTHENTICATE, {"code": unused_code(carol)})
    assert browser.get(ADMIN).status_code == 302
    post_credential(browser, passkey.get(options_of(browser, REAUTHENTICATE)), REAUTHENTICATE)
    assert browser.get(ADMIN).status_code == 200


def test_signed_in_staff_without_a_passkey_are_sent_to_add_one(settings: Any) -> None:
    carol = person("carol", **STAFF)
    enrolled(carol)
    browser = signed_in(carol)
    set_up(settings, staff_factor="passkey")

    assert browser.get(ADMIN, follow=True).redirect_chain[-1][0] == f"{ADD}?next={ADMIN}"
    post_credential(browser, Passkey().create(options_of(browser, ADD)), ADD)
    assert browser.get(ADMIN).status_code == 200


def sign_up_by_passkey(browser: Client, username: str = "alice") -> Any:
    fields = {"username": username, "email": f"{username}@example.org"}
    return browser.post(SIGNUP, {**fields, "password1": "whatever it is", "passkey": "1"})


def test_the_link_of_a_passwordless_sign_up_works_only_in_its_own_browser() -> None:
    browser = Client()
    sign_up_by_passkey(browser)
    link = path_of(outbox()[-1].action_url)

    other = Client()
    for answer in (other.get(link), other.post(link), other.post(link, {"password": ""})):
        assert answer.status_code == 403
    assert other.post(link, {"password": "whatever it is"}).status_code == 403

    assert not User.objects.exists()
    assert browser.post(link).url.startswith(ADD), "the link itself is valid"


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_no_password_signs_in_to_an_account_without_a_password(is_confirmed: bool) -> None:
    browser = Client()
    sign_up_by_passkey(browser)
    stored = PendingSignup.objects.get().password
    if is_confirmed:
        confirm_by_mail(browser)
        assert not User.objects.get().has_usable_password()

    for word in ("", "whatever it is", stored, "!", "None"):
        thief = Client()
        assert sign_in(thief, "alice", word).status_code == 200
        assert not is_signed_in(thief)
        assert thief.get(CONFIRM).status_code == 200
        assert "alice@" not in thief.get(CONFIRM).text


def test_the_passkey_of_a_passwordless_sign_up_counts_as_the_required_second_factor(
    settings: Any,
) -> None:
    set_up(settings, second_factor="all")
    browser = Client()
    sign_up_by_passkey(browser)
    assert confirm_by_mail(browser).url.startswith(ADD)
    assert not is_signed_in(browser)
    new = Passkey()

    assert post_credential(browser, new.create(options_of(browser, ADD)), ADD).url == RECOVERY_CODES

    assert signs_in(new)
    code = recovery_codes_on(browser.get(RECOVERY_CODES).text)[0]
    without_it = Client()
    by_mail(without_it)
    without_it.post(CHALLENGE, {"code": code})
    assert is_signed_in(without_it)


def test_the_owner_link_creates_no_owner_without_a_password() -> None:
    from accounts.ops import owner_views as owners

    link = path_of(str(owners.new_link()))
    fields = {"username": "carol", "email": "carol@example.org", "passkey": "1"}

    assert Client().post(link, fields).status_code == 200
    assert not User.objects.exists()
