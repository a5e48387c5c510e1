"""The commands with which an operator helps a person, and their JSON."""

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.activity.services import Actor
from accounts.apikeys.models import APIKey
from accounts.oauth import connections
from accounts.recovery.locks import lock_down
from tests.support.api_keys import key_of
from tests.support.apps import asked_for, make_app
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, make_user, sign_in

pytestmark = pytest.mark.django_db
WRONG = "wrong horse battery"


def answer(*words):
    return json.loads(printed(*words, "--json"))


def printed(*words):
    output = io.StringIO()
    call_command(*words, stdout=output)
    return output.getvalue()


def last_event(user):
    row = user.activity.latest("id")
    return row.kind, row.actor


def test_show_user_says_what_stops_a_person_and_shows_no_secret(alice):
    enrolled(alice)
    key = key_of(alice)
    lock_down(alice, Actor())
    alice.refresh_from_db()
    connections.agree(asked_for(make_app()), alice, Actor())

    shown = answer("show_user", alice.email)

    assert (shown["username"], shown["id"], shown["is_locked"]) == ("alice", str(alice.pk), True)
    assert shown["emails"] == [alice.email]
    assert (len(shown["authenticator_apps"]), shown["apps"]) == (1, ["Paperless"])
    assert shown["explanation"][0]["code"] == "locked"
    for words in (str(shown), printed("show_user", "alice")):
        assert alice.password not in words
        assert str(key) not in words
    assert "is locked: yes" in printed("show_user", "alice")


def test_list_sessions_lists_the_live_sessions(alice):
    signed_in(alice)
    session = alice.login_sessions.get()

    assert [row["id"] for row in answer("list_sessions", "alice")["sessions"]] == [str(session.pk)]
    call_command("end_sessions", "alice", stdout=io.StringIO())
    assert printed("list_sessions", "alice") == "username: alice\nsessions: none\n"


def test_clear_limits_lets_a_person_sign_in_again(alice):
    for _ in range(6):
        sign_in(Client(), "alice", WRONG)
    assert sign_in(Client(), "alice", PASSWORD).status_code == 429

    assert answer("clear_limits", "alice") == {"username": "alice", "cleared": True}

    assert last_event(alice) == ("limits_cleared", "@operator")
    assert sign_in(Client(), "alice", PASSWORD).status_code == 302


def test_lift_lock_unlocks_a_locked_account_once(alice):
    lock_down(alice, Actor())

    assert answer("lift_lock", "alice")["sent_to"] == alice.email

    alice.refresh_from_db()
    assert not alice.is_locked_down
    assert last_event(alice) == ("lock_lifted", "@operator")
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
