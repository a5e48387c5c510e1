"""Mailed codes that were tried too many times, and their replacement within the rate limits."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.emails.models import PendingEmail
from tests.support.clock import Clock
from tests.support.second_factor import CHALLENGE, enrolled
from tests.support.signin import signed_in
from tests.support.steps import (
    CONFIRM,
    WRONG_CODE,
    is_signed_in,
    make_user,
    outbox,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.django_db

BY_CODE, EMAIL = "/accounts/login/code/", "/accounts/email/"
USED_UP = "Too many wrong codes."


def mailed() -> list[str]:
    """Return the mailed codes, including those in mails without a recipient."""
    return [mail.code for mail in outbox() if mail.code]


def code_to_sign_in() -> tuple[Client, str, dict[str, Any]]:
    make_user("alice")
    browser = Client()
    browser.post(BY_CODE, {"login": "alice"})
    return browser, BY_CODE, {}


def code_to_sign_in_as_nobody() -> tuple[Client, str, dict[str, Any]]:
    browser = Client()
    browser.post(BY_CODE, {"login": "nobody"})
    return browser, BY_CODE, {}


def code_of_the_second_step() -> tuple[Client, str, dict[str, Any]]:
    enrolled(make_user("alice", emailed_codes=True))
    browser = Client()
    sign_in(browser, "alice")
    browser.post(CHALLENGE, {"mail": "1"})
    return browser, CHALLENGE, {"method": "email"}


def code_of_a_sign_up() -> tuple[Client, str, dict[str, Any]]:
    browser = Client()
    sign_up(browser, "alice")
    return browser, CONFIRM, {}


def code_of_a_new_email() -> tuple[Client, str, dict[str, Any]]:
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
def test_a_code_without_tries_left_is_replaced_by_mail_within_the_limits(
    begin: Callable[[], tuple[Client, str, dict[str, Any]]], clock: Clock
) -> None:
    browser, page, fields = begin()
    first, count = mailed()[-1], len(mailed())

    tries = [browser.post(page, {**fields, "code": WRONG_CODE}).status_code for _ in range(4)]
    assert tries == [200] * 4
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
