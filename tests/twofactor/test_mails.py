"""The mails of second factors: a code for the second step, and a removal that waits."""

import re

import pytest
from django.core import mail
from django.test import Client
from django.utils.formats import date_format

from accounts.activity.services import Source
from accounts.kernel.places import Place
from accounts.mail.services import deliver_due
from accounts.twofactor import recovery
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


def test_a_removal_is_told_to_every_address_with_a_link_of_its_own(alice: User) -> None:
    due = recovery.ask(alice, SOURCE).due_at

    assert sorted(message.to for message in sent()) == [["alice@example.org"], [SECOND]]
    for message in sent():
        body = str(message.body)
        assert message.subject == "authsite: somebody asked to remove your second factors"
        assert f"From {date_format(due, 'DATETIME_FORMAT')} UTC on" in body
    assert len({LINK.findall(str(message.body))[0] for message in sent()}) == 2


def test_it_is_told_in_the_language_of_the_person(alice: User) -> None:
    User.objects.update(language="de")
    before = User.objects.get()

    recovery.ask(before, SOURCE)

    for message in sent():
        assert "Hello" not in str(message.body)
        assert "Hallo alice" in str(message.body)


@pytest.mark.parametrize("which", [0, 1])
def test_the_link_is_good_to_the_end_of_the_time_in_which_it_can_be_done(
    alice: User, clock: Clock, which: int
) -> None:
    recovery.ask(alice, SOURCE)
    (path,) = LINK.findall(str(sent()[which].body))
    clock.advance(hours=72, days=7, seconds=-1)
    assert "Keep the second factors of" in Client().get(path).text

    clock.advance(seconds=1)

    assert Client().get(path).status_code == 404


def test_who_cancels_is_told_that_it_was_cancelled(alice: User) -> None:
    recovery.ask(alice, SOURCE)
    (path,) = LINK.findall(str(sent()[0].body))

    page = Client().post(path)

    assert "Cancelled: your second factors stay" in page.text
    assert sent()[-1].subject.startswith("authsite: The request to remove all second factors was")
    for message in sent()[:2]:
        (dead,) = LINK.findall(str(message.body))
        assert Client().get(dead).status_code == 404
