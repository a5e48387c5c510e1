"""Attacks on the page where a signed-in user locks the account: it takes two things."""

import pytest
from django.test import Client

from accounts.common import clock as site_clock
from accounts.common.proofs import Method
from accounts.recovery.models import Recovery
from accounts.users.services import confirm_email
from tests.support.disputes import EMAIL, LOCK, NEW, THIEFS, alice, lock_link, recipients_of
from tests.support.passkeys import REAUTHENTICATE, times_in_history
from tests.support.second_factor import enrolled, unused_code
from tests.support.signin import SIGNED_UP, signed_in
from tests.support.steps import PASSWORD, WRONG, make_user, outbox, sign_in, sign_in_twice


@pytest.fixture(name="user")
def alice_after_a_year(clock):
    user = make_user("alice")
    clock.advance(days=365)
    return user


def locks(browser, **fields):
    browser.post(LOCK, fields)
    return alice().is_locked_down


def test_a_thief_with_the_password_cannot_lock_the_owner_out(user, client):
    """Withstands a thief in the account."""
    sign_in(client, "alice")

    assert "To lock your account, open the link" in client.get(LOCK).text
    assert not locks(client)
    assert not locks(client, former=PASSWORD), "typing it again shows nothing new"

    signed_in(make_user("bob")).post(LOCK, {"send": "1"})
    client.post(LOCK, {"send": "1"})
    before = len(outbox())
    client.post(LOCK, {"send": "1"})
    assert len(outbox()) == before, "one link a minute for each person"
    to = recipients_of("Your link to lock your account")
    assert to == {"alice@example.org", "bob@example.org"}
    page = client.get(lock_link("Your link to lock")).text
    assert "asked for a link" in page
    assert "If this was you, close this page" not in page
    assert client.post(lock_link("Your link to lock")).status_code == 200
    assert alice().is_locked_down


def test_an_older_session_shows_the_factor_only_and_asks_for_the_password(user, client, clock):
    """Withstands a thief with a cookie.

    A thief who has found an unlocked computer and the phone does not know the password.
    """
    enrolled(user)
    user.authenticator_set.update(made_at=user.date_joined)
    sign_in_twice(client, user)
    clock.advance(minutes=30)
    client.post(REAUTHENTICATE, {"code": unused_code(user)})

    assert not locks(client)
    assert "a passkey or a code" in client.get(LOCK).text
    assert not locks(client, former=WRONG)
    assert locks(client, former=PASSWORD)


def test_a_password_that_a_thief_has_just_set_does_not_count(user, client):
    enrolled(user)
    user.authenticator_set.update(made_at=user.date_joined)
    sign_in_twice(client, user)
    client.post("/accounts/password/change/", {"password1": NEW})

    assert not locks(client)
    assert not locks(client, former=NEW)
    assert locks(client, former=PASSWORD)


@pytest.mark.parametrize("is_removed", [False, True])
def test_a_code_from_a_mailbox_that_the_thief_has_added_does_not_count(user, is_removed):
    """A session does not say to which address the code was sent."""
    confirm_email(user, THIEFS)
    thief = signed_in(user, by=SIGNED_UP)
    if is_removed:
        thief.post(EMAIL, {"remove": user.emails.get(email=THIEFS).pk})

    assert user.emails.count() == 2 - is_removed
    assert not locks(thief)
    assert not locks(signed_in(alice(), by=(Method.MAIL,)), former=WRONG)
    assert not times_in_history(user, "proof_failed"), "the owner keeps all guesses"


def test_a_code_from_the_only_mailbox_counts(user, clock):
    owner = signed_in(user, by=SIGNED_UP)
    clock.advance(seconds=1)
    confirm_email(user, "second@example.org")

    assert locks(owner)


def test_two_things_lock_an_account_that_support_has_opened(user, client):
    """Withstands a thief in the account."""
    now = site_clock.now()
    Recovery.objects.create(user=user, opened_at=now, opened_with=3)

    by_mail = signed_in(user, by=(Method.MAIL,))
    assert not locks(by_mail), "a mailbox alone does not undo what Support has decided"
    sign_in(client, "alice")
    Client().post(lock_link("new browser"))
    assert not alice().is_locked_down
    assert locks(signed_in(alice(), by=SIGNED_UP))


def test_a_link_in_a_signed_in_browser_adds_the_mailbox_to_what_was_shown_there(user, client):
    Recovery.objects.create(user=user, opened_at=site_clock.now(), opened_with=2)
    bob = signed_in(make_user("bob"))
    sign_in(client, "alice")
    client.post(LOCK, {"send": "1"})
    link = lock_link("Your link to lock")

    for stranger in (bob, Client()):
        stranger.post(link)
        assert not alice().is_locked_down, "the mailbox is not enough after an opening with two"
    client.post(link)
    assert alice().is_locked_down
