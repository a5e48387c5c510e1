"""Attacks on the review of what a lock has suspended."""

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.common.client_info import ClientInfo
from accounts.recovery import suspension
from accounts.recovery.locks import lock_down
from accounts.twofactor.models import Authenticator
from accounts.users import services as users
from accounts.users.models import EmailAddress, FormerCredential
from tests.support.disputes import (
    EMAIL,
    LOCK,
    MINE,
    NEW,
    REVIEW,
    THIEFS,
    alice,
    asks_to_wait,
    known_browser,
    lock,
    lock_link,
    opens,
    recipients_of,
    recovery_page,
    reloaded,
    reopened,
    reset_link,
    review,
    sets_password,
    text_of,
)
from tests.support.second_factor import enrolled, set_up_authenticator
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, is_signed_in, make_user, outbox, path_of, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture(name="alice")
def alice_after_a_year(clock):
    user = make_user("alice")
    clock.advance(days=365)
    return user


def test_the_review_restores_an_email_that_a_thief_removed(alice, clock):
    home, kept = known_browser(alice), "kept@example.org"
    users.confirm_email(alice, kept)
    clock.advance(days=8)
    thief = signed_in(reloaded(alice))
    thief.post("/accounts/email/", {"primary": EmailAddress.objects.get(email=kept).pk})
    thief = signed_in(reloaded(alice))
    thief.post("/accounts/email/", {"remove": EmailAddress.objects.get(email=MINE).pk})
    users.confirm_email(reloaded(alice), THIEFS)
    home.post(lock_link("email address was removed", to=MINE))
    assert not EmailAddress.objects.filter(email=THIEFS).exists()
    home = reopened(home, alice)

    review(home, "keep", MINE)

    assert reloaded(alice).email == kept
    assert set(EmailAddress.objects.values_list("email", flat=True)) == {MINE, kept}
    assert recipients_of("was restored") >= {MINE, kept, THIEFS}
    assert not any(
        MINE in text_of(m) for m in outbox() if m.to == THIEFS and "restored" in m.subject
    )


def test_an_email_that_another_user_has_now_is_not_restored(alice, clock):
    """Withstands an impostor."""
    home = known_browser(alice)
    clock.advance(days=8)
    users.confirm_email(alice, "shared@example.org")
    lock(alice)
    users.confirm_email(make_user("bob"), "shared@example.org")
    home = reopened(home, alice)

    assert (
        "can’t be restored"
        in home.post(
            REVIEW, {"keep": str(FormerCredential.objects.get(kind="email").pk)}, follow=True
        ).text
    )

    assert EmailAddress.objects.get(email="shared@example.org").user.username == "bob"


def test_only_the_owner_can_restore_a_suspended_credential(alice, clock):
    home = known_browser(alice)
    clock.advance(days=8)
    set_up_authenticator(signed_in(alice), name="Tablet")
    lock(alice)
    link = reset_link()
    home.post(link, {"former": PASSWORD})
    assert sets_password(home, link)
    sign_in(home, "alice", NEW)
    row = FormerCredential.objects.get(label="Tablet")

    clock.advance(days=40)
    assert FormerCredential.objects.filter(pk=row.pk).exists()
    mallory = signed_in(make_user("mallory"))
    for act in ("keep", "delete", "keep_identity", "delete_identity"):
        assert mallory.post(REVIEW, {act: str(row.pk)}).status_code == 404
        assert mallory.post(REVIEW, {act: "9" * 400}).status_code == 404
    assert not Authenticator.objects.exists()

    owner = signed_in(reloaded(alice))
    other = signed_in(reloaded(alice))
    review(owner, "keep", "Tablet")
    assert Authenticator.objects.get().name == "Tablet"
    assert [is_signed_in(owner), is_signed_in(other)] == [True, False]


def test_suspended_emails_are_recorded_in_the_history_and_named_in_no_other_mail(alice, clock):
    clock.advance(days=8)
    users.confirm_email(alice, THIEFS)
    thief = signed_in(reloaded(alice))
    thief.post("/accounts/password/change/", {"password1": NEW})
    lock(alice)

    kinds = Activity.objects.filter(kind="suspended").values_list("detail", flat=True)
    assert list(kinds) == [THIEFS]
    assert recipients_of("Your account was locked") == {MINE, THIEFS}
    assert not any(THIEFS in text_of(m) for m in outbox() if m.to == MINE)
    thiefs = [m for m in outbox() if m.to == THIEFS and LOCK in m.action_url]
    assert {Client().post(path_of(m.action_url)).status_code for m in thiefs} == {404}


@pytest.mark.parametrize("act", [suspension.put_back, suspension.delete, suspension.finish])
def test_a_review_during_a_change_of_the_account_fails_without_effect(alice, clock, act):
    clock.advance(days=8)
    users.confirm_email(alice, THIEFS)
    lock(alice)
    as_read = reloaded(alice)
    users.void_proofs_and_links(alice)
    row = FormerCredential.objects.get(kind="email").pk

    with pytest.raises(users.AccountChanged):
        act(as_read, *([] if act is suspension.finish else [row]), Actor())
    assert FormerCredential.objects.filter(pk=row).exists()
    assert reloaded(alice).horizon


def test_an_unfinished_review_does_not_backdate_a_later_lock(home, clock):
    lock_down(alice(), Actor())
    assert opens(home, reset_link())
    clock.advance(days=80)
    enrolled(alice())
    clock.advance(days=8)

    lock_down(alice(), Actor())

    assert Authenticator.objects.exists()
    link = reset_link()
    home.post(link, {"former": NEW})
    assert "Only your passkey or a code is missing" in home.get(link).text


def test_an_unfinished_review_ends_after_thirty_days_and_a_lock_does_not(home, clock):
    users.confirm_email(alice(), THIEFS)
    lock_down(alice(), Actor())
    clock.advance(days=31)
    call_command("prune")
    assert alice().lock
    browser, link = Client(), reset_link()
    browser.post(link, {"former": PASSWORD})
    assert sets_password(browser, link)
    for days, is_open in ((29, True), (1, False)):
        clock.advance(days=days)
        call_command("prune")
        assert (bool(alice().horizon), FormerCredential.objects.exists()) == (is_open, is_open)

    before = len(outbox())
    signed_in(alice()).post("/accounts/password/change/", {"password1": PASSWORD + " anew"})
    assert {m.to for m in outbox()[before:]} == {MINE}


def test_an_account_that_is_locked_while_its_review_expires_stays_disputed(
    home, clock, monkeypatch
):
    lock_down(alice(), Actor())
    assert opens(home, reset_link())
    clock.advance(days=31)
    end = suspension._end_review

    def lock_and_end(user):
        lock_down(alice(), Actor())
        return end(user)

    monkeypatch.setattr(suspension, "_end_review", lock_and_end)
    assert suspension.end_forgotten_reviews() == 0
    assert alice().lock


def test_an_email_that_a_thief_removed_just_before_a_lock_can_be_restored(home, clock):
    thief = signed_in(alice())
    users.confirm_email(alice(), THIEFS)
    thief = signed_in(alice())
    thief.post(EMAIL, {"primary": EmailAddress.objects.get(email=THIEFS).pk})
    thief = signed_in(alice())
    thief.post(EMAIL, {"remove": EmailAddress.objects.get(email=MINE).pk})
    clock.advance(minutes=1)
    lock_down(alice(), Actor())

    link = reset_link(to=MINE)
    home.post(link, {"former": PASSWORD})
    assert sets_password(home, link)
    sign_in(home, "alice", NEW)
    row = FormerCredential.objects.get(label=MINE, is_suspended=False)
    home.post(REVIEW, {"keep": row.pk})
    assert alice().email == MINE


def test_a_reset_link_from_during_the_lock_is_invalid_once_the_review_has_begun(home, clock):
    users.confirm_email(alice(), THIEFS)
    lock_down(alice(), Actor())
    stale, (thief, link) = reset_link(to=THIEFS), recovery_page()
    assert opens(home, reset_link())

    assert not sets_password(Client(), stale)
    assert not sets_password(thief, link)


def test_mails_to_suspended_emails_report_changes_but_no_username_and_no_ip_address(home, clock):
    """Withstands a thief with the mailbox.

    A thief's mailbox must learn neither the owner's IP address nor a new username.
    """
    users.confirm_email(alice(), THIEFS)
    here = {"REMOTE_ADDR": "192.0.2.77"}
    lock_down(alice(), Actor(ClientInfo("192.0.2.77", "Firefox")))
    assert asks_to_wait(Client(**here), reset_link())
    reset_link(to=THIEFS)
    assert opens(home, reset_link())
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
        "An item that was put aside was deleted from your account",
    ]
    assert all("192.0.2" not in text_of(m) and "alice" not in text_of(m) for m in heard)
    assert recipients_of("review of your account is finished") >= {MINE}
