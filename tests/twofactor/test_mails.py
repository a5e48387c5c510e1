"""The mails of second factors: a code for the second step, and a removal that waits."""

import re

import pytest
from django.core import mail
from django.test import Client

from accounts.activity.services import Source
from accounts.kernel.places import Place
from accounts.mail.services import deliver_due
from accounts.users import services as users
from accounts.users.models import User
from tests.conftest import Clock
from tests.support.second import CHALLENGE, enrolled
from tests.support.steps import code_in, make_user, sign_in

pytestmark = pytest.mark.django_db

SECOND = "alice@second.example"
SOURCE = Source(Place("192.0.2.1", "curl/8.14.1"))
LINK = re.compile(r"(?m)^https?://[^/]+(/accounts/2fa/recovery/[\w-]+/)$")
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def alice(clock: Clock) -> User:
    """Alice, who has an authenticator and two addresses."""
    alice = make_user("alice")
    users.confirm_address(alice, SECOND)
    enrolled(alice)
    return alice


def sent() -> list[mail.EmailMessage]:
    deliver_due()
    return mail.outbox


def test_a_code_by_mail_says_who_asked_and_what_to_do_if_nobody_did(alice: User) -> None:
    browser = Client(headers={"user-agent": IPHONE})
    sign_in(browser, "alice")
    assert sent() == []

    browser.post(CHALLENGE, {"mail": "1"})

    (message,) = sent()
    body = str(message.body)
    code = code_in(body)
    assert message.to == ["alice@example.org"], "the primary address only"
    assert message.subject == f"{code} is your code to finish signing in to authsite"
    assert "Safari on iPhone" in body
    assert "somebody knows your password: change it now" in body
