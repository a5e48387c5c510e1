"""Mailed codes and links."""

import re

import pytest
from django.test import Client

from accounts.codes import services as codes
from accounts.codes.models import Code
from accounts.common.forms import CodeField
from accounts.common.text import written_code
from accounts.emails.models import PendingEmail
from tests.support.second_factor import CHALLENGE, enrolled
from tests.support.signin import signed_in
from tests.support.site import together
from tests.support.steps import (
    CONFIRM,
    WRONG_CODE,
    is_signed_in,
    make_user,
    outbox,
    sign_in,
    sign_up,
)

AT_ONCE = 8
ALICES = "alice@example.org"
PURPOSE = codes.Purpose("test")


def test_a_mailed_code_has_eight_digits_and_is_accepted_in_any_spacing_and_script():
    code = codes.issue_code(PURPOSE, 1)

    assert re.fullmatch("[0-9]{8}", code)
    assert re.fullmatch("[0-9]{4} [0-9]{4}", written_code(code))
    assert CodeField().clean(written_code(code)) == code
    for typed in ("12345678", "1-2-3456 78", "1234\u00a05678", "\u0661234 5678\n"):
        assert CodeField().clean(typed) == "12345678"


@pytest.mark.django_db(transaction=True)
def test_only_five_of_eight_concurrent_tries_of_a_code_are_compared():
    code = codes.issue_code(PURPOSE, 1)

    def is_compared(_):
        try:
            return codes.try_code(PURPOSE, 1, code)
        except codes.UsedUp:
            return False

    assert sum(together(AT_ONCE, is_compared)) == 5
    assert not is_compared(0)


@pytest.mark.django_db(transaction=True)
def test_only_two_of_eight_concurrent_tries_of_strangers_are_compared():
    code = codes.issue_code(PURPOSE, 1, ALICES)

    compared = together(AT_ONCE, lambda _: codes.try_codes(PURPOSE, ALICES, code, own=()))

    assert sorted(compared) == [[]] * 6 + [["1"]] * 2


@pytest.mark.django_db(transaction=True)
def test_one_of_eight_concurrent_uses_of_a_link_succeeds():
    link = codes.issue_link(PURPOSE, 1)

    assert sum(together(AT_ONCE, lambda _: codes.redeem(PURPOSE, 1, link))) == 1
    assert codes.subject_of(PURPOSE, link) is None


def test_a_secret_works_only_for_its_own_purpose_and_subject():
    other = codes.Purpose("other")
    code, link = codes.issue_code(PURPOSE, 1), codes.issue_link(other, 1)

    assert not codes.try_code(other, 1, code)
    assert not codes.try_code(PURPOSE, 2, code)
    assert not codes.try_code(PURPOSE, 1, link)
    assert not codes.redeem(other, 1, code)
    assert not codes.redeem(PURPOSE, 2, code)
    assert not codes.redeem(PURPOSE, 1, code, ALICES), "it was not sent there"
    assert codes.try_codes(PURPOSE, ALICES, code, own=["1"]) == []
    assert codes.subject_of(PURPOSE, link) is None
    assert codes.try_code(PURPOSE, 1, code)
    assert codes.subject_of(other, link) == "1"


def test_a_digest_moved_to_another_purpose_in_the_database_is_refused():
    code = codes.issue_code(PURPOSE, 1)
    Code.objects.update(purpose="other")

    assert not codes.try_code(codes.Purpose("other"), 1, code)


def test_a_code_expires_and_is_invalidated_by_a_newer_one_or_by_withdrawal(clock):
    old, new = (codes.issue_code(PURPOSE, 1) for _ in range(2))
    assert not codes.try_code(PURPOSE, 1, old)
    clock.advance(minutes=10, seconds=-1)
    assert codes.try_code(PURPOSE, 1, new)
    clock.advance(seconds=1)
    assert not codes.try_code(PURPOSE, 1, new)
    assert not codes.redeem(PURPOSE, 1, new)
    third = codes.issue_code(PURPOSE, 1)
    codes.withdraw(PURPOSE, 2)
    codes.withdraw(codes.Purpose("other"), 1)
    assert codes.try_code(PURPOSE, 1, third)
    codes.withdraw(PURPOSE, 1)
    assert not codes.try_code(PURPOSE, 1, third)
    unsent = codes.issue_code(PURPOSE, 1, is_sent=False)
    assert not codes.try_code(PURPOSE, 1, unsent)


BY_CODE, EMAIL = "/accounts/login/code/", "/accounts/email/"
USED_UP = "Too many wrong codes."


def mailed():
    """Return the mailed codes, including those in mails without a recipient."""
    return [mail.code for mail in outbox() if mail.code]


def code_to_sign_in():
    make_user("alice")
    browser = Client()
    browser.post(BY_CODE, {"login": "alice"})
    return browser, BY_CODE, {}


def code_to_sign_in_as_nobody():
    browser = Client()
    browser.post(BY_CODE, {"login": "nobody"})
    return browser, BY_CODE, {}


def code_of_the_second_step():
    enrolled(make_user("alice", emailed_codes=True))
    browser = Client()
    sign_in(browser, "alice")
    browser.post(CHALLENGE, {"mail": "1"})
    return browser, CHALLENGE, {"method": "email"}


def code_of_a_sign_up():
    browser = Client()
    sign_up(browser, "alice")
    return browser, CONFIRM, {}


def code_of_a_new_email():
    browser = signed_in(make_user("alice"))
    browser.post(EMAIL, {"email": "new@example.org"})
    return browser, EMAIL, {"confirm": PendingEmail.objects.get().pk}


@pytest.mark.parametrize(
    "begin",
    [
        code_to_sign_in,
        code_to_sign_in_as_nobody,
        code_of_the_second_step,
        code_of_a_sign_up,
        code_of_a_new_email,
    ],
)
def test_a_code_without_tries_left_is_replaced_by_mail_within_the_limits(begin, clock):
    """Withstands an accident."""
    browser, page, fields = begin()
    first, count = mailed()[-1], len(mailed())

    for _ in range(4):
        browser.post(page, {**fields, "code": WRONG_CODE})
    said = browser.post(page, {**fields, "code": WRONG_CODE}, follow=True).text
    assert f"{USED_UP} Ask for a new one in a few minutes." in said
    assert len(mailed()) == count
    clock.advance(minutes=2)
    said = browser.post(page, {**fields, "code": first}, follow=True).text

    assert f"{USED_UP} We’ve emailed you a new one." in said
    assert len(mailed()) == count + 1
    if begin in {code_to_sign_in, code_of_the_second_step}:
        browser.post(page, {**fields, "code": mailed()[-1]})
        assert is_signed_in(browser)
