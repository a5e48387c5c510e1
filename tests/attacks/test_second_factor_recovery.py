"""Attacks with only the password on the waiting period that removes lost factors."""

import dataclasses
from typing import Any

import pytest
from django.test import Client

from accounts.recovery.models import Recovery
from accounts.sessions.models import LoginSession
from accounts.throttle.limits import FACTOR_RECOVERY
from tests.support.clock import Clock
from tests.support.disputes import known_browser
from tests.support.factor_recovery import (
    ASKED,
    HOURS,
    NEW,
    finish_recovery,
    opens,
    request_recovery,
)
from tests.support.second_factor import CHALLENGE
from tests.support.second_steps import (
    after_password,
    factors_of,
    mails_about,
    reset_link,
    with_factor,
)
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, is_signed_in

pytestmark = pytest.mark.django_db


def test_the_waiting_period_ends_exactly_when_it_is_due(clock: Clock) -> None:
    alice, _seed = with_factor()
    with_factor("bob")
    request_recovery("bob")
    clock.advance(hours=1)
    assert not finish_recovery(), "a request for another account does not count"
    request_recovery()

    assert not finish_recovery()
    clock.advance(hours=HOURS, seconds=-1)
    assert not finish_recovery()
    assert finish_recovery("bob")
    request_recovery()
    assert Recovery.objects.count() == 1
    clock.advance(seconds=1)
    session = signed_in(alice)
    assert finish_recovery()
    login = LoginSession.objects.get(user=alice, ended_at=None)
    assert (login.amr, login.acr) == (["pwd"], "aal1")
    assert factors_of(alice) == 0
    assert not is_signed_in(session), "every other session is revoked"


def test_a_recovery_request_expires_seven_days_after_its_waiting_period(clock: Clock) -> None:
    alice, _seed = with_factor()
    (link,) = request_recovery()
    clock.advance(hours=HOURS, days=7, seconds=-1)
    assert Client().get(link).status_code == 200

    clock.advance(seconds=1)

    assert Client().get(link).status_code == 404
    assert not finish_recovery()
    assert factors_of(alice) == 1


@pytest.mark.parametrize("rights", ["is_staff", "is_superuser"])
def test_staff_cannot_request_a_waiting_period(clock: Clock, rights: str) -> None:
    carol, _seed = with_factor("carol")
    request_recovery("carol")
    type(carol).objects.filter(pk=carol.pk).update(**{rights: True})
    link = reset_link("carol")

    assert after_password("carol").post(CHALLENGE, {"lost": "ask"}).status_code == 403
    assert Client().post(link, {"lost": "ask"}).status_code == 403
    assert len(mails_about(ASKED)) == 1
    clock.advance(hours=HOURS)
    assert not finish_recovery("carol"), "a request from before the promotion does not count either"
    assert factors_of(carol) == 1


def test_no_waiting_period_starts_or_ends_when_the_setting_is_off(
    clock: Clock, settings: Any
) -> None:
    with_factor()
    request_recovery()
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, factor_recovery_hours=0)

    clock.advance(hours=HOURS)

    assert not finish_recovery()
    assert after_password().post(CHALLENGE, {"lost": "ask"}).status_code == 403


def test_repeated_requests_do_not_flood_the_mailbox(clock: Clock) -> None:
    alice, _seed = with_factor()
    request_recovery()
    assert request_recovery() == [], "a request is already waiting"

    session, statuses = signed_in(alice), []
    for _ in range(FACTOR_RECOVERY.burst):
        session.post("/accounts/recovery/", {"former": PASSWORD})
        statuses.append(after_password().post(CHALLENGE, {"lost": "ask"}).status_code)

    assert statuses == [302] * (FACTOR_RECOVERY.burst - 1) + [429]
    assert len(mails_about(ASKED)) == FACTOR_RECOVERY.burst


def test_a_reset_link_ends_the_waiting_period_only_when_due_and_sets_no_password(
    clock: Clock,
) -> None:
    alice, _seed = with_factor()
    Client().post(reset_link(), {"lost": "ask"})
    assert Recovery.objects.count() == 1
    clock.advance(hours=HOURS - 1)
    assert Client().post(reset_link(), {"lost": "finish"}).status_code == 403
    assert factors_of(alice) == 1

    clock.advance(hours=1)
    browser, link = Client(), reset_link()
    browser.post(link, {"lost": "finish", "password1": NEW})

    assert factors_of(alice) == 0
    assert not opens(NEW)
    assert browser.post(link, {"password1": NEW}).status_code == 404


def test_three_older_proofs_remove_lost_factors_at_once_and_two_do_not(clock: Clock) -> None:
    alice, _seed = with_factor()
    home = known_browser(alice)
    clock.advance(days=8)
    assert "Start the waiting period" in after_password(browser=home).get(CHALLENGE).text
    assert home.post(CHALLENGE, {"lost": "finish"}).status_code == 403

    link = reset_link()
    home.post(link, {"former": PASSWORD})
    home.post(link, {"lost": "finish"})

    assert factors_of(alice) == 0
    assert {mail.to for mail in mails_about("second factors were removed")} == {alice.email}


def test_a_stronger_request_restarts_the_waiting_period_and_a_weaker_one_does_not(
    clock: Clock,
) -> None:
    alice, _seed = with_factor()
    home = known_browser(alice)
    clock.advance(days=30)
    request_recovery()
    weak = Recovery.objects.get().due_at
    clock.advance(hours=1)

    after_password(browser=home).post(CHALLENGE, {"lost": "ask"})
    strong = Recovery.objects.get().due_at
    clock.advance(hours=1)
    assert request_recovery() == []

    assert Recovery.objects.get().due_at == strong > weak


def test_every_page_shows_a_waiting_request_to_the_signed_in_user(clock: Clock) -> None:
    alice, _seed = with_factor()
    home = signed_in(alice)
    pages = ("/", "/accounts/profile/", "/accounts/email/", "/accounts/2fa/", "/accounts/activity/")
    banner = "If it wasn’t you, stop the request"
    assert not any(banner in home.get(page).text for page in pages)
    request_recovery()

    assert all(banner in home.get(page).text for page in pages)
