"""Attacks by asking for the deletion of an account, or by undoing it."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.activity.services import Actor
from accounts.common import clock
from accounts.common.proofs import Method
from accounts.deletion import services as deletion
from accounts.emails import services as emails
from accounts.recovery.locks import lock_down
from accounts.sessions.models import LoginSession
from accounts.signin import services as signin
from accounts.users import services as users
from accounts.users.models import PendingSignup, User
from accounts.users.services import AccountChanged
from tests.support.administration import act, desk
from tests.support.erasure import erase
from tests.support.oauth_client import new_app
from tests.support.passkeys import options_of, post_credential
from tests.support.second_factor import CHALLENGE, unused_code
from tests.support.second_steps import with_factor
from tests.support.signin import signed_in
from tests.support.social import round_trip
from tests.support.standards import proves
from tests.support.steps import (
    WRONG,
    by_mail,
    is_signed_in,
    make_staff,
    make_user,
    outbox,
    path_of,
    sign_in,
    sign_up,
)
from tests.support.webauthn import registered

JSON = "application/json"

DELETE, KEEP, UNDO = "/accounts/delete/", "/accounts/delete/keep/", "/accounts/delete/undo/"
RESET, CODE = "/accounts/password/reset/", "/accounts/login/code/"
SECOND = "alice@second.example"


def due(user):
    return User.objects.get(pk=user.pk).deletion_due


def asked(user):
    """Ask for the deletion as a thief with a fresh session does."""
    answer = signed_in(User.objects.get(pk=user.pk)).post(DELETE, {"username": user.username})
    assert answer.status_code == 200
    assert due(user)


def undo_link(to="alice@example.org"):
    mails = [mail for mail in outbox() if mail.to == to and UNDO in mail.action_url]
    return path_of(mails[-1].action_url)


@pytest.mark.parametrize("method", ["get", "head", "options", "put"])
def test_a_mail_scanner_that_opens_the_link_keeps_no_account(alice, method):
    """Withstands an accident."""
    asked(alice)

    getattr(Client(), method)(undo_link(), follow=True)

    assert due(alice)


def test_a_link_of_an_earlier_request_does_not_undo_a_later_one(alice):
    """Withstands a thief with the mailbox.

    Its address may have been removed meanwhile, and belong to a thief.
    """
    users.confirm_email(alice, SECOND)
    # The links to a younger address end when it is removed.
    alice.emails.update(confirmed_at=clock.now() - timedelta(days=30))
    asked(alice)
    old = undo_link(SECOND)
    deletion.undo(alice, Actor())
    emails.remove(User.objects.get(), alice.emails.get(email=SECOND).pk, Actor())
    asked(alice)

    assert Client().post(old).status_code == 404
    assert due(alice)
    assert Client().post(undo_link()).status_code == 200
    assert due(alice) is None


def test_an_owner_locks_the_account_whose_deletion_a_thief_has_asked_for(alice):
    asked(alice)
    lock = undo_link().replace(UNDO, "/accounts/lockdown/")
    assert "The account will not be deleted." in Client().get(lock).text

    assert Client().post(lock).status_code == 200

    assert due(alice) is None
    assert User.objects.get().is_locked_down
    assert any("will not be deleted" in mail.subject for mail in outbox())


def test_an_owner_whose_address_a_thief_has_removed_gets_a_link_that_keeps_and_locks(alice, clock):
    """Withstands a thief in the account."""
    clock.advance(days=8)
    for email in ("thief@evil.example", "second@evil.example"):
        users.confirm_email(alice, email)
    own, thiefs, second = alice.emails.order_by("pk")
    emails.make_primary(alice, thiefs.pk, Actor())
    for row in (own, second):
        emails.remove(User.objects.get(), row.pk, Actor())
    asked(alice)

    assert not any(mail.to == second.email and UNDO in mail.action_url for mail in outbox())
    assert [m.greeting for m in outbox() if m.to == own.email and UNDO in m.action_url] == [""]
    lock = undo_link(own.email).replace(UNDO, "/accounts/lockdown/")
    assert Client().post(undo_link(own.email)).status_code == 200
    assert due(alice) is None
    Client().post(lock)
    assert User.objects.get().is_locked_down


def test_the_deletion_of_a_locked_account_is_undone_by_link_and_the_lock_stays(alice):
    lock_down(alice, Actor())
    assert act(desk("Superuser"), alice, "delete").status_code == 302

    assert "still locked" in Client().post(undo_link()).text

    assert due(alice) is None
    assert User.objects.get(username="alice").is_locked_down


def test_nobody_keeps_an_account_with_one_step_or_an_earlier_sign_in():
    """Withstands a thief with the password."""
    alice, _seed = with_factor()
    begun, browser = Client(), Client()
    sign_in(begun, "alice")
    deletion.request(alice, Actor())
    sign_in(browser, "alice")

    assert browser.post(KEEP).url == CHALLENGE
    assert begun.post(KEEP).url == "/accounts/login/"

    assert due(alice)


def test_a_browser_that_was_trusted_before_the_request_shows_both_steps_again():
    """Withstands a thief with a cookie."""
    alice, _seed = with_factor()
    browser = Client()
    sign_in(browser, "alice")
    browser.post(CHALLENGE, {"code": unused_code(alice), "trust": "on"})
    deletion.request(User.objects.get(), Actor())

    assert sign_in(browser, "alice").url == CHALLENGE


def test_every_way_to_sign_in_leads_to_the_same_question(op):
    round_trip(Client(), op)
    alice = User.objects.get()
    deletion.request(alice, Actor())
    browsers = [Client() for _ in range(3)]

    answers = [by_mail(browsers[0]), round_trip(browsers[1], op)]
    passkey = registered(alice)
    answers.append(post_credential(browsers[2], passkey.get(options_of(browsers[2]))))

    assert [answer.url for answer in answers] == [KEEP] * 3
    assert not any(is_signed_in(browser) for browser in browsers)


def test_strangers_do_not_learn_that_an_account_will_be_deleted(alice):
    """Withstands a spy."""
    make_user("bob")
    deletion.request(alice, Actor())

    for path, data in (("/accounts/login/", {"password": WRONG}), (RESET, {}), (CODE, {})):
        answers = [Client().post(path, {"login": name, **data}) for name in ("alice", "bob")]
        assert answers[0].status_code == answers[1].status_code, path
        assert answers[0].get("Location") == answers[1].get("Location"), path
    assert "taken" in sign_up(Client(), "alice", "new@example.net").text
    sign_up(Client(), "other", "alice@example.org")
    assert not PendingSignup.objects.filter(username="alice").exists()
    assert any(mail.to == "alice@example.org" for mail in outbox())


@proves("V7.4.2")
def test_apps_lose_the_account_at_once(alice):
    """Withstands a malicious app: a deletion is asked for and undone."""
    app = new_app()
    signed_in(alice)
    session = LoginSession.objects.get(user=alice)
    tokens, code = app.sign_in(session), app.code(session)

    asked(alice)

    assert app.redeem(code).error == "invalid_grant"
    assert app.refresh(tokens["refresh_token"]).error == "invalid_grant"
    assert app.introspect(tokens["access_token"]).body == {"active": False}


def test_a_thief_cannot_ask_so_often_that_the_owner_gets_no_link(alice):
    """Withstands a thief in the account."""
    for _ in range(4):
        asked(alice)
        assert Client().post(undo_link()).status_code == 200

    signed_in(User.objects.get()).post(DELETE, {"username": "alice"})

    assert due(alice) is None


def test_the_last_superuser_stays():
    """Withstands a member of staff."""
    carol = make_staff("carol")
    browser = signed_in(carol, by=(Method.PASSWORD, Method.TOTP))

    assert "last superuser" in browser.post(DELETE, {"username": "carol"}).text
    with pytest.raises(CommandError, match="last superuser"):
        call_command("delete_user", "carol")

    assert due(carol) is None
    make_staff("dave")
    assert "will be deleted" in browser.post(DELETE, {"username": "carol"}).text
    assert due(carol)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "path, fields, options",
    [
        ("/accounts/login/", {"login": "alice", "password": WRONG}, {}),
        ("/api/v1/token/", {"username": "alice", "password": WRONG}, {"content_type": JSON}),
    ],
)
def test_an_erasure_during_a_sign_in_causes_no_server_error(monkeypatch, path, fields, options):
    """Withstands a race."""
    alice, real = make_user("alice"), signin.record

    def record_too_late(*args, **kwargs):
        assert erase(alice)
        return real(*args, **kwargs)

    monkeypatch.setattr(signin, "record", record_too_late)

    assert Client().post(path, fields, **options).status_code == 409


def test_an_erasure_before_a_change_causes_no_server_error():
    alice = make_user("alice")
    assert erase(alice)

    with pytest.raises(AccountChanged):
        users.lock_row_as_is(alice)
