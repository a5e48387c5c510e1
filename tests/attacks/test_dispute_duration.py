"""How far back a dispute reaches, how long it lasts, and how a review ends it."""

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.activity.services import Actor
from accounts.recovery import suspension
from accounts.recovery.locks import lock_down
from accounts.twofactor.models import Authenticator
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.models import FormerCredential, User
from tests.support.clock import Clock
from tests.support.disputes import (
    MINE,
    NEW,
    REVIEW,
    THIEFS,
    alice,
    lock_link,
    reset_link,
    review,
    sets_password,
)
from tests.support.second_factor import enrolled
from tests.support.second_factor import set_up_authenticator as adds_an_app
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, outbox, sign_in

pytestmark = pytest.mark.django_db


def test_an_unfinished_review_does_not_backdate_a_later_lock(home: Client, clock: Clock) -> None:
    lock_down(alice(), Actor())
    assert sets_password(home, reset_link())
    clock.advance(days=80)
    enrolled(alice())
    clock.advance(days=8)

    lock_down(alice(), Actor())

    assert Authenticator.objects.exists()
    link = reset_link()
    home.post(link, {"former": NEW})
    assert "<li>your password</li>" in home.get(link).text


def test_an_unfinished_review_ends_after_thirty_days_and_a_lock_does_not(
    home: Client, clock: Clock
) -> None:
    users.confirm_email(alice(), THIEFS)
    lock_down(alice(), Actor())
    clock.advance(days=31)
    call_command("prune")
    assert alice().is_disputed
    browser, link = Client(), reset_link()
    browser.post(link, {"former": PASSWORD})
    assert sets_password(browser, link)
    for days, is_open in ((29, True), (1, False)):
        clock.advance(days=days)
        call_command("prune")
        assert (bool(alice().disputed_at), FormerCredential.objects.exists()) == (is_open, is_open)

    before = len(outbox())
    signed_in(alice()).post("/accounts/password/change/", {"password1": PASSWORD + " anew"})
    assert {m.to for m in outbox()[before:]} == {MINE}


def test_former_credentials_are_kept_until_the_dispute_ends(home: Client, clock: Clock) -> None:
    thief = signed_in(alice())
    thief.post("/accounts/password/change/", {"password1": "the thiefs own word 7"})
    changed = lock_link("password was changed")
    clock.advance(days=28)
    Client().post(changed)
    clock.advance(days=10)
    assert former_credentials.prune() == 0

    browser, link = Client(), reset_link()
    browser.post(link, {"former": PASSWORD})
    assert sets_password(browser, link)


def test_an_account_that_is_locked_while_its_review_expires_stays_disputed(
    home: Client, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_down(alice(), Actor())
    assert sets_password(home, reset_link())
    clock.advance(days=31)
    end = suspension._end_review

    def lock_and_end(user: User) -> bool:
        lock_down(alice(), Actor())
        return end(user)

    monkeypatch.setattr(suspension, "_end_review", lock_and_end)
    assert suspension.end_forgotten_reviews() == 0
    assert alice().is_disputed


def test_an_earlier_lock_link_extends_the_dispute_of_a_locked_account(
    home: Client, clock: Clock
) -> None:
    thief = Client()
    sign_in(thief, "alice")
    unused = lock_link("from a new browser")
    clock.advance(minutes=1)
    adds_an_app(thief, name="Mallory’s")
    clock.advance(days=8)
    signed_in(alice()).post("/accounts/password/change/", {"password1": "the thiefs own word 7"})
    early, late = lock_link("authenticator app was added"), lock_link("password was changed")
    Client().post(late)
    assert Authenticator.objects.exists()

    Client().post(early)

    assert not Authenticator.objects.exists()
    home.post(link := reset_link(), {"former": PASSWORD})
    assert sets_password(home, link)
    assert Client().post(unused).status_code == 404, "this mailbox has locked the account once"
    sign_in(home, "alice", NEW)
    for label in ("Mallory’s", "Recovery codes"):
        review(home, "delete", label)
    home.post(REVIEW, {"done": "1"})
    lock_down(alice(), Actor())
    assert Client().post(unused).status_code == 404, "the dispute of that link is over"


def test_the_notice_of_a_reset_can_lock_the_account_again(home: Client, clock: Clock) -> None:
    lock_down(alice(), Actor())
    Client().post(reset_link(), {"lost": "ask"})
    clock.advance(hours=72)
    assert sets_password(Client(), reset_link())

    assert Client().post(lock_link("password was reset")).status_code == 200
    assert alice().is_locked_down
