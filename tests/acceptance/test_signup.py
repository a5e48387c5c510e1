"""Sign-up and confirmation, where no numbered row speaks of it: contract and pages."""

import dataclasses
import re
from typing import Any

import pytest
from django.test import Client

from accounts.mail import services as mail_services
from accounts.users.models import PendingSignup, User
from tests.conftest import Clock
from tests.support.steps import (
    CONFIRM,
    LOGIN,
    PASSWORD,
    SIGNUP,
    address_of,
    code_in,
    confirm,
    is_signed_in,
    link_in,
    mail_to,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.django_db


def test_the_mail_says_the_same_in_both_parts_and_its_code_first(client: Client) -> None:
    sign_up(client, "alice")

    mail = mail_to("alice")
    code, link = code_in(mail.body), link_in(mail.body)
    assert mail.subject.startswith(f"{code} ")
    html, kind = mail.alternatives[0]
    assert kind == "text/html"
    for words in (code, f"http://localhost:8000{link}", "Hello alice"):
        assert words in html
        assert words in mail.body
    assert mail.extra_headers["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize(
    "typed", [str.lower, " ".join, "-".join, "\u00a0".join, lambda code: f"  {code}\n"]
)
def test_a_code_is_taken_in_any_case_and_spacing(client: Client, typed: Any) -> None:
    sign_up(client, "alice")

    client.post(CONFIRM, {"code": typed(code_in(mail_to("alice").body))})

    assert is_signed_in(client)


def test_another_mail_comes_after_a_minute_and_not_before(client: Client, clock: Clock) -> None:
    sign_up(client, "alice")
    first = code_in(mail_to("alice").body)

    too_soon = client.post(CONFIRM, {"resend": "1"})
    assert (too_soon.status_code, too_soon["Retry-After"]) == (429, "60")
    clock.advance(seconds=60)
    assert client.post(CONFIRM, {"resend": "1"}).url == CONFIRM

    assert code_in(mail_to("alice").body) != first
    assert confirm(client, "alice").url == "/"


@pytest.mark.parametrize(
    "field,value,says",
    [
        ("password1", "elevenchars", "at least 12"),
        ("password1", "x" * 1025, "at most 1024"),
        ("password1", "qwerty123456", "attackers try first"),
        ("password1", "Alice@example.org", "too similar"),
        ("password1", "", "required"),
        ("username", "a" * 31, "1 to 30"),
        ("username", "alice@example", "letters, digits"),
        ("username", "alice smith", "letters, digits"),
        ("username", "", "required"),
        ("email", "alice", "valid email"),
        ("email", "", "required"),
    ],
)
def test_what_cannot_be_is_refused_with_a_word_and_the_rest_stays(
    client: Client, hashes: list[str], field: str, value: str, says: str
) -> None:
    response = sign_up(client, "alice", **{field: value})

    page = response.content.decode()
    assert response.status_code == 200
    assert "<title>Error: " in page
    summary = re.search(rf'<a href="#id_{field}">([^<]*)</a>', page)
    assert summary
    assert says in summary[1]
    assert f'aria-describedby="id_{field}' in page
    for kept in {"username": "alice", "email": "alice@example.org"}.items() - {(field, "alice")}:
        assert kept[0] == field or f'value="{kept[1]}"' in page
    assert PASSWORD not in page
    assert hashes == []
    assert not PendingSignup.objects.exists()


@pytest.mark.parametrize(
    "username,password",
    [
        ("a", "twelve chars"),
        ("a" * 30, "x1" * 64),
        ("Ünï-cödé._", "pässwörter mit umlauten"),
        ("太郎", "四文字熟語を十二個も並べた合言葉"),
        ("alice", "  spaces at both ends  "),
        ("alice", "z1" * 512),
    ],
)
def test_what_can_be_is_taken_whole(client: Client, username: str, password: str) -> None:
    sign_up(client, username, email=address_of("alice"), password1=password)
    assert confirm(client, "alice").url == "/"

    assert sign_in(Client(), username, password).url == "/"
    assert sign_in(Client(), username, password[:-1]).status_code == 200
    assert User.objects.get().username == username


def test_one_persons_password_is_the_same_from_every_keyboard(client: Client) -> None:
    sign_up(client, "alice", password1="cafe\u0301 au lait s'il vous plait")
    confirm(client, "alice")

    assert sign_in(Client(), "alice", "caf\u00e9 au lait s'il vous plait").url == "/"


def test_closed_sign_up_is_said_and_takes_nobody(client: Client, settings: Any) -> None:
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, signup="closed")

    assert SIGNUP not in client.get(LOGIN).content.decode()
    for response in (client.get(SIGNUP), sign_up(client, "alice")):
        assert response.status_code == 403
        assert "Sign-up is closed" in response.content.decode()
    assert not PendingSignup.objects.exists()
    assert mail_services.deliver_due() == 0


def test_a_switched_off_account_is_told_so_only_to_its_owner(client: Client) -> None:
    sign_up(client, "alice")
    confirm(client, "alice")
    User.objects.update(is_active=False)

    assert not is_signed_in(client)
    assert "is not right" in sign_in(Client(), "alice", "not the password").content.decode()
    owner = Client()
    response = owner.get(sign_in(owner, "alice").url)
    assert response.status_code == 403
    assert "switched off" in response.content.decode()
