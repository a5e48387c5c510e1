"""Attacks on the sign-in that follows a password reset."""

import pytest
from django.test import Client

from accounts.passwords import changes
from accounts.sessions.models import LoginSession
from tests.support.disputes import NEW, lock
from tests.support.second_factor import enrolled, unused_code
from tests.support.second_steps import RESET, mails_about, with_factor
from tests.support.signin import SIGNED_UP, signed_in
from tests.support.steps import LOGIN, PASSWORD, is_signed_in, make_user, path_of


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
    """Withstands a hostile website: login CSRF by a reset.

    Otherwise, the victim would enter personal data into the account of the attacker.
    """
    make_user("mallory")
    alice = Client()
    ask(alice, "alice@example.org")

    answer = alice.post(ask(Client(), "mallory"), {"password1": NEW})

    assert answer["Location"] == LOGIN
    assert not is_signed_in(alice)


def test_a_reset_signs_in_with_a_second_factor_only_if_it_was_shown_there(clock):
    """Withstands a thief with the mailbox."""
    alice, _seed = with_factor()
    client = Client()
    link = ask(client)
    client.post(link, {"code": unused_code(alice)})

    client.post(link, {"password1": NEW})

    session = LoginSession.objects.get(ended_at=None)
    assert session.amr == ["mail", "otp"]
    assert is_signed_in(client)


@pytest.fixture
def reset_of_alice(monkeypatch):
    """Return a function that resets alice's password while something else ``happens`` to her."""

    def reset_while(happens):
        alice, client, reset = make_user("alice"), Client(), changes.reset
        link = ask(client)

        def interrupted(*args, **kwargs):
            user = reset(*args, **kwargs)
            happens(alice)
            return user

        monkeypatch.setattr(changes, "reset", interrupted)
        return client, client.post(link, {"password1": NEW})

    return reset_while


def test_a_factor_that_is_added_after_the_link_was_mailed_is_asked_for(reset_of_alice):
    """The proofs of the reset are judged by the same policy as those of any other sign-in."""
    client, answer = reset_of_alice(enrolled)

    assert answer["Location"] == "/accounts/2fa/challenge/"
    assert not is_signed_in(client)


def test_a_lock_right_after_the_reset_stops_its_sign_in(reset_of_alice):
    client, answer = reset_of_alice(lock)

    assert "Your account was changed while you were signing in" in client.get(answer.url).text
    assert not is_signed_in(client)


def test_the_reset_of_a_locked_account_leads_to_the_sign_in_and_then_to_the_review():
    client = signed_in(make_user("alice"), by=SIGNED_UP)
    client.post("/accounts/lockdown/")
    link = ask(client)
    client.post(link, {"former": PASSWORD})

    answer = client.post(link, {"password1": NEW})

    assert answer["Location"] == f"{LOGIN}?next=/accounts/review/"
    assert not is_signed_in(client)
