"""A new password from inside, and the one that is asked for at a sign-in with a stolen one."""

import re
from typing import Any

import pytest
from django.test import Client

from accounts.activity.models import Activity
from accounts.users.models import User
from tests.conftest import Clock
from tests.support.signin import signed_in
from tests.support.steps import (
    LOGIN,
    PASSWORD,
    is_signed_in,
    mail_to,
    make_user,
    sign_in,
)

pytestmark = pytest.mark.django_db

CHANGE, SET, PROOF = (
    f"/accounts/{page}/" for page in ("password/change", "password/set", "reauthenticate")
)
NEW = "a lantern over seven wet roofs"
STOLEN = "password1234"


@pytest.fixture
def alice() -> User:
    return make_user("alice")


@pytest.fixture
def without_password(alice: User) -> User:
    User.objects.update(password="!")
    alice.refresh_from_db()
    return alice


def take(client: Client, page: str = CHANGE, password: str = NEW, **more: Any) -> Any:
    return client.post(page, {"password1": password}, **more)


def works(password: str) -> bool:
    return str(sign_in(Client(), "alice", password).headers.get("Location")) == "/"


def has_changed(user: User) -> bool:
    before = user.password
    user.refresh_from_db()
    return user.password != before


def key_of(client: Client) -> str:
    return client.cookies["sessionid"].value


def test_every_other_sign_in_ends_the_own_goes_on_and_the_page_says_so(
    client: Client, alice: User
) -> None:
    elsewhere = [signed_in(alice), signed_in(alice)]
    thief = signed_in(alice, client)
    former = key_of(client)

    assert "your 2 other sign-ins end" in client.get(CHANGE).text
    page = take(client, follow=True)

    assert "Every other sign-in has ended." in page.text
    assert is_signed_in(client)
    assert not any(map(is_signed_in, elsewhere))
    assert key_of(client) != former
    thief = Client()
    thief.cookies["sessionid"] = former
    assert not is_signed_in(thief)
    assert [works(password) for password in (PASSWORD, NEW)] == [False, True]


def test_the_owner_is_told_and_the_history_says_by_which_proof(client: Client, alice: User) -> None:
    take(signed_in(alice, client))

    assert mail_to("alice").subject == "authsite: The password was changed"
    assert "/accounts/lockdown/" in str(mail_to("alice").body)
    row = Activity.objects.get(kind="password_changed")
    assert (row.user, row.proof, row.actor) == (alice, "pwd", "")


@pytest.mark.parametrize("page", [CHANGE, SET])
def test_an_old_proof_is_not_enough_and_leads_back_after_another(
    client: Client, clock: Clock, alice: User, page: str
) -> None:
    if page == SET:
        User.objects.update(password="!")
        alice.refresh_from_db()
    signed_in(alice, client)
    clock.advance(minutes=5)
    assert client.get(page).url == f"{PROOF}?next={page}"

    clock.advance(minutes=5)
    assert take(client, page).url == f"{PROOF}?next={page}"

    assert not has_changed(alice)
    assert not Activity.objects.filter(kind__startswith="password").exists()


def test_a_page_that_was_opened_in_time_may_be_filled_in(
    client: Client, clock: Clock, alice: User
) -> None:
    signed_in(alice, client)
    clock.advance(minutes=9, seconds=59)

    assert take(client).url == "/"
    assert has_changed(alice)


@pytest.mark.parametrize("page", [CHANGE, SET])
@pytest.mark.parametrize(
    "password, says",
    [
        (STOLEN, "lists that attackers try first"),
        ("PassWord1234", "lists that attackers try first"),
        ("alice@example.org", "too similar"),
        ("elevenchars", "at least 12"),
        ("x" * 1025, "at most 1024"),
        ("authsite2026", "name of this site"),
        ("", "required"),
    ],
)
def test_what_anybody_would_guess_is_refused_and_nothing_ends(
    client: Client, alice: User, page: str, password: str, says: str
) -> None:
    if page == SET:
        User.objects.update(password="!")
        alice.refresh_from_db()
    elsewhere = signed_in(alice)
    signed_in(alice, client)

    answer = take(client, page, password)

    assert "<title>Error: " in answer.text
    summary = re.search(r'<a href="#id_password1">([^<]*)</a>', answer.text)
    assert summary
    assert says in summary[1]
    assert not has_changed(alice)
    assert is_signed_in(elsewhere)
    assert not password or password not in answer.text


def test_who_has_none_sets_a_first_one_and_every_other_sign_in_ends(
    client: Client, without_password: User
) -> None:
    elsewhere = signed_in(without_password)
    signed_in(without_password, client)

    assert client.get(CHANGE).url == SET
    assert take(client, CHANGE).url == SET
    assert not has_changed(without_password)
    assert "Every other sign-in has ended." in take(client, SET, follow=True).text

    assert is_signed_in(client)
    assert not is_signed_in(elsewhere)
    assert mail_to("alice").subject == "authsite: A password was set"
    assert works(NEW)


def test_who_has_one_sets_no_first_one(client: Client, alice: User) -> None:
    signed_in(alice, client)

    assert client.get(SET).url == CHANGE
    assert take(client, SET).url == CHANGE

    assert not has_changed(alice)


def test_a_stolen_password_leads_from_sign_in_to_another_one_and_then_on(client: Client) -> None:
    make_user("alice", password=STOLEN)

    answer = sign_in(client, "alice", STOLEN, next="/accounts/profile/")

    assert answer.url == f"{CHANGE}?reason=stolen&next=%2Faccounts%2Fprofile%2F"
    assert "Your password is on a list of stolen ones" in client.get(answer.url).text
    assert take(client, answer.url).url == "/accounts/profile/"
    assert not works(STOLEN)
    assert works(NEW)


def test_a_password_that_became_known_after_it_was_chosen_is_noticed_at_the_next_sign_in(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accounts.passwords import lists

    assert works(PASSWORD)
    monkeypatch.setattr(lists, "is_pwned", lambda password: password == PASSWORD)

    assert sign_in(Client(), "alice").url.startswith(CHANGE)


@pytest.mark.parametrize("login, password", [("alice", PASSWORD), ("alice", STOLEN), ("bob", "")])
def test_nobody_else_hears_of_stolen_passwords(client: Client, login: str, password: str) -> None:
    """Neither who signs in by a good one, nor who tries a known one that isn't right."""
    make_user("alice")
    make_user("bob", password=STOLEN)

    answer = sign_in(client, login, password)
    pages = answer.text + client.get(LOGIN, follow=True).text

    assert answer.headers.get("Location", "/") == "/"
    assert "stolen" not in pages


def test_a_stolen_password_of_an_account_that_is_switched_off_leads_nowhere(client: Client) -> None:
    User.objects.filter(pk=make_user("alice", password=STOLEN).pk).update(is_active=False)

    assert sign_in(client, "alice", STOLEN).url == "/accounts/inactive/"
    assert "Choose another" not in client.get("/accounts/inactive/").text
