"""What people say of themselves, in which words and times the site speaks, and another username."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.common.errors import Later
from accounts.mail.models import OutgoingMail
from accounts.management.commands.prune import Command
from accounts.ops.owner import new_link
from accounts.profile import services
from accounts.users import services as users
from accounts.users.models import User, Username
from accounts.users.services import UsernameTaken
from tests.conftest import Clock
from tests.support.client import together
from tests.support.signin import signed_in
from tests.support.steps import (
    PASSWORD,
    address_of,
    confirm,
    mail_to,
    make_user,
    path_of,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.django_db

PAGE = "/accounts/profile/"
TAKEN = "That username is taken."


@pytest.fixture
def alice() -> User:
    return make_user("alice")


def save(client: Client, **more: str) -> Any:
    fields = {"display_name": "", "about": "", "language": "en", "time_zone": "UTC"}
    return client.post(PAGE, fields | more, follow=True)


def test_a_profile_is_saved_without_a_proof_and_greets_by_the_display_name(
    client: Client, clock: Clock, alice: User
) -> None:
    signed_in(alice, client)
    before = OutgoingMail.objects.count()
    clock.advance(minutes=30)

    for _again in range(2):
        answer = save(client, display_name="Alice <3", about=" two\r\nlines ")

    alice.refresh_from_db()
    assert "Your profile was saved." in answer.text
    assert (alice.display_name, alice.about) == ("Alice <3", "two\nlines")
    assert "<h1>Hello, <bdi>Alice &lt;3</bdi></h1>" in client.get("/").text
    assert Activity.objects.filter(kind="profile_changed").count() == 1, "the same is no event"
    assert OutgoingMail.objects.count() == before

    save(client, about="x" + "\r\n" * 498 + "x")
    alice.refresh_from_db()
    assert len(alice.about) == 500, "however many are newlines"


DOUBLED_BY_NFC = "\u0958" * 31
REFUSED = (
    *(("display_name", value) for value in ("x" * 61, "zero\u200bwidth", "\u3164")),
    *(("display_name", DOUBLED_BY_NFC), ("about", "x" * 501), ("about", "a bell \a")),
    *(("language", "xx"), ("time_zone", "Europe/Atlantis")),
)


def test_what_cannot_be_shown_or_stored_is_refused_at_its_field(
    client: Client, alice: User
) -> None:
    signed_in(alice, client)
    before = User.objects.values().get()

    for field, value in REFUSED:
        page = save(client, **{field: value}).text
        assert f'id="id_{field}_error"' in page, value
        assert "<title>Error:" in page

    assert User.objects.values().get() == before


def test_pages_show_times_in_the_persons_zone(client: Client, clock: Clock, alice: User) -> None:
    clock.set(clock.now().replace(hour=21, minute=30))
    signed_in(alice, client)
    assert "21:30" in client.get("/accounts/activity/").text

    save(client, time_zone="Asia/Tokyo")
    assert "06:30" in client.get("/accounts/activity/").text

    # A zone that this machine does not know any more is no fault.
    User.objects.update(time_zone="Europe/Atlantis")
    assert client.get("/accounts/activity/").status_code == 200


def test_pages_speak_the_persons_language_whatever_the_browser_asks(
    client: Client, alice: User
) -> None:
    signed_in(alice, client)
    assert '<html lang="de"' in client.get("/", headers={"accept-language": "de"}).text

    save(client, language="de")
    answer = client.get("/", headers={"accept-language": "en"})

    assert '<html lang="de"' in answer.text
    assert answer["Content-Language"] == "de"
    assert '<html lang="de"' in client.get("/no-such-page").text


def test_a_stranger_is_answered_as_the_browser_asks_and_no_cache_mixes_them_up(
    client: Client,
) -> None:
    other = client.get("/accounts/login/", headers={"accept-language": "xx"})
    answer = client.get("/accounts/login/", headers={"accept-language": "de-AT, en;q=0.5"})

    assert (answer["Content-Language"], other["Content-Language"]) == ("de", "en")
    assert {"Accept-Language", "Cookie"} <= set(answer["Vary"].split(", "))
    # Nobody is refused in the language of whoever came before.
    assert '<html lang="en"' in client.get("/", headers={"host": "evil.example"}).text


def language_of_mail_to(username: str) -> str:
    html = str(mail_to(username).alternatives[0].content)
    return html.partition('<html lang="')[2].partition('"')[0]


def test_whoever_makes_an_account_fixes_the_language_of_its_mails_and_pages() -> None:
    client = Client(headers={"accept-language": "de"})
    sign_up(client, "alice")
    assert language_of_mail_to("alice") == "de"
    confirm(client, "alice")

    owners = {"username": "carol", "email": "carol@example.org", "password1": PASSWORD}
    Client(headers={"accept-language": "de"}).post(path_of(str(new_link())), owners)

    assert {user.language for user in User.objects.all()} == {"de"}
    assert User.objects.count() == 2


def test_whatever_others_cause_comes_in_the_owners_language(client: Client, alice: User) -> None:
    User.objects.update(language="de")

    client.post("/accounts/login/code/", {"login": "alice"})
    assert language_of_mail_to("alice") == "de"
    sign_up(client, "bob", email=address_of("alice"))
    assert language_of_mail_to("alice") == "de"
    alice.refresh_from_db()
    signed_in(alice).post(PAGE, {"username": "alicia"})
    assert language_of_mail_to("alice") == "de"


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
    Command().handle()
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

    clock.advance(days=30)
    if pruned:
        Command().handle()
        assert set(Username.objects.values_list("key", flat=True)) == {"alicia", "bob"}
    assert "Your username is alice now." in rename(signed_in(bob), "alice").text
    alice.refresh_from_db()
    assert TAKEN in rename(signed_in(alice), "alice").text


def happens(act: Callable[[], Any]) -> bool:
    """Whether nobody else was first."""
    try:
        act()
    except (UsernameTaken, Later):
        return False
    return True


def hold_dave() -> None:
    with transaction.atomic():
        users.hold_name("dave", until=None)


@pytest.mark.django_db(transaction=True)
def test_of_two_people_and_a_sign_up_at_once_one_gets_the_name() -> None:
    people = [make_user("alice"), make_user("bob")]
    acts = [partial(services.rename, user, "dave", Actor()) for user in people] + [hold_dave]

    assert sum(together(3, lambda i: happens(acts[i]))) == 1
    for user in people:
        user.refresh_from_db()
    # A loser keeps the name it had, and holds nothing else.
    named = {user.username for user in people}
    assert named | {"dave"} <= set(Username.objects.values_list("key", flat=True))
    assert Username.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_two_changes_of_one_person_at_once_make_one() -> None:
    alice = make_user("alice")
    acts = [partial(services.rename, alice, f"alice{i}", Actor()) for i in range(2)]

    assert sum(together(2, lambda i: happens(acts[i]))) == 1
    assert Username.objects.count() == 2
