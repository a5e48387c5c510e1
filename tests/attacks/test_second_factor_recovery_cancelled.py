"""What cancels the waiting period that removes lost second factors, and what does not."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.recovery.models import Recovery
from tests.support.clock import Clock
from tests.support.disputes import known_browser
from tests.support.factor_recovery import ASKED, HOURS, NEW, finish_recovery, request_recovery
from tests.support.second_factor import CHALLENGE, set_up_authenticator, unused_code
from tests.support.second_steps import (
    CHANGES,
    REAUTHENTICATE,
    RESET,
    after_password,
    code_signs_in,
    factors_of,
    mails_about,
    new_recovery_codes,
    posting,
    reset_link,
    with_factor,
)
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, is_signed_in, path_of

pytestmark = pytest.mark.django_db

CHANGE = "/accounts/password/change/"


@pytest.mark.parametrize("which", range(3))
def test_every_email_is_notified_and_each_link_cancels_the_request(
    clock: Clock, which: int
) -> None:
    from accounts.users.services import confirm_email

    alice, _seed = with_factor()
    others = ["alice@work.example", "alice@home.example"]
    for address in others:
        confirm_email(alice, address)
    links = request_recovery()
    assert {mail.to for mail in mails_about(ASKED)} == {"alice@example.org", *others}
    assert len(set(links)) == 3

    assert "stopped" in Client().post(links[which], {"former": PASSWORD}).text

    clock.advance(hours=HOURS)
    assert not finish_recovery()
    assert [Client().post(link).status_code for link in links] == [404] * 3


def test_a_mail_scanner_that_opens_the_link_does_not_cancel_the_request(clock: Clock) -> None:
    with_factor()
    (link,) = request_recovery()
    of_reset = reset_link().rstrip("/").rpartition("/")[2]

    page = Client().get(link)
    assert "<li>one of your email addresses</li>" in page.text
    assert [page.status_code, Client().head(link).status_code] == [200, 200]
    assert Client(enforce_csrf_checks=True).post(link).status_code == 403
    assert Client().post(f"/accounts/2fa/recovery/{of_reset}/").status_code == 404

    clock.advance(hours=HOURS)
    assert finish_recovery()


def test_the_link_cancels_the_request_once_and_does_nothing_else(clock: Clock) -> None:
    alice, _seed = with_factor()
    home, (link,), browser = signed_in(alice), request_recovery(), Client()
    token = link.rstrip("/").rpartition("/")[2]
    before = type(alice).objects.values().get(pk=alice.pk)

    for other in (RESET, "/accounts/lockdown/", "/accounts/confirm-email/", "/accounts/owner/"):
        assert browser.post(f"{other}{token}/", {"password1": NEW}).status_code == 404
    assert Recovery.objects.count() == 1
    fields = {"password1": NEW, "lost": "finish", "remove": "1", "code": "x"}
    browser.post(link, {**fields, "former": PASSWORD})

    assert type(alice).objects.values().get(pk=alice.pk) == before
    assert factors_of(alice) == 1
    assert [is_signed_in(home), is_signed_in(browser)] == [True, False]
    assert browser.post(link).status_code == 404


SIGNS: dict[str, Callable[[Any], Any]] = {
    "a proof in a session of a known browser": posting("/accounts/recovery/", former=PASSWORD),
    "a good second step": lambda user: after_password().post(
        CHALLENGE, {"code": unused_code(user)}
    ),
    "a recovery code": lambda user: code_signs_in(new_recovery_codes(user)[0]),
    "a fresh proof by code": lambda user: signed_in(user).post(
        REAUTHENTICATE, {"code": unused_code(user)}
    ),
    **{
        what: CHANGES[what] for what in ("a reset by mail", "a lockdown", "a reset by the operator")
    },
}


@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS)
def test_any_sign_of_the_owner_cancels_the_request(
    clock: Clock, sign: Callable[[Any], Any]
) -> None:
    alice, _seed = with_factor()
    request_recovery()
    assert Recovery.objects.exists()

    sign(alice)

    assert not Recovery.objects.exists()


def test_actions_that_need_no_second_factor_do_not_cancel_the_request(clock: Clock) -> None:
    alice, _seed = with_factor()
    request_recovery()

    after_password().post(CHALLENGE, {"mail": "1"})
    after_password().post(CHALLENGE, {"code": "000000"})
    Client().post(RESET, {"login": "alice"})
    (link,) = [path_of(mail.action_url) for mail in mails_about(ASKED)]
    assert "That isn’t enough" in Client().post(link).text, (
        "the mailbox alone does not outweigh the password"
    )
    signed_in(alice).post(CHANGE, {"password1": PASSWORD})

    clock.advance(hours=HOURS)
    assert finish_recovery()


def test_a_factor_that_a_thief_added_does_not_cancel_the_owners_request(
    clock: Clock,
) -> None:
    alice, _seed = with_factor()
    home = known_browser(alice)
    clock.advance(days=30)
    set_up_authenticator(signed_in(alice), name="Mallory’s")
    after_password(browser=home).post(CHALLENGE, {"lost": "ask"})

    thief = signed_in(type(alice).objects.get())
    clock.advance(minutes=1)
    thief.post(REAUTHENTICATE, {"code": unused_code(alice)})
    thief.post("/accounts/2fa/recovery-codes/", {"new": "1"})
    thief.post("/accounts/recovery/", {"former": "x"})

    clock.advance(hours=HOURS)
    assert not finish_recovery(), "the request was made with more evidence"
    after_password(browser=home).post(CHALLENGE, {"lost": "finish"})
    assert factors_of(alice) == 0
