"""Another username: asked for a proof, told, and the former kept for whoever had it."""

from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from accounts.activity.models import Activity
from accounts.activity.services import Source
from accounts.kernel.errors import Later
from accounts.management.commands.prune import Command
from accounts.profile import services
from accounts.users import services as users
from accounts.users.models import User, Username
from accounts.users.services import UsernameTaken
from tests.conftest import Clock
from tests.support.client import together
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, mail_to, make_user, sign_in, sign_up

PAGE = "/accounts/profile/"
TAKEN = "That username is taken."


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


def rename(client: Client, name: str) -> Any:
    return client.post(PAGE, {"username": name}, follow=True)


def test_a_new_name_signs_in_the_former_does_not_and_the_owner_is_told(
    client: Client, alice: User
) -> None:
    page = rename(signed_in(alice, client), "Alicia").text

    assert "Your username is Alicia now." in page
    assert mail_to("alice").body.startswith("Hello Alicia,\n\nThe username was changed.")
    assert Activity.objects.get(user=alice, kind="renamed").detail == "alice → Alicia"
    assert sign_in(Client(), "alice").status_code == 200
    assert sign_in(Client(), "alicia").url == "/"


def test_an_old_proof_is_not_enough_and_what_was_typed_comes_back_after_another(
    client: Client, clock: Clock, alice: User
) -> None:
    signed_in(alice, client)
    clock.advance(minutes=20)

    asked = client.post(PAGE, {"username": "alicia"})

    alice.refresh_from_db()
    assert alice.username == "alice"
    assert asked.url.startswith("/accounts/reauthenticate/?next=")
    back = client.post(asked.url, {"password": PASSWORD})
    assert 'value="alicia"' in client.get(back.url).text
    assert "Your username is alicia now." in rename(client, "alicia").text


def test_a_name_is_changed_once_a_day(client: Client, clock: Clock, alice: User) -> None:
    """What is refused does not count."""
    make_user("bob")
    signed_in(alice, client)

    assert TAKEN in rename(client, "BOB").text
    assert "Use letters, digits" in rename(client, "a@b").text
    assert "That is your username already." in rename(client, "alice").text
    # The same name in other letters needs no other hold.
    assert "Your username is ALICE now." in rename(client, "ALICE").text
    assert Username.objects.get(key="alice").held_until is None

    assert 'name="username"' not in client.get(PAGE).text
    assert rename(client, "alison").status_code == 429
    clock.advance(days=1)
    alice.refresh_from_db()
    assert "Your username is alison now." in rename(signed_in(alice), "alison").text


def test_only_whoever_had_a_name_takes_it_back_within_thirty_days(
    clock: Clock, alice: User
) -> None:
    bob = make_user("bob")
    rename(signed_in(alice), "alicia")

    clock.advance(days=29)
    assert TAKEN in sign_up(Client(), "ALICE", email="new@example.org").text
    assert TAKEN in rename(signed_in(bob), "Alice").text
    alice.refresh_from_db()
    assert "Your username is alice now." in rename(signed_in(alice), "alice").text
    assert Username.objects.get(key="alice").held_until is None
    assert TAKEN in rename(signed_in(bob), "alicia").text


@pytest.mark.parametrize("pruned", [True, False])
def test_after_thirty_days_the_name_is_anybodys(clock: Clock, alice: User, pruned: bool) -> None:
    bob = make_user("bob")
    rename(signed_in(alice), "alicia")

    clock.advance(days=29)
    Command().handle()
    assert Username.objects.count() == 3
    clock.advance(days=1)
    if pruned:
        Command().handle()
        assert set(Username.objects.values_list("key", flat=True)) == {"alicia", "bob"}
    assert "Your username is alice now." in rename(signed_in(bob), "alice").text
    alice.refresh_from_db()
    clock.advance(days=1)
    assert TAKEN in rename(signed_in(alice), "alice").text


@pytest.mark.django_db(transaction=True)
def test_of_two_people_and_a_sign_up_at_once_one_gets_the_name() -> None:
    people = [make_user("alice"), make_user("bob")]

    def take(i: int) -> bool:
        try:
            if i == len(people):
                with transaction.atomic():
                    users.hold_name("dave", until=None)
            else:
                services.rename(people[i], "dave", Source())
        except UsernameTaken:
            return False
        return True

    assert sum(together(3, take)) == 1
    for user in people:
        user.refresh_from_db()
    # A loser keeps the name it had, and holds nothing else.
    named = {user.username for user in people}
    assert named | {"dave"} <= set(Username.objects.values_list("key", flat=True))
    assert Username.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_two_changes_of_one_person_at_once_make_one() -> None:
    alice = make_user("alice")

    def take(i: int) -> bool:
        try:
            services.rename(alice, f"alice{i}", Source())
        except Later:
            return False
        return True

    assert sum(together(2, take)) == 1
    assert Username.objects.count() == 2
