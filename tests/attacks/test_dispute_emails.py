"""Disputes over emails: suspended, removed and recently added ones."""

import pytest
from django.test import Client

from accounts.activity.services import Actor
from accounts.common.client_info import ClientInfo
from accounts.recovery.locks import lock_down
from accounts.users import services as users
from accounts.users.models import EmailAddress, FormerCredential
from tests.support.clock import Clock
from tests.support.disputes import (
    EMAIL,
    LOCK,
    MINE,
    NEW,
    REVIEW,
    THIEFS,
    alice,
    lock_link,
    recipients_of,
    recovery_page,
    reset_link,
    review,
    sets_password,
    text_of,
)
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, outbox, path_of, sign_in

pytestmark = pytest.mark.django_db


def test_an_email_that_a_thief_removed_just_before_a_lock_can_be_restored(
    home: Client, clock: Clock
) -> None:
    thief = signed_in(alice())
    users.confirm_email(alice(), THIEFS)
    thief = signed_in(alice())
    thief.post(EMAIL, {"primary": EmailAddress.objects.get(email=THIEFS).pk})
    thief = signed_in(alice())
    thief.post(EMAIL, {"remove": EmailAddress.objects.get(email=MINE).pk})
    clock.advance(minutes=1)
    signed_in(alice()).post(LOCK)

    link = reset_link(to=MINE)
    home.post(link, {"former": PASSWORD})
    assert sets_password(home, link)
    sign_in(home, "alice", NEW)
    row = FormerCredential.objects.get(label=MINE, is_suspended=False)
    home.post(REVIEW, {"keep": row.pk})
    assert alice().email == MINE


def test_mails_to_suspended_emails_report_changes_but_no_username_and_no_ip_address(
    home: Client, clock: Clock
) -> None:
    """A thief's mailbox must learn neither the owner's IP address nor a new username."""
    users.confirm_email(alice(), THIEFS)
    here = {"REMOTE_ADDR": "192.0.2.77"}
    lock_down(alice(), Actor(ClientInfo("192.0.2.77", "Firefox")))
    Client(**here).post(reset_link(), {"lost": "ask"})
    reset_link(to=THIEFS)
    assert sets_password(home, reset_link())
    clock.advance(days=40)
    home.cookies.pop("sessionid", None)
    sign_in(Client(**here), "alice", NEW)
    sign_in(home, "alice", NEW)
    review(home, "delete", THIEFS)
    home.post(REVIEW, {"done": "1"})

    heard = [m for m in outbox() if m.to == THIEFS]
    assert [m.subject for m in heard] == [
        "Your account was locked",
        "Someone asked to unlock your account",
        "Set a new password for authsite",
        "Your password was reset",
        "A suspended item was deleted from your account",
    ]
    assert all("192.0.2" not in text_of(m) and "alice" not in text_of(m) for m in heard)
    assert recipients_of("review of your account is finished") >= {MINE}


def test_a_thief_with_the_password_cannot_request_recovery_by_an_added_email(home: Client) -> None:
    users.confirm_email(alice(), THIEFS)
    lock_down(alice(), Actor())
    thief, link = Client(), reset_link(to=THIEFS)
    thief.post(link, {"former": PASSWORD})
    assert thief.post(link, {"lost": "ask"}).status_code == 403


def test_a_mailbox_that_is_no_older_proof_learns_no_username_from_the_reset(home: Client) -> None:
    users.confirm_email(alice(), THIEFS)
    lock_down(alice(), Actor())
    Client().post(reset_link(), {"lost": "ask"})
    objections = {m.to: path_of(m.action_url) for m in outbox() if "asked to unlock" in m.subject}
    for to, is_told in ((MINE, True), (THIEFS, False)):
        for link in (reset_link(to=to), objections[to]):
            assert ("alice" in Client().get(link).text) is is_told, (to, link)


def test_an_email_that_its_owner_added_and_removed_cannot_lock_the_account(
    home: Client, clock: Clock
) -> None:
    users.confirm_email(alice(), THIEFS)
    browser = signed_in(alice())
    browser.post("/accounts/password/change/", {"password1": NEW})
    browser.post(EMAIL, {"remove": EmailAddress.objects.get(email=THIEFS).pk})

    links = [m.action_url for m in outbox() if m.to == THIEFS and LOCK in m.action_url]
    assert {Client().post(path_of(link)).status_code for link in links} == {404}


def test_a_reset_link_from_during_the_lock_is_invalid_once_the_review_has_begun(
    home: Client, clock: Clock
) -> None:
    users.confirm_email(alice(), THIEFS)
    lock_down(alice(), Actor())
    stale, (thief, link) = reset_link(to=THIEFS), recovery_page()
    assert sets_password(home, reset_link())

    assert not sets_password(Client(), stale)
    assert not sets_password(thief, link)


def test_an_owner_whose_only_email_is_new_can_lock_and_recover_the_account(
    home: Client, clock: Clock
) -> None:
    new = "new@example.net"
    users.confirm_email(alice(), new)
    for name, address in (("primary", new), ("remove", MINE)):
        row = EmailAddress.objects.get(email=address)
        signed_in(alice()).post(EMAIL, {name: row.pk})
    clock.advance(days=3)
    users.confirm_email(alice(), THIEFS)
    for name, address in (("primary", THIEFS), ("remove", new)):
        row = EmailAddress.objects.get(email=address)
        signed_in(alice()).post(EMAIL, {name: row.pk})

    home.post(lock_link("email address was removed", to=new))
    link = reset_link(to=new)
    home.post(link, {"former": PASSWORD})
    assert sets_password(home, link)
