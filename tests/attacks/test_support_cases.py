"""Attacks on what Support decides: cases that others erase, links that others use, reminders."""

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.common.proofs import Method, Proof
from accounts.passwords import changes
from accounts.recovery import services as recovery
from accounts.recovery.locks import lock_down
from accounts.recovery.models import Recovery
from accounts.twofactor.models import Authenticator
from accounts.users import services as users
from tests.support.disputes import (
    MINE,
    NEW,
    alice,
    asks_to_wait,
    lock,
    lock_link,
    opens,
    reset_link,
    sets_password,
)
from tests.support.second_factor import code_of, enrolled
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, make_user, outbox, path_of

pytestmark = pytest.mark.django_db


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

    assert recovery.assess(alice()).others == ()


def test_a_later_decision_voids_the_link_of_an_earlier_one(seed):
    """Withstands a thief with the mailbox."""
    users.confirm_email(alice(), "second@example.org")
    lock(alice())
    wrong, right = decision_link("second@example.org"), decision_link(MINE)

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
