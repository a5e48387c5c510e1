"""Staff find people by whatever the person can tell them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.activity.services import Actor
from accounts.administration.search import STATES, search_signups, search_users
from accounts.apikeys import services as apikeys
from accounts.common import clock
from accounts.emails import services as emails
from accounts.recovery.locks import lock_down
from accounts.recovery.models import Recovery
from accounts.twofactor import services as twofactor
from accounts.twofactor.models import Passkey
from accounts.users import services as users
from accounts.users.models import Identity, PendingSignup, User
from tests.support.administration import HERE
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in
from tests.support.steps import make_staff, make_user, sign_up

pytestmark = pytest.mark.django_db

PEOPLE = "/admin/accounts/user/"


def renamed(alice: User) -> str:
    users.rename(alice, "alba")
    return "ALICE"


def with_pending_email(alice: User) -> str:
    emails.add(alice, "alice@work.example", HERE)
    return "Alice@Work.example"


def with_removed_email(alice: User) -> str:
    users.confirm_email(alice, "alice@old.example")
    emails.remove(alice, alice.emails.latest("pk").pk, Actor(HERE))
    return "alice@OLD.example"


def with_key(alice: User) -> str:
    key, _text = apikeys.make(alice, "Backup", frozenset({"profile:read"}), None, Actor(HERE))
    return key.beginning


def with_identity(alice: User) -> str:
    Identity.objects.create(user=alice, issuer="https://id.example", subject="Subject-17")
    return "Subject-17"


def with_pairwise_subject(alice: User) -> str:
    return str(alice.pairwise_subjects.create(sector="shop.example.org").pk)


NAMES: dict[str, Callable[[User], str]] = {
    "username": lambda _alice: "Alice",
    "beginning of the username": lambda _alice: "ali",
    "old username": renamed,
    "email": lambda _alice: "ALICE@example.org",
    "pending email": with_pending_email,
    "removed email": with_removed_email,
    "id": lambda alice: str(alice.pk),
    "beginning of an API key": with_key,
    "session id": lambda alice: str(signed_in(alice) and alice.login_sessions.get().pk),
    "id at a provider": with_identity,
    "id at an app": with_pairwise_subject,
}


@pytest.mark.parametrize("name", NAMES)
def test_people_are_found_by(name: str) -> None:
    alice = make_user("alice")
    make_user("bob")

    assert [found.pk for found in search_users(f" {NAMES[name](alice)} ")] == [alice.pk]


def ask_for_recovery(user: User) -> None:
    now = clock.now()
    Recovery.objects.create(user=user, due_at=now + timedelta(days=3), disputed_at=now, evidence=[])


PLANTED: dict[str, Callable[[User], Any]] = {
    "unconfirmed": lambda user: User.objects.filter(pk=user.pk).update(email=""),
    "no_factor": lambda _user: None,
    "locked": lambda user: lock_down(user, Actor()),
    "switched_off": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
    "staff": lambda user: User.objects.filter(pk=user.pk).update(is_superuser=True),
    "never_seen": lambda user: User.objects.filter(pk=user.pk).update(last_login=None),
    "recovery": ask_for_recovery,
}


@pytest.mark.parametrize("state", STATES)
def test_people_are_filtered_by_their_state(state: str) -> None:
    alice = make_user("alice", last_login=clock.now())
    enrolled(make_user("alina", last_login=clock.now()))
    if state != "no_factor":
        enrolled(alice)

    PLANTED[state](alice)

    assert [found.username for found in search_users("ali", state)] == ["alice"]
    assert search_users("ali", "no such state").count() == 0


def test_the_list_of_people_without_a_second_factor_follows_every_change() -> None:
    alice, fields = make_user("alice"), {"credential_id": "1", "sign_count": 0}
    fields |= {"is_synced": True, "is_eligible": True}

    def is_listed() -> bool:
        return search_users("alice", "no_factor").exists()

    passkey = Passkey.objects.create(user=alice, name="Key", confirmed=False, **fields)
    assert is_listed()
    passkey.confirmed = True
    passkey.save(update_fields=["confirmed", "made_at"])
    assert not is_listed()
    enrolled(alice)
    passkey.delete()
    assert not is_listed()
    twofactor.reset(alice, Actor())
    assert is_listed()


def test_sign_ups_are_found_before_they_are_confirmed(client: Client) -> None:
    sign_up(Client(), "alice")
    signup = PendingSignup.objects.get()
    signed_in(make_staff("carol"), client)

    for query in ("ali", "Alice@example.org", str(signup.pk)):
        assert list(search_signups(query)) == [signup], query
        assert f"{PEOPLE}{signup.pk}/change/" in client.get(PEOPLE, {"q": query}).text, query
    assert f"{PEOPLE}{signup.pk}/change/" in client.get(PEOPLE, {"state": "unconfirmed"}).text
    assert str(signup.pk) not in client.get(PEOPLE, {"q": "bob"}).text


@pytest.mark.parametrize("query", ["word " * 1500, "%", "_", "alice bob", "alice@", "\u202ealice"])
def test_a_search_that_names_nobody_is_answered_normally(client: Client, query: str) -> None:
    make_user("alice")
    signed_in(make_staff("carol"), client)

    answer = client.get(PEOPLE, {"q": query})

    assert answer.status_code == 200
    assert "alice@example.org" not in answer.text
    assert search_users(f"{query}\0").count() == 0
