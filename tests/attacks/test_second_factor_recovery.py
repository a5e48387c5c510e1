"""Attacks with only the password on the waiting period that removes lost factors."""

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.recovery.models import Recovery
from accounts.sessions.models import LoginSession
from accounts.throttle.limits import FACTOR_RECOVERY
from tests.attacks.dispute_steps import known_browser
from tests.attacks.second_steps import (
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
from tests.attacks.test_second_factor_reset import NEW, opens
from tests.conftest import Clock
from tests.support.second import CHALLENGE, turn_on, unused_code
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, is_signed_in, mail_to, path_of

pytestmark = pytest.mark.django_db

ASKED = "remove your second factors"
HOURS = 72
CHANGE = "/accounts/password/change/"


def ask(login: str = "alice") -> list[str]:
    """Request a recovery with the password only; return the paths of the mailed links."""
    before = len(mails_about(ASKED))
    after_password(login).post(CHALLENGE, {"lost": "ask"})
    return [path_of(mail.action_url) for mail in mails_about(ASKED)[before:]]


def finish(login: str = "alice") -> bool:
    """Try to end the waiting period; return whether the browser is signed in."""
    browser = after_password(login)
    browser.post(CHALLENGE, {"lost": "finish"})
    return is_signed_in(browser)


def test_the_waiting_period_ends_exactly_when_it_is_due(clock: Clock) -> None:
    alice, _seed = with_factor()
    with_factor("bob")
    ask("bob")
    clock.advance(hours=1)
    assert not finish(), "a request for another account does not count"
    ask()

    assert not finish()
    clock.advance(hours=HOURS, seconds=-1)
    assert not finish()
    assert finish("bob")
    ask()
    assert Recovery.objects.count() == 1
    clock.advance(seconds=1)
    session = signed_in(alice)
    assert finish()
    login = LoginSession.objects.get(user=alice, ended_at=None)
    assert (login.amr, login.acr) == (["pwd"], "aal1")
    assert factors_of(alice) == 0
    assert not is_signed_in(session), "every other session is revoked"


def test_a_recovery_request_expires_seven_days_after_its_waiting_period(clock: Clock) -> None:
    alice, _seed = with_factor()
    (link,) = ask()
    clock.advance(hours=HOURS, days=7, seconds=-1)
    assert Client().get(link).status_code == 200

    clock.advance(seconds=1)

    assert Client().get(link).status_code == 404
    assert not finish()
    assert factors_of(alice) == 1


@pytest.mark.parametrize("which", range(3))
def test_every_email_is_notified_and_each_link_cancels_the_request(
    clock: Clock, which: int
) -> None:
    from accounts.users.services import confirm_email

    alice, _seed = with_factor()
    others = ["alice@work.example", "alice@home.example"]
    for address in others:
        confirm_email(alice, address)
    links = ask()
    assert {mail.to for mail in mails_about(ASKED)} == {"alice@example.org", *others}
    assert len(set(links)) == 3

    assert "stopped" in Client().post(links[which], {"former": PASSWORD}).text

    clock.advance(hours=HOURS)
    assert not finish()
    assert [Client().post(link).status_code for link in links] == [404] * 3


def test_a_mail_scanner_that_opens_the_link_does_not_cancel_the_request(clock: Clock) -> None:
    with_factor()
    (link,) = ask()
    of_reset = reset_link().rstrip("/").rpartition("/")[2]

    assert [Client().get(link).status_code, Client().head(link).status_code] == [200, 200]
    assert Client(enforce_csrf_checks=True).post(link).status_code == 403
    assert Client().post(f"/accounts/2fa/recovery/{of_reset}/").status_code == 404

    clock.advance(hours=HOURS)
    assert finish()


def test_the_link_cancels_the_request_once_and_does_nothing_else(clock: Clock) -> None:
    alice, _seed = with_factor()
    home, (link,), browser = signed_in(alice), ask(), Client()
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


def test_the_recovery_mail_is_in_the_users_language() -> None:
    with_factor(language="de")
    after_password().post(CHALLENGE, {"lost": "ask"})

    assert "Hallo alice" in str(mail_to("alice").body)


SIGNS: dict[str, Callable[[Any], Any]] = {
    "from inside, in a known browser": posting("/accounts/recovery/", former=PASSWORD),
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
    ask()
    assert Recovery.objects.exists()

    sign(alice)

    assert not Recovery.objects.exists()


def test_actions_that_need_no_second_factor_do_not_cancel_the_request(clock: Clock) -> None:
    alice, _seed = with_factor()
    ask()

    after_password().post(CHALLENGE, {"mail": "1"})
    after_password().post(CHALLENGE, {"code": "000000"})
    Client().post(RESET, {"login": "alice"})
    (link,) = [path_of(mail.action_url) for mail in mails_about(ASKED)]
    assert "That isn’t enough" in Client().post(link).text, (
        "the mailbox alone does not outweigh the password"
    )
    signed_in(alice).post(CHANGE, {"password1": PASSWORD})

    clock.advance(hours=HOURS)
    assert finish()


@pytest.mark.parametrize("rights", ["is_staff", "is_superuser"])
def test_staff_cannot_request_a_waiting_period(clock: Clock, rights: str) -> None:
    carol, _seed = with_factor("carol")
    ask("carol")
    type(carol).objects.filter(pk=carol.pk).update(**{rights: True})
    link = reset_link("carol")

    assert after_password("carol").post(CHALLENGE, {"lost": "ask"}).status_code == 403
    assert Client().post(link, {"lost": "ask"}).status_code == 403
    assert len(mails_about(ASKED)) == 1
    clock.advance(hours=HOURS)
    assert not finish("carol"), "a request from before the promotion does not count either"
    assert factors_of(carol) == 1


def test_no_waiting_period_starts_or_ends_when_the_setting_is_off(
    clock: Clock, settings: Any
) -> None:
    with_factor()
    ask()
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, factor_recovery_hours=0)

    clock.advance(hours=HOURS)

    assert not finish()
    assert after_password().post(CHALLENGE, {"lost": "ask"}).status_code == 403


def test_repeated_requests_do_not_flood_the_mailbox(clock: Clock) -> None:
    alice, _seed = with_factor()
    ask()
    assert ask() == [], "a request is already waiting"

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
    assert "Begin the waiting period" in after_password(browser=home).get(CHALLENGE).text
    assert home.post(CHALLENGE, {"lost": "finish"}).status_code == 403

    link = reset_link()
    home.post(link, {"former": PASSWORD})
    home.post(link, {"lost": "finish"})

    assert factors_of(alice) == 0
    assert {mail.to for mail in mails_about("All second factors were removed")} == {alice.email}


def test_a_factor_that_a_thief_added_does_not_cancel_the_owners_request(
    clock: Clock,
) -> None:
    alice, _seed = with_factor()
    home = known_browser(alice)
    clock.advance(days=30)
    turn_on(signed_in(alice), name="Mallory’s")
    after_password(browser=home).post(CHALLENGE, {"lost": "ask"})

    thief = signed_in(type(alice).objects.get())
    clock.advance(minutes=1)
    thief.post(REAUTHENTICATE, {"code": unused_code(alice)})
    thief.post("/accounts/2fa/recovery-codes/", {"new": "1"})
    thief.post("/accounts/recovery/", {"former": "x"})

    clock.advance(hours=HOURS)
    assert not finish(), "the request was made with more evidence"
    after_password(browser=home).post(CHALLENGE, {"lost": "finish"})
    assert factors_of(alice) == 0


def test_a_stronger_request_restarts_the_waiting_period_and_a_weaker_one_does_not(
    clock: Clock,
) -> None:
    alice, _seed = with_factor()
    home = known_browser(alice)
    clock.advance(days=30)
    ask()
    weak = Recovery.objects.get().due_at
    clock.advance(hours=1)

    after_password(browser=home).post(CHALLENGE, {"lost": "ask"})
    strong = Recovery.objects.get().due_at
    clock.advance(hours=1)
    assert ask() == []

    assert Recovery.objects.get().due_at == strong > weak


def test_every_page_shows_a_waiting_request_to_the_signed_in_user(clock: Clock) -> None:
    alice, _seed = with_factor()
    home = signed_in(alice)
    pages = ("/", "/accounts/profile/", "/accounts/email/", "/accounts/2fa/", "/accounts/activity/")
    banner = "Stop it, if it wasn’t you"
    assert not any(banner in home.get(page).text for page in pages)
    ask()

    assert all(banner in home.get(page).text for page in pages)


def test_a_request_made_by_the_previous_version_can_be_finished(clock: Clock) -> None:
    alice, _seed = with_factor()
    due_at = clock.now() + timedelta(hours=HOURS)
    Recovery.objects.create(user=alice, version=alice.credential_version, due_at=due_at)

    assert not finish()
    clock.advance(hours=HOURS)
    assert finish()
