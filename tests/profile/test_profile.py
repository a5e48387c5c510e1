"""What people say of themselves, and in which words and times pages speak to them."""

from typing import Any

import pytest
from django.test import Client

from accounts.activity.models import Activity
from accounts.mail.models import OutgoingMail
from accounts.ops.owner import new_link
from accounts.users.models import User
from tests.conftest import Clock
from tests.support.signin import signed_in
from tests.support.steps import (
    PASSWORD,
    address_of,
    confirm,
    mail_to,
    make_user,
    path_of,
    sign_up,
)

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


@pytest.mark.parametrize(
    "field,value",
    [
        ("display_name", "x" * 61),
        ("display_name", "zero\u200bwidth"),
        ("display_name", "\u3164"),
        ("display_name", "\u0958" * 31),  # doubled by NFC
        ("about", "x" * 501),
        ("about", "a bell \a"),
        ("language", "xx"),
        ("time_zone", "Europe/Atlantis"),
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


def test_pages_show_times_in_the_persons_zone(client: Client, clock: Clock, alice: User) -> None:
    clock.set(clock.now().replace(hour=21, minute=30))
    signed_in(alice, client)
    assert "9:30 p.m." in client.get("/accounts/activity/").text

    save(client, time_zone="Asia/Tokyo")
    assert "6:30 a.m." in client.get("/accounts/activity/").text

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
