"""Mails that strangers cause: how many a mailbox gets, and that the owner is not blocked."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.activity.services import Actor
from accounts.codes.services import WrongCode
from accounts.common.client_info import ClientInfo
from accounts.common.text import canonical_code
from accounts.emails import services as addresses
from accounts.throttle.limits import MAIL_BOX, MAIL_BROWSER, MAIL_SUBSCRIBER
from tests.support.api import call
from tests.support.clock import Clock
from tests.support.steps import (
    CODE,
    CONFIRM,
    LOGOUT,
    is_signed_in,
    make_user,
    outbox,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.django_db

RESET = "/accounts/password/reset/"


def at(line: int, address: int = 1) -> Client:
    """Return a browser in a wide network of its own."""
    return Client(REMOTE_ADDR=f"10.{line}.0.{address}")


def ask(browser: Client, login: str = "alice", page: str = RESET) -> Any:
    return browser.post(page, {"login": login})


def mailed(to: str = "alice@example.org") -> int:
    return sum(mail.to == to for mail in outbox())


@pytest.mark.parametrize(
    "written", ["victim+{}@gmail.com", "v.ictim+{}@googlemail.com", "victim+{}@example.org"]
)
def test_thirty_sign_ups_from_one_wide_network_send_a_mailbox_two_mails(written: str) -> None:
    answers = [
        sign_up(at(0, i), f"mallory{i}", written.format(i or "")).status_code for i in range(30)
    ]

    assert answers == [302] * MAIL_SUBSCRIBER.burst + [429] * 28
    assert sum(bool(mail.to) for mail in outbox()) == 2
    assert sign_up(at(1), "alice", "victim@gmail.org").status_code == 302


def test_a_mailbox_gets_six_mails_a_day_and_the_answers_do_not_reveal_it(clock: Clock) -> None:
    """The requests are resets, codes and sign-ups, by username and by email, known and unknown."""
    make_user("alice")
    logins = {"alice": ["alice", "alice@example.org"], "nobody": ["nobody", "nobody@example.org"]}
    seen: dict[str, set[Any]] = {}
    for who, (name, address) in logins.items():
        for hour in range(24):
            answers = [ask(at(hour), name), ask(at(hour), address, CODE)]
            answers.append(sign_up(at(100 + hour), f"{who}{hour}", address))
            seen.setdefault(who, set()).add(tuple(a.status_code for a in answers))
            clock.advance(hours=1)
        if who == "alice":
            assert mailed() == MAIL_BOX.burst + 2
    assert seen == {who: {(200, 302, 302)} for who in logins}


def test_the_work_is_the_same_when_a_mailbox_has_reached_its_limit(clock: Clock) -> None:
    make_user("alice")
    works = {}
    for login in ("alice@example.org", "nobody@example.org"):
        works[login] = []
        for line in range(6):
            with CaptureQueriesContext(connection) as queries:
                ask(at(line), login)
            works[login].append(len(queries))

    assert len({n for counts in works.values() for n in counts}) == 1, works
    assert mailed() == MAIL_BOX.burst


def test_using_a_mailed_code_restores_the_budget_that_its_mail_spent(clock: Clock) -> None:
    make_user("alice")
    for _ in range(8):
        browser = at(0)
        assert ask(browser, page=CODE).status_code == 302
        browser.post(CODE, {"code": outbox()[-1].code})
        assert is_signed_in(browser)
        clock.advance(minutes=1)

    assert [ask(at(0)).status_code for _ in range(2)] == [200, 429]


def test_a_known_browser_has_a_mail_budget_of_its_own(clock: Clock) -> None:
    make_user("alice")
    make_user("bob")
    hers = at(0)
    sign_in(hers, "alice")
    hers.post(LOGOUT)
    notices = mailed()
    for line in range(5):
        ask(at(line), "alice")
    assert mailed() == notices + MAIL_BOX.burst

    for _ in range(MAIL_BROWSER.burst):
        assert ask(hers).status_code == 200
        clock.advance(minutes=1)
    assert mailed() == notices + MAIL_BOX.burst + MAIL_BROWSER.burst
    assert ask(hers).status_code == 429
    assert [ask(hers, "bob", page).status_code for page in (RESET, CODE, CODE)] == [200, 302, 429]


type Check = Callable[[str], bool]


def sign_in_code(browser: Client) -> Check:
    make_user("alice")
    ask(browser, "alice", CODE)
    return lambda code: browser.post(CODE, {"code": code}).status_code == 302


def sign_up_code(browser: Client) -> Check:
    sign_up(browser, "mallory", "alice@example.org")
    return lambda code: browser.post(CONFIRM, {"code": code}).status_code == 302


def code_of_a_new_email(browser: Client) -> Check:
    client = ClientInfo(browser.defaults["REMOTE_ADDR"], "")
    row = addresses.add(make_user("mallory"), "alice@example.org", client)
    return lambda code: addresses.confirm_by_code(row, code, Actor(client)) is None


@pytest.mark.parametrize("begin", [sign_in_code, sign_up_code, code_of_a_new_email])
def test_requests_beyond_the_limit_of_a_mailbox_give_no_further_guesses(
    begin: Callable[[Client], Check],
) -> None:
    """Eight digits are safe only because a mailbox gets few codes, with five tries each."""
    for line in range(MAIL_BOX.burst):
        ask(at(line), "alice@example.org", CODE)

    is_accepted = begin(at(MAIL_BOX.burst))

    mail = outbox()[-1]
    assert (mail.to, bool(mail.code)) == ("", True)
    with suppress(WrongCode):
        assert not is_accepted(canonical_code(mail.code))


def test_a_sign_up_with_a_taken_username_does_not_reveal_which_mailbox_is_full(
    clock: Clock,
) -> None:
    """Mails requested by username use up what its mailbox may get from the same wide network."""
    seen = []
    for login in ("alice", "bob"):
        make_user(login)
    for line, login in enumerate(("alice", "bob")):
        for _ in range(MAIL_SUBSCRIBER.burst):
            assert ask(at(line), login).status_code == 200
            clock.advance(minutes=1)
        answers = [sign_up(at(line), "bob", "alice@example.org") for _ in range(3)]
        seen.append([answer.status_code for answer in answers])

    assert seen == [[200] * 3] * 2


@pytest.mark.parametrize("waiting", [0, 1, 3])
def test_requesting_another_code_does_not_reveal_how_many_sign_ups_are_pending(
    clock: Clock, waiting: int
) -> None:
    for n in range(waiting):
        assert sign_up(at(10 + n), f"alice{n}", "alice@example.org").status_code == 302

    again = {"email": "alice@example.org"}
    statuses = [call("email/resend/", again, client=at(0)).status for _ in range(2)]
    later = [ask(at(0, i), "alice@example.org").status_code for i in range(2)]

    assert (statuses, later) == ([200, 429], [200, 429])


def test_a_mail_that_is_not_sent_does_not_invalidate_an_earlier_code(clock: Clock) -> None:
    sign_up(at(0), "alice")
    for line in range(1, MAIL_BOX.burst + 2):
        assert call("email/resend/", {"email": "alice@example.org"}, client=at(line)).status == 200
    latest = [mail for mail in outbox() if mail.to]

    assert len(latest) == MAIL_BOX.burst
    confirmed = {"email": "alice@example.org", "code": latest[-1].code}
    assert call("email/verify/", confirmed, client=at(0)).status == 200


def test_strangers_cannot_invalidate_the_code_for_an_email_that_a_user_adds(clock: Clock) -> None:
    alice, home = make_user("alice"), ClientInfo("10.0.0.1", "")
    row = addresses.add(alice, "new@example.org", home)
    code = canonical_code(outbox()[-1].code)
    for line in range(1, MAIL_BOX.burst):
        ask(at(line), "new@example.org")
    clock.advance(minutes=1)

    addresses.confirm_by_code(addresses.add(alice, row.email, home), code, Actor(home))
    assert alice.emails.filter(key=row.key).exists()
