"""Attacks on the review of what a lock has suspended, and on what Support decides.

Cases of Support that others erase, links that others use, reminders.
"""

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Method, Proof
from accounts.passwords import changes
from accounts.recovery import services as recovery
from accounts.recovery import suspension
from accounts.recovery.locks import lock_down
from accounts.recovery.models import Recovery
from accounts.twofactor.models import Authenticator
from accounts.users import services as users
from accounts.users.models import EmailAddress, FormerCredential
from tests.support.disputes import (
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
from tests.support.second_factor import code_of, enrolled, set_up_authenticator
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, is_signed_in, make_user, outbox, path_of, sign_in


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

    review(home, "keep", "shared@example.org")
    assert "can’t be restored" in home.get(REVIEW).text

    assert EmailAddress.objects.get(email="shared@example.org").user.username == "bob"


def test_only_the_owner_can_restore_a_suspended_credential(alice, clock):
    home = known_browser(alice)
    clock.advance(days=8)
    set_up_authenticator(signed_in(alice), name="Tablet")
    lock(alice)
    reopened(home, alice)
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
    users.confirm_email(alice, kept := "kept@example.org")
    reloaded(alice).save_email(kept)
    clock.advance(days=8)
    users.confirm_email(reloaded(alice), THIEFS)
    thief = signed_in(reloaded(alice))
    thief.post("/accounts/password/change/", {"password1": NEW})
    lock(alice)

    assert reloaded(alice).email == kept, "the primary address stays, although it is not the oldest"
    kinds = Activity.objects.filter(kind="suspended").values_list("detail", flat=True)
    assert list(kinds) == [THIEFS]
    assert recipients_of("Your account was locked") == {MINE, kept, THIEFS}
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
    assert opens(Client(), reset_link())
    make_user("bob", password_at=clock.now().replace(year=2020))
    for days, is_open in ((29, True), (1, False)):
        clock.advance(days=days)
        assert suspension.end_forgotten_reviews() == (not is_open)
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


@pytest.fixture
def seed(clock):
    """Alice has had an authenticator app for a month. Return its seed."""
    seed = enrolled(make_user("alice"))
    clock.advance(days=30)
    return seed


def ask_support_with_the_factor():
    factor = Proof.now(Method.TOTP, Authenticator.objects.get().persistent_id)
    recovery.ask_support(alice(), factor, actor=Actor())


def decision_link(email):
    changes.send_decision(alice(), email, Actor(), events.LOCK_LIFTED)
    mail = next(m for m in reversed(outbox()) if m.to == email and "Set a new" in m.subject)
    return path_of(mail.action_url)


def test_a_thief_with_mailbox_and_password_does_not_erase_the_case_of_the_owner(seed, clock):
    """Withstands a thief in the account."""
    lock(alice())
    thief, link = Client(), reset_link()
    assert asks_to_wait(thief, link)
    ask_support_with_the_factor()

    thief.post(link, {"former": PASSWORD})
    thief.post(link, {"lost": "stop"})

    assert Recovery.objects.get().shown_to_support == [["factor"]]
    assert not asks_to_wait(thief, link)


def test_a_case_outlives_a_lock_and_the_daily_job_and_ends_after_thirty_days(seed, clock):
    ask_support_with_the_factor()
    lock(alice())
    clock.advance(days=29)
    call_command("prune")
    assert not asks_to_wait(Client(), reset_link())

    clock.advance(days=1)
    assert asks_to_wait(Client(), reset_link())


def test_the_password_alone_at_support_does_not_stop_who_shows_it_and_the_mailbox(seed, clock):
    """Withstands a thief with the password."""
    recovery.ask_support(alice(), Proof.now(Method.PASSWORD), actor=Actor())
    owner, link = Client(), reset_link()
    owner.post(link, {"former": PASSWORD})

    assert asks_to_wait(owner, link)


def test_a_password_from_after_the_horizon_does_not_stand_for_that_from_before(seed, clock):
    signed_in(alice()).post("/accounts/password/change/", {"password1": NEW})
    wrong_at = Activity.objects.get(kind="password_changed").at
    clock.advance(days=9)
    lock(alice())
    recovery.ask_support(alice(), Proof.now(Method.PASSWORD), actor=Actor())

    lock_down(alice(), Actor(), wrong_at)

    found = recovery.assess(alice())
    assert (found.others, found.is_at_support) == ((), False)


def test_a_later_decision_voids_the_link_of_an_earlier_one(seed):
    """Withstands a thief with the mailbox."""
    users.confirm_email(alice(), "second@example.org")
    lock(alice())
    wrong, right = decision_link("second@example.org"), decision_link(MINE)

    assert alice().activity.latest("id").detail == MINE
    assert not sets_password(Client(), wrong)
    assert sets_password(Client(), right)


def test_a_decision_lets_nobody_set_the_password_of_staff_without_a_factor_by_mail_alone(clock):
    carol = make_user("carol", is_staff=True)
    clock.advance(days=30)
    lock(carol)
    changes.send_decision(
        users.find_by_id(str(carol.pk)), "carol@example.org", Actor(), events.LOCK_LIFTED
    )
    mail = next(m for m in reversed(outbox()) if "Set a new" in m.subject)

    answer = Client().post(path_of(mail.action_url), {"password1": NEW})

    assert answer.status_code == 403


def test_a_lock_link_does_not_void_a_decision(seed, clock):
    signed_in(alice()).post("/accounts/password/change/", {"password1": NEW})
    lock(alice())
    link = decision_link(MINE)

    Client().post(lock_link("password was changed"))

    assert sets_password(Client(), link)


def test_a_request_that_an_opening_ended_cannot_be_made_again(seed):
    """Withstands a thief in the account."""
    lock(alice())
    assert asks_to_wait(Client(), reset_link())
    owner, link = Client(), reset_link()
    owner.post(link, {"code": code_of(seed)})
    assert sets_password(owner, link)

    assert not asks_to_wait(Client(), reset_link())


def test_the_password_of_the_sign_in_and_a_mailed_link_open_together_when_guesses_are_used_up(
    clock,
):
    """Withstands a guesser."""
    make_user("alice")
    clock.advance(days=30)
    lock(alice())
    link = reset_link()
    for n in range(5):
        Client().post(link, {"former": f"guess {n}"})
    owner = Client()
    owner.get(owner.post("/accounts/login/", {"login": "alice", "password": PASSWORD}).url)

    assert not opens(Client(), link)
    assert sets_password(owner, reset_link())


def test_a_restore_ends_requests_that_may_have_been_stopped_since(seed, clock):
    """Withstands an operator's mistake."""
    assert asks_to_wait(Client(), reset_link())
    call_command("after_restore", "--no-deletions")

    assert recovery.running(alice()) is None


def test_a_former_mailbox_learns_neither_a_new_username_nor_later_changes(seed, clock):
    """Withstands a thief with the mailbox."""
    change = "/accounts/password/change/"
    users.confirm_email(alice(), "new@example.net")
    signed_in(alice()).post(change, {"password1": NEW})
    link = lock_link("password was changed")
    before = Client().get(link).text
    alice().emails.filter(email=MINE).delete()
    renamed = users.rename(alice(), "alicia")
    clock.advance(days=1)
    signed_in(renamed).post(change, {"password1": PASSWORD})

    page = Client().get(link).text

    assert "alicia" not in page
    assert page.count('type="radio"') == before.count('type="radio"') > 0


def test_a_mailbox_that_may_not_lock_alone_locks_with_the_password_from_before(clock):
    make_user("alice")
    clock.advance(days=30)
    signed_in(alice()).post("/accounts/password/change/", {"password1": NEW})
    Client().post(lock_link("password was changed"))
    assert asks_to_wait(Client(), reset_link())
    clock.advance(hours=73)
    assert sets_password(Client(), reset_link())
    link = lock_link("password was reset")

    for former in ("", "a guess", NEW):
        assert 'name="former"' in Client().post(link, {"former": former}).text
        assert not alice().is_locked_down
    Client().post(link, {"former": PASSWORD})
    assert alice().is_locked_down
