"""Attacks on the confirmation of a sign-up by code and by link."""

import pytest
from django.test import Client

from accounts.common.client_info import ClientInfo
from accounts.signup import services
from accounts.signup.services import SignupEnded
from accounts.throttle.limits import LOGIN_SUBSCRIBER
from accounts.users.models import PendingSignup, User
from tests.support.api import call
from tests.support.clock import Clock
from tests.support.signup import confirm, signed_up
from tests.support.steps import (
    CONFIRM,
    PASSWORD,
    WRONG,
    WRONG_CODE,
    is_signed_in,
    outbox,
    path_of,
    sign_in,
)

pytestmark = pytest.mark.django_db


def test_squatter_the_owners_click_confirms_no_account_without_its_password() -> None:
    mallory, mail = signed_up("mallory", "alice@example.org")
    phone, link = Client(), path_of(mail.action_url)

    shown = phone.get(link).text
    assert "mallory" in shown
    assert "password" in shown
    for fields in ({}, {"password": ""}, {"password": WRONG}):
        assert phone.post(link, fields).status_code == 200
    assert sign_in(Client(), "alice@example.org").status_code == 200, (
        "the email does not find a pending sign-up"
    )

    assert not User.objects.exists()
    assert not is_signed_in(phone)
    assert not is_signed_in(mallory)
    assert phone.post(link, {"password": PASSWORD}).status_code == 302
    assert is_signed_in(phone), "with the password, the link confirms in any browser"


def test_the_confirmation_link_does_not_bypass_the_limit_on_guesses(clock: Clock) -> None:
    _browser, mail = signed_up("alice")
    link = path_of(mail.action_url)

    statuses = [
        Client(REMOTE_ADDR=f"192.0.2.{i}").post(link, {"password": WRONG}).status_code
        for i in range(LOGIN_SUBSCRIBER.burst + 1)
    ]

    assert statuses == [200] * LOGIN_SUBSCRIBER.burst + [429]


def test_a_mail_scanner_that_opens_the_confirmation_link_confirms_nothing() -> None:
    browser, mail = signed_up("alice")
    link = path_of(mail.action_url)

    for client in (Client(), browser):
        for method in (client.get, client.head, client.get):
            assert method(link).status_code == 200

    assert not User.objects.exists()
    assert browser.post(link)["Location"] == "/"


def test_the_first_to_confirm_an_email_wins_and_other_sign_ups_end() -> None:
    """The owner's browser cannot open the squatter's link, either."""
    mallory, mail = signed_up("mallory", "alice@example.org", WRONG)
    alice, own = signed_up("alice", "ALICE@example.org")

    assert alice.post(path_of(mail.action_url)).status_code == 200
    assert not User.objects.exists()
    assert confirm(alice, own.code)["Location"] == "/"

    confirm(mallory, mail.code)
    assert mallory.post(path_of(mail.action_url)).status_code == 404
    assert User.objects.get().username == "alice"
    assert signed_up("mallory", "mallory@example.org")
    other = Client()
    assert other.post(path_of(own.action_url), {"password": PASSWORD}).status_code == 404
    assert confirm(other, own.code).status_code == 200
    assert not is_signed_in(other), "a used code does not work again"


def test_a_confirmation_code_works_only_for_its_sign_up_and_for_fifteen_minutes(
    clock: Clock,
) -> None:
    """A code allows five wrong tries and is valid for fifteen minutes, the link for three days."""
    (guessing, mail), (other, own) = signed_up("alice"), signed_up("mallory")

    assert confirm(other, mail.code).status_code == 200
    for _ in range(5):
        confirm(guessing, WRONG_CODE)
    assert confirm(guessing, mail.code).status_code == 200
    clock.advance(minutes=15)
    assert confirm(other, own.code).status_code == 200
    assert other.get(path_of(own.action_url)).status_code == 200
    clock.advance(days=3)
    assert other.post(path_of(own.action_url)).status_code == 404
    assert not User.objects.exists()


def test_a_newer_mail_or_a_corrected_email_invalidates_older_codes_and_links(clock: Clock) -> None:
    browser, first = signed_up("alice")
    too_soon = browser.post(CONFIRM, {"resend": "1"})
    assert (too_soon.status_code, too_soon["Retry-After"]) == (429, "60")
    clock.advance(seconds=60)
    browser.post(CONFIRM, {"resend": "1"})
    second = outbox()[-1]
    clock.advance(minutes=2)
    browser.post(CONFIRM, {"correct": "1", "email": "right@example.org"})
    third = outbox()[-1]

    for old in (first, second):
        assert confirm(browser, old.code).status_code == 200
        assert browser.post(path_of(old.action_url)).status_code == 404
    assert third.to == "right@example.org"
    assert confirm(browser, third.code)["Location"] == "/"
    assert User.objects.get().email == "right@example.org"


def test_no_mail_is_sent_to_an_email_that_was_corrected_meanwhile(clock: Clock) -> None:
    """A mail to the former email would let mallory confirm the email that she typed in instead."""
    signed_up("mallory")
    stale, signup = PendingSignup.objects.get(), PendingSignup.objects.get()
    services.correct_email(signup, "alice@example.org", client=ClientInfo("192.0.2.1", ""))
    clock.advance(minutes=2)

    with pytest.raises(SignupEnded):
        services.send_again(stale, client=ClientInfo("192.0.2.1", ""))

    assert outbox()[-1].to == "alice@example.org"


def test_a_code_confirms_only_the_email_that_it_was_mailed_to() -> None:
    browser, mail = signed_up("mallory")
    PendingSignup.objects.update(email="alice@example.org", email_key="alice@example.org")

    assert confirm(browser, mail.code).status_code == 200
    assert User.objects.count() == 0


def tries(code: str, address: str) -> int:
    """Try ``code`` over the API from the IP address ``address``; return the status."""
    fields = {"email": "alice@example.org", "code": code}
    return call("email/verify/", fields, client=Client(REMOTE_ADDR=address)).status


@pytest.mark.parametrize("by", ["the API", "a page"])
def test_strangers_have_two_tries_at_a_code_and_its_owner_has_the_others(by: str) -> None:
    """Otherwise many networks have many tries, or use up all tries before the owner has one."""
    if by == "the API":
        person = {"username": "alice", "email": "alice@example.org", "password": PASSWORD}
        call("users/", person, client=Client(REMOTE_ADDR="192.0.2.1"))
        code = str(outbox()[-1].code)
    else:
        browser, mail = signed_up("alice")
        code = mail.code
    strangers = [f"10.0.{n}.1" for n in range(6)]

    assert [tries(WRONG_CODE, ip) for ip in strangers] == [400] * 6
    assert tries(code, "10.0.9.1") == 400, "not even the right code is a third try"

    if by == "the API":
        assert [tries(WRONG_CODE, "192.0.2.1") for _ in range(2)] == [400] * 2
        assert tries(code, "192.0.2.99") == 200
    else:
        assert [confirm(browser, WRONG_CODE).status_code for _ in range(2)] == [200] * 2
        assert confirm(browser, code)["Location"] == "/"
