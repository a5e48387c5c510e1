"""Attacks on the sign-in that follows a password reset."""

import pytest
from django.test import Client

from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support.second_factor import unused_code
from tests.support.second_steps import RESET, mails_about, staff, with_factor
from tests.support.steps import LOGIN, is_signed_in, make_user, path_of, sign_in

pytestmark = pytest.mark.django_db

NEW = "a lantern over seven wet roofs"


def ask(browser, login="alice", **more):
    """Request a reset in ``browser``; return the path of the mailed link."""
    assert browser.post(RESET, {"login": login, **more}).status_code == 200
    return path_of(mails_about("Set a new password")[-1].action_url)


def test_a_reset_signs_in_the_browser_that_asked_for_it_and_keeps_next(client):
    make_user("alice")
    link = ask(client, next="/accounts/sessions/", remember="on")

    assert client.post(link, {"password1": NEW})["Location"] == "/accounts/sessions/"
    session = LoginSession.objects.get(ended_at=None)
    assert (session.amr, session.is_remembered) == (["mail"], True)
    assert "Your new password is set." in client.get("/accounts/sessions/").text


def test_the_link_of_an_attackers_account_signs_no_victim_in():
    """Otherwise, the victim would enter personal data into the account of the attacker."""
    make_user("mallory")
    alice = Client()
    ask(alice, "alice@example.org")

    answer = alice.post(ask(Client(), "mallory"), {"password1": NEW})

    assert answer["Location"] == LOGIN
    assert not is_signed_in(alice)


def test_a_reset_signs_in_with_a_second_factor_only_if_it_was_shown_there(clock):
    alice, _seed = with_factor()
    client = Client()
    link = ask(client)
    client.post(link, {"code": unused_code(alice)})

    client.post(link, {"password1": NEW})

    session = LoginSession.objects.get(ended_at=None)
    assert session.amr == ["mail", "otp"]
    assert is_signed_in(client)


def test_a_factor_that_is_added_after_the_link_was_mailed_is_asked_for(monkeypatch):
    """The proofs of the reset are judged by the same policy as those of any other sign-in."""
    from accounts.passwords import changes

    alice, client = make_user("alice"), Client()
    link = ask(client)
    reset = changes.reset

    def enrolled_meanwhile(*args, **kwargs):
        user = reset(*args, **kwargs)
        from tests.support.second_factor import enrolled

        enrolled(alice)
        return user

    monkeypatch.setattr(changes, "reset", enrolled_meanwhile)
    answer = client.post(link, {"password1": NEW})

    assert answer["Location"] == "/accounts/2fa/challenge/"
    assert not is_signed_in(client)


def test_a_lock_right_after_the_reset_stops_its_sign_in(monkeypatch):
    from accounts.activity.services import Actor
    from accounts.passwords import changes
    from accounts.recovery.locks import lock_down

    make_user("alice")
    client, reset = Client(), changes.reset
    link = ask(client)

    def locked_meanwhile(*args, **kwargs):
        user = reset(*args, **kwargs)
        lock_down(User.objects.get(), Actor())
        return user

    monkeypatch.setattr(changes, "reset", locked_meanwhile)
    answer = client.post(link, {"password1": NEW}, follow=True)

    assert "Your account was changed while you were signing in" in answer.text
    assert not is_signed_in(client)


def test_staff_without_a_factor_are_not_signed_in_by_a_reset():
    staff()
    client = Client()
    link = ask(client, "carol")

    assert client.post(link, {"password1": NEW}).status_code == 403
    assert not is_signed_in(client)


def test_the_reset_of_a_locked_account_leads_to_the_sign_in_and_then_to_the_review():
    make_user("alice")
    client = Client()
    sign_in(client, "alice")
    client.post("/accounts/lockdown/")
    link = ask(client)

    answer = client.post(link, {"password1": NEW})

    assert answer["Location"].startswith(LOGIN)
    assert not is_signed_in(client)
