"""Recovery requests during their waiting period: who may finish, replace or stop them."""

import pytest
from django.test import Client

from accounts.activity.services import Actor
from accounts.recovery.locks import lock_down
from accounts.recovery.models import Recovery
from accounts.twofactor.models import Authenticator
from accounts.users.models import EmailAddress, FormerCredential
from tests.support.clock import Clock
from tests.support.disputes import (
    LOCK,
    NEW,
    alice,
    known_browser,
    lock_link,
    recovery_page,
    reset_link,
    sets_password,
)
from tests.support.second_factor import CHALLENGE, enrolled
from tests.support.second_factor import set_up_authenticator as adds_an_app
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, outbox, sign_in

pytestmark = pytest.mark.django_db


def test_a_thief_with_other_proof_cannot_finish_the_owners_waiting_period(
    home: Client, clock: Clock
) -> None:
    second = "alice@work.example"
    EmailAddress.objects.create(user=alice(), email=second, key=second, confirmed_at=clock.now())
    clock.advance(days=8)
    lock_down(alice(), Actor())
    Client().post(reset_link(), {"lost": "ask"})
    clock.advance(hours=72)

    thief, by_password = recovery_page()
    for link in (by_password, reset_link(to=second)):
        assert not sets_password(thief, link)
        thief.post(link, {"lost": "ask"})
    assert Recovery.objects.get().due_at <= clock.now(), "the owner's request is not replaced"
    assert sets_password(Client(), reset_link())


def test_a_thiefs_recovery_request_is_replaced_once_an_earlier_change_is_disputed(
    home: Client, clock: Clock
) -> None:
    second = "thief@example.net"
    EmailAddress.objects.create(user=alice(), email=second, key=second, confirmed_at=clock.now())
    adds_an_app(signed_in(alice()), name="Mallory’s")
    clock.advance(days=8)
    signed_in(alice()).post("/accounts/password/change/", {"password1": "the thiefs own word 7"})
    early, late = lock_link("authenticator app was added"), lock_link("password was changed")
    Client().post(late)
    Client().post(reset_link(to=second), {"lost": "ask"})
    owner, link = Client(), reset_link()
    owner.post(link, {"lost": "ask"})
    assert [key for _kind, key, _since in Recovery.objects.get().evidence] == [second]

    Client().post(early)
    Client().post(reset_link(), {"lost": "ask"})

    assert [key for _kind, key, _since in Recovery.objects.get().evidence] == ["alice@example.org"]


def test_a_lock_link_of_a_later_event_does_not_make_a_thiefs_browser_an_older_proof(
    home: Client, clock: Clock
) -> None:
    """The thief has one mailbox, and a browser that signed in after the disputed change."""
    second = "alice@work.example"
    EmailAddress.objects.create(user=alice(), email=second, key=second, confirmed_at=clock.now())
    clock.advance(days=8)
    adds_an_app(signed_in(alice()), name="Mallory’s")
    thief = known_browser(alice())
    clock.advance(days=8)
    signed_in(alice()).post("/accounts/password/change/", {"password1": "the thiefs own word 7"})
    late = lock_link("password was changed")
    home.post(lock_link("authenticator app was added", to=second))
    home, link = recovery_page(browser=home)
    home.post(link, {"lost": "ask"})
    assert Recovery.objects.exists()

    assert thief.post(late).status_code == 200

    assert Recovery.objects.exists()


def test_locking_again_does_not_end_the_owners_waiting_period(home: Client, clock: Clock) -> None:
    lock_down(alice(), Actor())
    browser, link = Client(), reset_link()
    browser.post(link, {"former": PASSWORD})
    enrolled(alice())
    Client().post(reset_link(), {"code": "000000"})
    about_codes = [m for m in outbox() if "failed at the second step" in m.subject]
    assert not [m for m in about_codes if LOCK in m.action_url]
    Authenticator.objects.all().delete()
    FormerCredential.objects.create(
        user=alice(), kind="factor", removed_at=clock.now(), is_suspended=True, data={}
    )
    browser.post(link, {"lost": "ask"})
    due = Recovery.objects.get().due_at

    lock_down(alice(), Actor())

    assert Recovery.objects.get().due_at == due


def test_an_owner_without_the_mailbox_cancels_the_thiefs_request_and_recovers(
    home: Client, clock: Clock
) -> None:
    thief = Client(REMOTE_ADDR="203.0.113.9")
    assert sets_password(thief, reset_link())
    sign_in(thief, "alice", NEW)
    adds_an_app(thief)
    lock_down(alice(), Actor())
    thief.post(reset_link(), {"lost": "ask"})

    browser, link = recovery_page(browser=home)
    browser.post(link, {"lost": "stop"})
    assert not Recovery.objects.exists()
    browser.post(link, {"lost": "ask"})
    clock.advance(hours=72)
    browser, link = recovery_page(browser=home)
    assert sets_password(browser, link)


def test_a_thiefs_recovery_requests_use_up_none_of_the_owners(home: Client, clock: Clock) -> None:
    enrolled(alice())
    for _ in range(3):
        thief = Client()
        sign_in(thief, "alice")
        thief.post(CHALLENGE, {"lost": "ask"})
        Recovery.objects.all().delete()

    sign_in(home, "alice")
    assert home.post(CHALLENGE, {"lost": "ask"}).status_code == 302
    assert Recovery.objects.exists()


def test_the_former_password_alone_does_not_finish_a_request_from_before_the_lock(
    home: Client, clock: Clock
) -> None:
    enrolled(alice())
    clock.advance(days=8)
    thief = Client()
    sign_in(thief, "alice")
    thief.post(CHALLENGE, {"lost": "ask"})
    assert Recovery.objects.exists()
    lock_down(alice(), Actor())
    clock.advance(hours=73)

    thief, link = recovery_page()
    assert not sets_password(thief, link, lost="on")
    assert Authenticator.objects.exists()
