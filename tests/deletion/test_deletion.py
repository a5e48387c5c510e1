"""People ask for the deletion of their accounts, and keep them."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.activity.services import Actor
from accounts.common import clock as site_clock
from accounts.deletion import services as deletion
from accounts.sessions.models import LoginSession
from accounts.users import services as users
from accounts.users.models import User
from tests.support.administration import act, desk, member, page_of
from tests.support.api import call, get_tokens, is_good, second_step
from tests.support.api_keys import key_of
from tests.support.apps import connect_app, make_app
from tests.support.second_factor import CHALLENGE, take_second_step, unused_code
from tests.support.second_steps import with_factor
from tests.support.signin import set_up, signed_in
from tests.support.steps import is_signed_in, make_staff, make_user, outbox, path_of, sign_in

DELETE, KEEP, UNDO = "/accounts/delete/", "/accounts/delete/keep/", "/accounts/delete/undo/"
SECOND = "alice@second.example"


def again(user):
    return User.objects.get(pk=user.pk)


def due(user):
    return again(user).deletion_due


def undo_links():
    """Return the paths of the mailed links, by address; the newest counts."""
    mails = [mail for mail in outbox() if UNDO in mail.action_url]
    return {mail.to: path_of(mail.action_url) for mail in mails}


def test_an_owner_deletes_the_account_and_keeps_it_by_signing_in_with_both_steps(clock):
    alice, _seed = with_factor()
    alice.groups.add(Group.objects.create(name="Gardeners"))
    browser = signed_in(alice)
    connect_app(LoginSession.objects.get(), make_app())
    key = key_of(alice)
    page = browser.get(DELETE).text
    for effect in ("1 API key", "Paperless", "Gardeners", "14 days", "signed out here"):
        assert effect in page, effect
    refused = browser.post(DELETE, {"username": "alina"}).text
    assert "isn’t the username" in refused
    assert "<title>Error: Delete" in refused
    assert due(alice) is None

    assert "will be deleted" in browser.post(DELETE, {"username": " Alice "}).text

    assert due(alice) == clock.now() + timedelta(days=14)
    assert not LoginSession.objects.filter(user=alice, ended_at=None).exists()
    assert not is_good(key)
    assert sign_in(browser, "alice", next="/accounts/sessions/").url == CHALLENGE
    assert browser.get(KEEP).url == CHALLENGE, "the second step comes first"
    assert take_second_step(browser, alice).url == KEEP
    assert "alice" in browser.get(KEEP).text
    assert not is_signed_in(browser)
    assert browser.post(KEEP, follow=True).redirect_chain[-1][0] == "/accounts/sessions/"
    assert due(alice) is None
    assert is_signed_in(browser)


def test_an_owner_leaves_the_account_to_its_deletion():
    alice, browser = make_user("alice"), Client()
    at = deletion.request(alice, Actor())
    assert sign_in(browser, "alice").url == KEEP

    assert browser.post(KEEP, {"leave": "1"}).url == "/accounts/login/"

    assert due(alice) == at
    assert browser.get(KEEP).url == "/accounts/login/"


def test_the_link_in_the_email_to_every_address_keeps_the_account_once():
    """Withstands a thief in the account."""
    alice = make_user("alice")
    users.confirm_email(alice, SECOND)
    signed_in(alice).post(DELETE, {"username": "alice"})
    links = undo_links()
    assert links.keys() == {alice.email, SECOND}

    page = Client().get(links[SECOND])
    assert "alice" not in page.text
    assert due(alice)
    kept = Client().post(links[SECOND])

    assert due(alice) is None
    assert "Lock your account" in kept.text
    lock = links[SECOND].replace(UNDO, "/accounts/lockdown/")
    assert lock in kept.text
    assert "deletion of the account was requested" in Client().get(lock).text, (
        "it may be the first wrong change"
    )
    assert [Client().post(link).status_code for link in links.values()] == [404, 404]
    assert {mail.to for mail in outbox() if "will not be deleted" in mail.subject} == links.keys()
    assert is_signed_in(signed_in(again(alice)))


def test_without_days_to_undo_the_next_daily_job_deletes_the_account(settings, clock):
    set_up(settings, deletion_days=0)
    alice = make_user("alice")
    browser = signed_in(alice)
    assert "within a day" in browser.get(DELETE).text

    browser.post(DELETE, {"username": "alice"})

    assert due(alice) == clock.now()


def test_the_account_is_deleted_over_the_api_after_a_recent_sign_in(settings, clock):
    set_up(settings, access_token_seconds=3600)
    alice = make_user("alice")
    token = get_tokens()["access"]
    clock.advance(minutes=11)
    old = call("me/", {"username": "alice"}, method="DELETE", token=token)
    assert old.short == (401, "insufficient_user_authentication")
    token = get_tokens()["access"]
    wrong = call("me/", {"username": "bob"}, method="DELETE", token=token)
    assert (wrong.status, wrong.fields) == (400, ["username"])

    answer = call("me/", {"username": "alice"}, method="DELETE", token=token)

    assert answer.status == 202
    assert answer["deletion_due"][:19] == f"{due(alice):%Y-%m-%dT%H:%M:%S}"
    assert not is_good(token)
    again_in = get_tokens()
    assert again_in.short == (403, "deletion_requested")
    assert again_in["url"] == "http://localhost:8000/accounts/login/"


def test_the_second_step_over_the_api_comes_before_the_refusal():
    alice, _seed = with_factor()
    deletion.request(alice, Actor())

    answer = second_step(get_tokens()["challenge"], unused_code(alice))

    assert answer.short == (403, "deletion_requested")


def test_staff_delete_an_account_and_undo_it():
    alice, carol = make_user("alice"), desk("Support")

    assert act(carol, alice, "delete").status_code == 302

    page = carol.get(page_of(alice)).text
    assert "alice will be deleted" in page
    assert "Undo the deletion" in page
    rights = desk("Superuser", "dave").post(page_of(alice), {"is_staff": "on", "reason": "asked"})
    assert "Undo the deletion first" in rights.text
    assert act(carol, alice, "undo-deletion").status_code == 302
    assert due(alice) is None


def test_staff_lose_their_rights_for_good_and_superusers_are_told():
    bob, other = member("bob", "Manager"), make_staff("carol")
    bob.groups.add(Group.objects.create(name="Gardeners"))
    deletion.request(bob, Actor())
    deletion.undo(bob, Actor())

    bob = again(bob)

    assert (bob.is_staff, bob.group_names) == (False, ["Gardeners"])
    assert not bob.has_perm("accounts.manage_user")
    assert "staff member’s account was changed" in str([m.subject for m in outbox()])
    assert other.activity.filter(kind="staff_changed", detail="bob").count() == 1


def test_the_command_deletes_an_account_for_a_person_who_cannot_sign_in(capsys):
    alice = make_user("alice", password=None)

    call_command("delete_user", alice.email)

    assert f"deletion due: {due(alice)}" in capsys.readouterr().out
    with pytest.raises(CommandError, match="deleted already"):
        call_command("delete_user", "alice")
    call_command("delete_user", "alice", "--now", "--json")
    assert due(alice) <= site_clock.now()
    assert alice.activity.filter(kind="deletion_requested", actor="@operator").count() == 2
