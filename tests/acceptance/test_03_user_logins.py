"""System 3: user logins."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import argon2
import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client

from accounts.users.models import PendingSignup, User
from tests.support.client import together
from tests.support.second import take_second_step
from tests.support.site import Site, text_of
from tests.support.steps import (
    CONFIRM,
    LOGIN,
    LOGOUT,
    PASSWORD,
    SIGNUP,
    but_for_nonces,
    code_in,
    confirm,
    is_signed_in,
    link_in,
    mail_to,
    make_staff,
    make_user,
    next_on,
    sign_in,
    sign_in_twice,
    sign_up,
    signed_up,
)

WANTED = "/?from=a%20bookmark&page=2"
CURRENT = "argon2$argon2id$v=19$m=19456,t=2,p=1$"


def asked_to_sign_in(client: Client, path: str) -> Any:
    """The sign-in page that a stranger who wants ``path`` is led to."""
    response = client.get(path, follow=True)
    assert response.request["PATH_INFO"] == LOGIN
    return response


def link_on(response: Any, path: str) -> str:
    """The link to another page of ours on this one, query and all."""
    found = re.search(rf'href="({path}[^"]*)"', response.content.decode())
    assert found
    return found[1].replace("&amp;", "&")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "who, wanted",
    [("alice", WANTED), ("carol", WANTED), ("carol", "/admin/accounts/user/?q=alice")],
    ids=["alice", "carol", "carol to the admin"],
)
def test_3_1_a_stranger_signs_in_and_is_back_at_the_page(
    client: Client, who: str, wanted: str
) -> None:
    make_user("alice")
    carol = make_staff("carol")

    page = asked_to_sign_in(client, wanted)
    wrong = sign_in(client, who, "not the password", next=next_on(page))
    right = sign_in(client, who, next=next_on(wrong))
    right = take_second_step(client, carol) if who == "carol" else right

    assert right.url == wanted
    assert client.get(wanted).status_code == 200


def by_code(client: Client) -> Any:
    return confirm(client, "alice")


def by_link_here(client: Client) -> Any:
    return client.post(link_in(mail_to("alice").body))


def by_link_elsewhere(_client: Client) -> Any:
    return Client().post(link_in(mail_to("alice").body), {"password": PASSWORD})


def by_signing_in_elsewhere(_client: Client) -> Any:
    elsewhere = Client()
    assert sign_in(elsewhere, "alice").url == CONFIRM
    return confirm(elsewhere, "alice")


@pytest.mark.django_db
@pytest.mark.parametrize("way", [by_code, by_link_here, by_link_elsewhere, by_signing_in_elsewhere])
def test_3_1_sign_up_and_confirmation_end_at_the_page(
    client: Client, way: Callable[[Client], Any]
) -> None:
    login_page = asked_to_sign_in(client, WANTED)
    signup_page = client.get(link_on(login_page, SIGNUP))
    refused = sign_up(client, "alice", password1="short", next=next_on(signup_page))
    assert sign_up(client, "alice", next=next_on(refused)).url == CONFIRM

    assert way(client).url == WANTED


@pytest.mark.django_db
def test_3_1_the_unconfirmed_who_sign_in_end_at_the_page_they_want_now(client: Client) -> None:
    sign_up(client, "alice")

    page = asked_to_sign_in(client, WANTED)
    assert sign_in(client, "alice", next=next_on(page)).url == CONFIRM

    assert confirm(client, "alice").url == WANTED


EVIL = [
    *("//evil.com", "///evil.com", "/\\evil.com", "\\\\evil.com", "https:evil.com", "evil.com"),
    *("http://evil.com", "HTTPS://evil.com/", "javascript:alert(1)", "data:text/html,evil"),
    *(" //evil.com", "\t//evil.com", "/\t/evil.com", "/\r\nLocation: //evil.com"),
    *("/\x00/evil.com", "/\x1f/evil.com", "/\u2028/evil.com", "/" + 2000 * "a"),
]


@pytest.mark.django_db
@pytest.mark.parametrize("evil", EVIL, ids=ascii)
def test_3_2_next_never_leaves_the_site(client: Client, evil: str) -> None:
    query = f"?next={quote(evil)}"

    assert next_on(client.get(LOGIN + query)) == ""
    assert next_on(client.get(SIGNUP + query)) == ""
    assert client.get(f"/admin/login/{query}").url == f"{LOGIN}?next=/admin/"
    sign_up(client, "alice", next=evil)
    assert confirm(client, "alice").url == "/"
    assert client.get(LOGIN + query).url == "/"
    assert client.get(SIGNUP + query).url == "/"
    assert sign_in(Client(), "alice", next=evil).url == "/"
    assert Client().post(LOGIN + query, {"login": "alice", "password": PASSWORD}).url == "/"


def page_but_for(typed: str, response: Any) -> str:
    """The page without what was typed and what is random on every page."""
    return but_for_nonces(response.content.decode()).replace(f'value="{typed}"', "")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "login",
    ["nobody", "nobody@example.org", "bob", "bob@example.org", "carol", "mallory", "a" * 200],
)
def test_3_3_unknown_and_wrong_get_the_same_answer_for_the_same_work(
    login: str, hashes: list[str]
) -> None:
    make_user("alice")
    sign_up(Client(), "bob")  # waits for his confirmation
    User.objects.filter(pk=make_user("carol").pk).update(is_active=False)
    User.objects.filter(pk=make_user("mallory").pk).update(password="!unusable")

    answers, work = [], []
    for name in ("alice", login):
        hashes.clear()
        answers.append(sign_in(Client(), name, "not the password"))
        work.append(list(hashes))

    wrong, other = answers
    assert work == [["verify"], ["verify"]]
    assert (other.status_code, other.headers.keys(), other.cookies.keys()) == (
        *(wrong.status_code, wrong.headers.keys(), wrong.cookies.keys()),
    )
    assert "is not right" in wrong.content.decode()
    assert page_but_for(login, other) == page_but_for("alice", wrong)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "login", ["alice", "ALICE", "aLiCe", "alice@example.org", "ALICE@Example.ORG"]
)
def test_3_5_name_or_address_signs_in_in_any_case(client: Client, login: str) -> None:
    make_user("alice")

    assert sign_in(client, login).url == "/"
    assert is_signed_in(client)


@pytest.mark.django_db
@pytest.mark.parametrize("holds", [make_user, signed_up, lambda name: sign_up(Client(), name)])
def test_3_5_a_name_is_one_persons_in_any_case(
    client: Client, holds: Callable[[str], object]
) -> None:
    holds("alice")

    response = sign_up(client, "ALICE", email="mallory@example.org")

    assert "That username is taken." in response.content.decode()
    assert client.get(CONFIRM).status_code == 200
    assert not PendingSignup.objects.filter(address="mallory@example.org").exists()


@pytest.mark.django_db
def test_3_5_an_address_is_one_persons_in_any_case(client: Client) -> None:
    make_user("alice")

    assert sign_up(client, "mallory", email="ALICE@Example.ORG").url == CONFIRM

    told = mail_to("alice")
    assert "You already have an account" in told.subject
    assert not re.search(r"(?m)^[A-Z2-9]{8}$", told.body)
    assert CONFIRM not in told.body


@pytest.mark.django_db
def test_3_6_signed_in_the_pages_for_strangers_lead_home(client: Client) -> None:
    make_user("alice")
    sign_in(client, "alice")

    for page in (LOGIN, SIGNUP):
        assert client.get(page).url == "/"
        assert client.get(f"{page}?next={quote(WANTED)}").url == WANTED
    assert client.get(CONFIRM).url == "/"


@pytest.mark.django_db
def test_3_6_a_person_is_greeted_by_name_with_the_way_out_in_reach(client: Client) -> None:
    make_user("alice")
    sign_in(client, "alice")

    home = client.get("/").content.decode()
    assert re.search(r"<h1>Hello, <bdi>alice</bdi></h1>", home)
    for path, status in (("/", 200), ("/no-such-page", 404), ("/admin/", 403), (LOGOUT, 200)):
        response = client.get(path, follow=True)
        assert response.status_code == status
        assert f'<form method="post" action="{LOGOUT}">' in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("door", [LOGOUT, "/admin/logout/"])
def test_3_6_a_get_asks_and_a_post_signs_out(client: Client, door: str) -> None:
    sign_in_twice(client, make_staff("carol"))

    assert "Sign out of" in client.get(door).content.decode()
    assert is_signed_in(client)
    assert "You are signed out." in client.post(door, follow=True).content.decode()
    assert not is_signed_in(client)


@pytest.mark.django_db
@pytest.mark.dear_hashes
def test_3_7_equal_passwords_have_different_hashes_by_argon2id() -> None:
    alice, bob = make_user("alice").password, make_user("bob").password
    signed_up("carol")
    carol = User.objects.get(username="carol").password

    assert len({alice, bob, carol}) == 3
    for stored in (alice, bob, carol):
        assert stored.startswith(CURRENT)


WEAKER = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
OLD = {
    "pbkdf2": lambda: make_password(PASSWORD, hasher="pbkdf2_sha256"),
    "scrypt": lambda: make_password(PASSWORD, hasher="scrypt"),
    "weaker argon2": lambda: "argon2" + WEAKER.hash(PASSWORD),
}


@pytest.mark.django_db
@pytest.mark.parametrize("old", OLD.values(), ids=OLD)
@pytest.mark.dear_hashes
def test_3_7_an_old_hash_is_renewed_at_sign_in_and_only_then(old: Callable[[], str]) -> None:
    alice = make_user("alice")
    before = old()
    User.objects.filter(pk=alice.pk).update(password=before)

    def after_sign_in(password: str) -> str:
        sign_in(Client(), "alice", password)
        alice.refresh_from_db()
        return alice.password

    assert after_sign_in("not the password") == before
    renewed = after_sign_in(PASSWORD)
    assert renewed.startswith(CURRENT)
    assert after_sign_in(PASSWORD) == renewed
    assert sign_in(Client(), "alice").url == "/"


def test_3_5_two_sign_ups_at_once_make_one_user(site: Site) -> None:
    clients = [site.client(), site.client()]

    def attempt(i: int) -> str:
        return str(sign_up(clients[i], "bob", email=f"bob{i}@example.org").location)

    outcomes = together(2, attempt)

    assert sorted(outcomes) == ["", CONFIRM]
    winner = outcomes.index(CONFIRM)
    mail = site.wait_for_mail(to=f"bob{winner}@example.org")
    confirmed = clients[winner].post(CONFIRM, {"code": code_in(text_of(mail))}, follow=True)
    assert "Hello, <bdi>bob</bdi>" in confirmed.text
    assert sign_in(site.client(), f"bob{1 - winner}@example.org").status == 200
    site.no_mail(to=f"bob{1 - winner}@example.org")
