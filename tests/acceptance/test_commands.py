"""The management commands and the start of the server."""

import json
import os
import subprocess
import sys
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.activity.services import Actor
from accounts.apikeys.models import APIKey
from accounts.codes.models import Code
from accounts.oauth import connections
from accounts.recovery.locks import lock_down
from accounts.sessions.models import BrowserSession, LoginSession
from accounts.throttle.models import FamiliarPlace, StoredBudget
from accounts.users.models import PendingSignup, User, Username
from authsite import __main__ as server
from authsite.settings import mailer
from tests.support.api_keys import key_of
from tests.support.apps import asked_for, make_app
from tests.support.disputes import sets_password
from tests.support.env import clean
from tests.support.owner import OWNER, owner_link, printed_by
from tests.support.process import free_port, slack
from tests.support.second_factor import CHALLENGE, RECOVERY_CODES, SETUP, enrolled
from tests.support.signin import set_up, signed_in
from tests.support.site import ROOT
from tests.support.standards import proves
from tests.support.steps import (
    CONFIRM,
    PASSWORD,
    WRONG,
    address_of,
    is_signed_in,
    mail_to,
    make_staff,
    make_user,
    outbox,
    path_of,
    sign_in,
    sign_in_twice,
    sign_up,
)


def answer(*words):
    return json.loads(printed_by(*words, "--json"))


@proves("V6.3.2")
def test_an_owner_link_makes_one_administrator_once(client):
    """The administrator's second factor is tested in test_11_administrator.py."""
    link = owner_link()

    assert client.get(link).status_code == 200
    assert not User.objects.exists(), "GET creates nothing"
    assert client.post(link, OWNER).url == SETUP
    assert Client().post(link, {**OWNER, "username": "mallory"}).status_code == 404
    assert User.objects.get().is_superuser
    with pytest.raises(CommandError, match="createsuperuser"):
        call_command("create_owner")
    assert printed_by("create_owner", "--if-none") == ""


def test_an_owner_link_ends_with_a_newer_link_an_administrator_or_after_a_day(client, clock):
    replaced, aged = owner_link(), owner_link()
    assert client.get(replaced).status_code == 404
    assert client.get(aged).status_code == 200
    clock.advance(days=1)
    assert client.get(aged).status_code == 404

    obsolete = owner_link()
    User.objects.filter(pk=make_user("alice").pk).update(is_superuser=True)
    assert client.post(obsolete, OWNER).status_code == 404
    assert User.objects.count() == 1


def test_send_test_mail_sends_at_once_or_says_what_is_wrong(settings, tmp_path):
    settings.MAILERS = {"default": mailer(tmp_path.as_uri())}
    assert printed_by("send_test_mail", "alice@example.org") == "Sent to alice@example.org.\n"
    (file,) = tmp_path.iterdir()
    assert "\nTo: alice@example.org\n" in file.read_bytes().decode().replace("\r", "")

    settings.MAILERS = {"default": mailer(f"smtp+plain://127.0.0.1:{free_port()}")}
    for address, wrong in (("alice", "valid email address"), ("a@b.org", "ConnectionRefusedError")):
        with pytest.raises(CommandError, match=wrong):
            call_command("send_test_mail", address)


@proves("V14.2.7")
def test_prune_deletes_expired_rows_and_nothing_else(client, clock):
    make_user("alice")
    sign_in(client, "alice", remember="on")
    sign_up(Client(), "bob")
    running = (PendingSignup, Code, BrowserSession, FamiliarPlace)
    before = [model.objects.count() for model in running]
    assert all(before)

    printed_by("prune")
    assert [model.objects.count() for model in running] == before
    assert StoredBudget.objects.exists(), "the budgets that bob has used are kept"

    clock.advance(days=91)
    assert "1 sign-ups, 0 invitations, 0 addresses, 3 codes, " in printed_by("prune")
    assert [model.objects.count() for model in (*running, StoredBudget)] == [0] * 5
    assert [name.key for name in Username.objects.all()] == ["alice"]
    assert sign_up(Client(), "bob").url == CONFIRM


@proves("V7.4.5")
def test_end_sessions_revokes_the_listed_sessions_and_mails_the_owner(client):
    elsewhere, bob = Client(), signed_in(make_user("bob"))
    make_user("alice")
    for browser in (client, elsewhere):
        sign_in(browser, "alice")
    listed = {row["id"] for row in answer("list_sessions", "alice")["sessions"]}
    assert listed == {str(row.pk) for row in LoginSession.objects.filter(user__username="alice")}

    assert printed_by("end_sessions", "alice") == "username: alice\nsessions: 2\n"

    assert [is_signed_in(browser) for browser in (client, elsewhere, bob)] == [False, False, True]
    assert mail_to("alice").subject == "You were signed out everywhere"
    assert printed_by("list_sessions", "alice") == "username: alice\nsessions: none\n"


@proves("V6.5.6")
def test_reset_second_factor_removes_all_factors_and_sessions_and_mails_the_owner():
    carol, browser, bob = make_staff("carol"), Client(), make_staff("bob")
    sign_in_twice(browser, carol)
    browser.post(RECOVERY_CODES, {"new": "1"})

    printed_by("reset_second_factor", "carol")

    assert not carol.authenticator_set.exists()
    assert not carol.recoverycodes_set.exists()
    assert bob.authenticator_set.exists()
    assert not is_signed_in(browser)
    assert mail_to("carol").subject == "Your passkeys and authenticator apps were removed"
    assert sign_in(browser, "carol").url == CHALLENGE, "a mailed code, and then enrolment"


@pytest.mark.parametrize("command", ["end_sessions", "reset_second_factor"])
def test_a_command_says_that_there_is_no_such_user(command):
    sign_up(Client(), "waiting")

    for name in ("nobody", "nobody@example.org", "waiting", "1", str(UUID(int=1))):
        with pytest.raises(CommandError, match=f"There is no user '{name}'"):
            printed_by(command, name)


def last_event(user):
    row = user.activity.latest("id")
    return row.kind, row.actor


def test_show_user_says_what_stops_a_person_and_shows_no_secret(alice):
    enrolled(alice)
    key = key_of(alice)
    lock_down(alice, Actor())
    alice.refresh_from_db()
    connections.agree(asked_for(make_app()), alice, Actor())

    for name in ("alice", "ALICE", address_of("Alice"), str(alice.pk)):
        shown = answer("show_user", name)
        assert (shown["id"], shown["is_locked"]) == (str(alice.pk), True)
    assert shown["emails"] == [alice.email]
    assert (len(shown["authenticator_apps"]), shown["apps"]) == (1, ["Paperless"])
    assert shown["explanation"][0]["code"] == "locked"
    told = printed_by("show_user", "alice")
    assert "is locked: yes" in told
    for words in (str(shown), told):
        assert alice.password not in words
        assert str(key) not in words


def test_clear_limits_lets_a_person_sign_in_again(alice):
    for _ in range(6):
        sign_in(Client(), "alice", WRONG)
    assert sign_in(Client(), "alice", PASSWORD).status_code == 429

    assert answer("clear_limits", "alice") == {
        "username": "alice",
        "cleared": True,
        "limits": ["passwords"],
    }

    assert last_event(alice) == ("limits_cleared", "@operator")
    assert sign_in(Client(), "alice", PASSWORD).status_code == 302


def test_lift_lock_mails_a_link_that_opens_a_locked_account(alice):
    lock_down(alice, Actor())

    assert answer("lift_lock", "alice")["sent_to"] == alice.email

    assert last_event(alice) == ("lock_lifted", "@operator")
    mail = next(mail for mail in outbox() if mail.subject.startswith("Set a new password"))
    assert sets_password(Client(), path_of(mail.action_url))
    with pytest.raises(CommandError, match="alice is not locked"):
        call_command("lift_lock", "alice")


def test_revoke_key_revokes_the_only_key_with_that_beginning(alice):
    key_of(alice)
    key = APIKey.objects.get()
    APIKey.objects.create(
        id=f"{key.pk[:5]}{'x' * 11}", user=make_user("bob"), digest="", name="other", scope="read"
    )

    with pytest.raises(CommandError, match="Several API keys"):
        call_command("revoke_key", key.beginning)
    with pytest.raises(CommandError, match="at least 4"):
        call_command("revoke_key", f"authsite_{key.pk[:3]}")
    told = answer("revoke_key", f"authsite_{key.pk}")

    assert told == {"username": "alice", "name": key.name, "id": f"authsite_{key.pk}"}
    assert APIKey.objects.get().name == "other"
    assert last_event(alice) == ("key_ended", "@operator")
    with pytest.raises(CommandError, match="No API key"):
        call_command("revoke_key", f"authsite_{key.pk}")


@proves("V13.4.2")
def test_production_is_the_default_and_every_missing_setting_is_named(tmp_path):
    """Invalid settings are tested in tests/common/test_config.py."""
    done = subprocess.run(
        [sys.executable, "-m", "authsite"],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=os.environ | clean(tmp_path) | {"ENVIRONMENT": ""},
        text=True,
        timeout=60 * slack(),
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert list(tmp_path.iterdir()) == [], "no secret is generated in production"
    assert "Traceback" not in done.stderr
    for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "ORIGIN", "EMAIL_URL", "MAIL_FROM"):
        assert f"\n{name} is missing" in done.stderr


def test_the_server_does_not_print_the_password_of_the_mail_server(settings, monkeypatch, capsys):
    monkeypatch.setenv("AUTHSITE_SERVES", "")
    monkeypatch.setattr(server, "server", sys.exit)
    set_up(settings, email_url="smtp+plain://site:hunter2@127.0.0.1:9")

    with pytest.raises(SystemExit):
        server.main()

    said = capsys.readouterr().out
    assert said.endswith("Its email goes out through 127.0.0.1\n")
    assert "hunter2" not in said
