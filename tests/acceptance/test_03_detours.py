"""System 3: user logins. Row 1: what was wanted survives the second step and enrolment."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from accounts.users.models import User
from tests.acceptance.conftest import Set
from tests.support.second import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    enrolled,
    recovery_codes_on,
    take_second_step,
    turn_on,
    type_one_back,
)
from tests.support.steps import (
    CONFIRM,
    FIRST_STEPS,
    PASSWORD,
    SIGNUP,
    code_in,
    confirm,
    is_signed_in,
    link_in,
    mail_to,
    make_staff,
    make_user,
    next_on,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.django_db

WANTED = "/accounts/sessions/?from=a%20bookmark&page=1"
REMEMBER_SECONDS = 30 * 24 * 3600


SECOND_STEPS: dict[str, Callable[[Client, User, str], Any]] = {
    "authenticator": lambda client, alice, _spare: take_second_step(client, alice),
    "recovery code": lambda client, _alice, spare: client.post(CHALLENGE, {"code": spare}),
    "after a mistake": lambda client, alice, _spare: (
        client.post(CHALLENGE, {"code": "22222-22222"}) and take_second_step(client, alice)
    ),
}


def by_mailed_code(client: Client) -> Any:
    """The second step by a code that is mailed."""
    assert client.post(CHALLENGE, {"mail": "1"}).url == CHALLENGE
    return client.post(CHALLENGE, {"code": code_in(mail_to("alice").body)})


@pytest.mark.parametrize("first", FIRST_STEPS)
@pytest.mark.parametrize("second", SECOND_STEPS.values(), ids=SECOND_STEPS)
@pytest.mark.parametrize("remember", [False, True], ids=["forget", "remember"])
def test_3_1_next_and_remember_me_survive_the_second_step(
    first: Callable[..., Any], second: Callable[..., Any], remember: bool
) -> None:
    owner, browser = Client(), Client()
    alice = make_user("alice")
    sign_in(owner, "alice")
    spare = recovery_codes_on(owner.get(turn_on(owner).url).text)[0]

    page = browser.get(WANTED, follow=True)
    assert first(browser, next=next_on(page), **{"remember": "on"} if remember else {})
    answer = second(browser, alice, spare)

    assert answer.url == WANTED
    assert browser.get(WANTED).status_code == 200
    lasts = browser.cookies["sessionid"]["max-age"]
    assert lasts == (REMEMBER_SECONDS if remember else "")


@pytest.mark.parametrize("remember", [False, True], ids=["forget", "remember"])
def test_3_1_next_and_remember_me_survive_a_mailed_second_step(
    client: Client, remember: bool
) -> None:
    enrolled(make_user("alice"))
    page = client.get(WANTED, follow=True)
    sign_in(client, "alice", next=next_on(page), **{"remember": "on"} if remember else {})

    assert by_mailed_code(client).url == WANTED

    assert client.get(WANTED).status_code == 200
    assert client.cookies["sessionid"]["max-age"] == (REMEMBER_SECONDS if remember else "")


@pytest.mark.parametrize("remember", [False, True], ids=["forget", "remember"])
def test_3_1_next_and_remember_me_survive_enrolment(client: Client, remember: bool) -> None:
    make_staff("carol", has_factor=False)
    page = client.get(WANTED, follow=True)
    more = {"remember": "on"} if remember else {}
    assert sign_in(client, "carol", next=next_on(page), **more).url == SETUP

    assert client.post(SETUP, {"code": "1"}).status_code == 200, "after a mistake as well"
    codes = turn_on(client)
    assert codes.url == f"{RECOVERY_CODES}?next={quote(WANTED, safe='')}"
    client.post(codes.url, {"code": "aaaaa-aaaaa", "next": WANTED})

    assert type_one_back(client, codes.url).url == WANTED
    assert client.get(WANTED).status_code == 200
    assert client.cookies["sessionid"]["max-age"] == (REMEMBER_SECONDS if remember else "")


def by_code_here(client: Client) -> tuple[Client, Any]:
    return client, confirm(client, "alice")


def by_link_here(client: Client) -> tuple[Client, Any]:
    return client, client.post(link_in(mail_to("alice").body))


def by_link_elsewhere(_client: Client) -> tuple[Client, Any]:
    elsewhere = Client()
    link = link_in(mail_to("alice").body)
    return elsewhere, elsewhere.post(link, {"password": PASSWORD})


def by_signing_in_elsewhere(_client: Client) -> tuple[Client, Any]:
    elsewhere = Client()
    assert sign_in(elsewhere, "alice", remember="on").url == CONFIRM
    return elsewhere, confirm(elsewhere, "alice")


@pytest.mark.parametrize(
    "way", [by_code_here, by_link_here, by_link_elsewhere, by_signing_in_elsewhere]
)
def test_3_1_next_survives_sign_up_confirmation_and_enrolment_alike(
    client: Client, configure: Set, way: Callable[[Client], tuple[Client, Any]]
) -> None:
    configure(second_factor="all")
    page = client.get(SIGNUP + "?next=" + quote(WANTED))
    assert sign_up(client, "alice", next=next_on(page)).url == CONFIRM

    browser, answer = way(client)
    assert answer.url == SETUP
    assert not is_signed_in(browser)
    codes = turn_on(browser)

    assert type_one_back(browser, codes.url).url == WANTED
    assert browser.get(WANTED).status_code == 200
    lasts = browser.cookies["sessionid"]["max-age"]
    assert lasts == (REMEMBER_SECONDS if way is by_signing_in_elsewhere else "")


@pytest.mark.parametrize("evil", ["//evil.example", "https:evil.example", "javascript:alert(1)"])
def test_3_2_next_never_leaves_the_site_on_the_detours(client: Client, evil: str) -> None:
    make_staff("carol", has_factor=False)
    sign_in(client, "carol", next=evil)

    codes = turn_on(client)

    assert codes.url == RECOVERY_CODES
    code = recovery_codes_on(client.get(codes.url).text)[0]
    assert client.post(codes.url, {"code": code, "next": evil}).url == "/accounts/2fa/"
