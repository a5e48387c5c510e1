"""What people say of themselves, and in which words and times pages speak to them."""

from typing import Any

import pytest
from django.test import Client

from accounts.activity.models import Activity
from accounts.mail.models import OutgoingMail
from accounts.users.models import User
from tests.conftest import Clock
from tests.support.signin import signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db

PAGE = "/accounts/profile/"


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

    answer = save(client, display_name="Alice <3", about=" two\r\nlines ")

    alice.refresh_from_db()
    assert "Your profile was saved." in answer.text
    assert (alice.display_name, alice.about) == ("Alice <3", "two\nlines")
    assert "<h1>Hello, <bdi>Alice &lt;3</bdi></h1>" in client.get("/").text
    assert Activity.objects.filter(user=alice, kind="profile_changed").count() == 1
    assert OutgoingMail.objects.count() == before


def test_saving_what_is_there_already_is_no_event(client: Client, alice: User) -> None:
    signed_in(alice, client)
    for _again in range(2):
        save(client, about="the same")

    assert Activity.objects.filter(user=alice, kind="profile_changed").count() == 1


@pytest.mark.parametrize(
    "field,value",
    [
        ("display_name", "x" * 61),
        ("display_name", "zero\u200bwidth"),
        ("display_name", "two\nlines"),
        ("display_name", "\u3164"),
        ("display_name", "\u0958" * 31),  # doubled by NFC
        ("about", "x" * 501),
        ("about", "a bell \a"),
        ("about", "from right \u202e to left"),
        ("language", "xx"),
        ("time_zone", "Europe/Atlantis"),
        ("time_zone", "../../etc/passwd"),
    ],
)
def test_what_cannot_be_shown_or_stored_is_refused_at_its_field(
    client: Client, alice: User, field: str, value: str
) -> None:
    signed_in(alice, client)

    page = save(client, **{field: value}).text

    alice.refresh_from_db()
    assert f'id="id_{field}_error"' in page
    assert "<title>Error:" in page
    assert (alice.display_name, alice.about, alice.time_zone) == ("", "", "UTC")


def test_five_hundred_characters_pass_however_many_are_newlines(
    client: Client, alice: User
) -> None:
    signed_in(alice, client)

    save(client, about="x" + "\r\n" * 498 + "x")

    alice.refresh_from_db()
    assert len(alice.about) == 500


def test_pages_show_times_in_the_persons_zone(client: Client, clock: Clock, alice: User) -> None:
    clock.set(clock.now().replace(hour=21, minute=30))
    signed_in(alice, client)
    assert "9:30 p.m." in client.get("/accounts/activity/").text

    save(client, time_zone="Asia/Tokyo")

    assert "6:30 a.m." in client.get("/accounts/activity/").text


def test_a_zone_that_this_machine_does_not_know_any_more_is_no_fault(
    client: Client, alice: User
) -> None:
    User.objects.update(time_zone="Europe/Atlantis")

    assert signed_in(alice, client).get("/").status_code == 200


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
    answer = client.get("/accounts/login/", headers={"accept-language": "de-AT, en;q=0.5"})
    other = client.get("/accounts/login/", headers={"accept-language": "xx"})

    assert (answer["Content-Language"], other["Content-Language"]) == ("de", "en")
    assert {"Accept-Language", "Cookie"} <= set(answer["Vary"].split(", "))


def test_nobody_is_refused_in_the_language_of_whoever_came_before(client: Client) -> None:
    client.get("/accounts/login/", headers={"accept-language": "de"})

    assert '<html lang="en"' in client.get("/", headers={"host": "evil.example"}).text


def test_whoever_makes_an_account_is_spoken_to_in_the_language_of_its_making(
    client: Client,
) -> None:
    from accounts.ops.owner import new_link

    path = (new_link() or "").partition("localhost:8000")[2]
    fields = {"username": "carol", "email": "carol@example.org", "password1": "vivid otter glass"}
    client.post(path, fields, headers={"accept-language": "de"})

    assert User.objects.get(username="carol").language == "de"
