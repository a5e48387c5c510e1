"""Who may add and who may remove passkeys."""

from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client

from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.twofactor.models import Passkey as Row
from accounts.users.models import User
from tests.support.clock import Clock
from tests.support.passkeys import (
    REAUTHENTICATE,
    after_password,
    completes_sign_in,
    options_of,
    owner,
    passkeys_of,
    person,
    post_credential,
    set_up,
    signs_in,
)
from tests.support.second_factor import CHALLENGE, RECOVERY_CODES, enrolled
from tests.support.signin import signed_in
from tests.support.steps import LOGIN, is_signed_in, outbox
from tests.support.webauthn import ADD, PASSKEYS, Passkey, registered

pytestmark = pytest.mark.django_db

STAFF = {"is_staff": True, "is_superuser": True}


def test_passkeys_cannot_be_added_or_changed_without_recent_authentication(clock: Clock) -> None:
    alice, passkey = owner()
    page = f"{PASSKEYS}{Row.objects.get().pk}/"
    browser = signed_in(alice)
    answer = Passkey().create(options_of(browser, ADD))
    clock.advance(minutes=11)

    assert browser.get(ADD).url.startswith(REAUTHENTICATE)
    assert post_credential(browser, answer, ADD).url.startswith(REAUTHENTICATE)
    for data in ({"name": "Mine"}, {"remove": "1"}):
        assert browser.post(page, data).url.startswith(REAUTHENTICATE)
    assert passkeys_of(alice) == [passkey.id]
    assert Row.objects.get().name == "Phone"


def test_another_users_passkey_is_not_found() -> None:
    alice, passkey = owner()
    page = f"{PASSKEYS}{Row.objects.get().pk}/"
    browser = signed_in(person("mallory"))

    assert browser.get(page).status_code == 404
    for data in ({"name": "Mine"}, {"remove": "1"}):
        assert browser.post(page, data).status_code == 404
    assert browser.get(f"{PASSKEYS}{'9' * 30}/").status_code == 404
    assert passkeys_of(alice) == [passkey.id]


@pytest.mark.parametrize("holds", [enrolled, registered])
def test_the_password_alone_adds_no_passkey_to_an_account_with_a_factor(holds: Any) -> None:
    alice = person()
    holds(alice)
    before = passkeys_of(alice)
    session = signed_in(alice)
    new = Passkey()
    answer = new.create(options_of(session, ADD))
    browser = after_password()

    assert browser.get(ADD).url == CHALLENGE
    assert post_credential(browser, answer, ADD).url == CHALLENGE
    assert post_credential(Client(), answer, ADD).url.startswith(LOGIN)
    assert passkeys_of(alice) == before


def test_a_passkey_cannot_be_added_twice_or_to_another_account() -> None:
    alice, passkey = owner()
    mallory = person("mallory")
    thief, session = signed_in(mallory), signed_in(alice)

    for browser, key in ((thief, Passkey(credential_id=passkey.raw_id)), (session, passkey)):
        answer = key.create(options_of(browser, ADD))
        assert post_credential(browser, answer, ADD).status_code == 200

    assert passkeys_of(alice) == [passkey.id]
    assert passkeys_of(mallory) == []
    assert not RecoveryCodes.objects.filter(user=mallory).exists()
    assert signs_in(passkey)


def test_the_number_of_passkeys_of_an_account_is_limited() -> None:
    from accounts.twofactor.passkeys import MOST_PASSKEYS

    alice = person()
    for _ in range(MOST_PASSKEYS):
        registered(alice)
    browser = signed_in(alice)

    assert (
        post_credential(browser, Passkey().create(options_of(browser, ADD)), ADD).status_code == 200
    )
    assert len(passkeys_of(alice)) == MOST_PASSKEYS


def test_a_new_passkey_revokes_all_other_sessions_and_its_owner_is_notified() -> None:
    alice = person()
    other, browser = signed_in(alice), signed_in(alice)
    key = browser.cookies["sessionid"].value
    new = Passkey()

    assert post_credential(browser, new.create(options_of(browser, ADD)), ADD).url == RECOVERY_CODES

    assert not is_signed_in(other)
    assert is_signed_in(browser)
    assert browser.cookies["sessionid"].value != key
    assert [mail.to for mail in outbox() if "passkey was added" in mail.subject] == [alice.email]
    assert signs_in(new)


def remove(browser: Client, row: Any) -> str:
    """Remove an authenticator on its page; return the page that follows."""
    kind = "passkeys" if isinstance(row, Row) else "totp"
    return str(browser.post(f"/accounts/2fa/{kind}/{row.pk}/", {"remove": "1"}, follow=True).text)


def test_the_last_passkey_of_an_account_without_a_password_cannot_be_removed() -> None:
    alice, passkey = owner()
    registered(alice)
    enrolled(alice)
    User.objects.update(password=make_password(None))
    browser = signed_in(alice)
    first, last = Row.objects.order_by("-pk")

    assert "Set a password first" not in remove(browser, first)
    assert "Set a password first" in browser.get(f"{PASSKEYS}{last.pk}/").text
    assert "Set a password first" in remove(browser, last)
    remove(browser, Authenticator.objects.get())

    assert "Set a password first" in remove(browser, last)
    assert passkeys_of(alice) == [passkey.id]
    assert signs_in(passkey)


@pytest.mark.parametrize("required", [{"second_factor": "all"}, {"staff_factor": "passkey"}])
def test_the_last_passkey_of_a_user_who_needs_one_cannot_be_removed(
    settings: Any, required: Any
) -> None:
    set_up(settings, **required)
    carol, passkey = owner("carol", **STAFF)
    if "staff_factor" in required:
        enrolled(carol)
    browser = after_password("carol")
    assert completes_sign_in(browser, passkey.get(options_of(browser, CHALLENGE)))

    assert "Your account needs" in remove(browser, Row.objects.get())
    assert passkeys_of(carol) == [passkey.id]
