"""Changing and setting a password, and the change that a stolen password leads to."""

import re
from typing import Any

import pytest
from django.test import Client

from accounts.activity.models import Activity
from accounts.passwords import services as passwords
from accounts.throttle.limits import LOGIN_REPEAT
from accounts.users.models import User
from tests.support.clock import Clock
from tests.support.signin import signed_in
from tests.support.steps import LOGIN, PASSWORD, is_signed_in, mail_to, make_user, sign_in

pytestmark = pytest.mark.django_db

CHANGE, SET, PROOF = (
    f"/accounts/{page}/" for page in ("password/change", "password/set", "reauthenticate")
)
NEW = "a lantern over seven wet roofs"
STOLEN = "password1234"


@pytest.fixture
def alice() -> User:
    return make_user("alice")


def remove_password(user: User) -> None:
    User.objects.filter(pk=user.pk).update(password="!")
    user.refresh_from_db()


def post_password(client: Client, page: str = CHANGE, password: str = NEW, **more: Any) -> Any:
    return client.post(page, {"password1": password}, **more)


def works(password: str) -> bool:
    return str(sign_in(Client(), "alice", password).headers.get("Location")) == "/"


def has_changed(user: User) -> bool:
    before = user.password
    user.refresh_from_db()
    return user.password != before


def test_changing_the_password_revokes_all_other_sessions_and_keeps_this_one(
    client: Client, alice: User
) -> None:
    elsewhere, thief = [signed_in(alice), signed_in(alice)], Client()
    signed_in(alice, client)
    thief.cookies["sessionid"] = former = client.cookies["sessionid"].value

    shown = client.get(CHANGE).text
    assert "You’ll be signed out of 2 other sessions." in shown
    assert "lost my second factors" not in shown, "only a reset can remove them"
    page = post_password(client, follow=True)

    assert "You’re signed out everywhere else." in page.text
    assert is_signed_in(client)
    assert not any(map(is_signed_in, elsewhere))
    assert client.cookies["sessionid"].value != former
    assert not is_signed_in(thief)
    assert [works(password) for password in (PASSWORD, NEW)] == [False, True]


def test_password_changes_in_one_session_are_limited(
    client: Client, alice: User, clock: Clock
) -> None:
    """Each change costs a hash, as does each reauthentication by password."""
    signed_in(alice, client)
    changes = [
        client.post(CHANGE, {"password1": f"{NEW} {n}"}).status_code
        for n in range(LOGIN_REPEAT.burst + 1)
    ]

    assert changes == [302] * LOGIN_REPEAT.burst + [429]


def test_a_password_change_is_mailed_to_the_owner_and_recorded_with_its_proof(
    client: Client, alice: User
) -> None:
    assert signed_in(alice, client).get(SET).url == CHANGE
    assert post_password(client, SET).url == CHANGE
    assert not has_changed(alice), "the page for a first password needs an account without one"
    post_password(client)

    assert mail_to("alice").subject == "Your password was changed"
    assert "/accounts/lockdown/" in str(mail_to("alice").body)
    row = Activity.objects.get(kind="password_changed")
    assert (row.user, row.proof, row.actor) == (alice, "pwd", "")


@pytest.mark.parametrize("page", [CHANGE, SET])
def test_an_old_proof_leads_to_reauthentication_and_changes_nothing(
    client: Client, clock: Clock, alice: User, page: str
) -> None:
    """A form that was opened in time is accepted for five more minutes."""
    if page == SET:
        remove_password(alice)
    signed_in(alice, client)
    clock.advance(minutes=5, seconds=1)
    assert client.get(page).url == f"{PROOF}?next={page}"

    clock.advance(minutes=5)
    assert post_password(client, page).url == f"{PROOF}?next={page}"
    assert not has_changed(alice)
    assert not Activity.objects.filter(kind__startswith="password").exists()

    signed_in(alice, client)
    clock.advance(minutes=9, seconds=59)
    assert post_password(client, page).url == "/"
    assert has_changed(alice)


@pytest.mark.parametrize(
    "page, password, says",
    [
        (CHANGE, STOLEN, "attackers try first"),
        (CHANGE, "alice@example.org1", "too similar"),
        (CHANGE, "elevenchars", "at least 12"),
        (CHANGE, "x" * 1025, "at most 1024"),
        (CHANGE, "", "Enter a new password."),
        (SET, "authsite2026", "name of this site"),
    ],
)
def test_a_guessable_password_is_refused_and_revokes_no_session(
    client: Client, alice: User, page: str, password: str, says: str
) -> None:
    if page == SET:
        remove_password(alice)
    elsewhere = signed_in(alice)
    signed_in(alice, client)

    answer = post_password(client, page, password)

    summary = re.search(r'<a href="#id_password1">([^<]*)</a>', answer.text)
    assert summary
    assert says in summary[1]
    assert not has_changed(alice)
    assert is_signed_in(elsewhere)
    assert not password or password not in answer.text


def test_setting_a_first_password_revokes_all_other_sessions(client: Client, alice: User) -> None:
    remove_password(alice)
    elsewhere = signed_in(alice)
    signed_in(alice, client)

    assert client.get(CHANGE).url == SET
    assert post_password(client, CHANGE).url == SET
    assert not has_changed(alice)
    assert "You’re signed out everywhere else." in post_password(client, SET, follow=True).text

    assert is_signed_in(client)
    assert not is_signed_in(elsewhere)
    assert mail_to("alice").subject == "Your account now has a password"
    assert works(NEW)


def test_signing_in_with_a_stolen_password_leads_to_a_change_and_then_on(client: Client) -> None:
    make_user("alice", password=STOLEN)

    answer = sign_in(client, "alice", STOLEN, next="/accounts/profile/")

    assert answer.url == f"{CHANGE}?reason=stolen&next=%2Faccounts%2Fprofile%2F"
    assert "Your password is on a list of stolen passwords" in client.get(answer.url).text
    assert post_password(client, answer.url).url == "/accounts/profile/"
    assert not works(STOLEN)
    assert works(NEW)


def test_a_password_that_leaked_after_it_was_chosen_is_noticed_at_the_next_sign_in(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert works(PASSWORD)
    monkeypatch.setattr(passwords, "is_pwned", lambda password: password == PASSWORD)

    assert sign_in(Client(), "alice").url.startswith(CHANGE)


def test_the_stolen_password_warning_appears_only_after_signing_in_with_one() -> None:
    """A good password does not cause it, nor does a stolen one that is not the account's."""
    make_user("alice")
    make_user("bob", password=STOLEN)

    for login, password in (("alice", PASSWORD), ("alice", STOLEN), ("bob", "")):
        client = Client()
        answer = sign_in(client, login, password)
        pages = answer.text + client.get(LOGIN, follow=True).text

        assert answer.headers.get("Location", "/") == "/"
        assert "stolen" not in pages


def test_a_deactivated_account_with_a_stolen_password_is_offered_no_change(client: Client) -> None:
    make_user("alice", password=STOLEN, is_active=False)

    assert sign_in(client, "alice", STOLEN).url == "/accounts/inactive/"
    answer = client.get("/accounts/inactive/")
    assert answer.status_code == 403
    assert "deactivated" in answer.text
    assert "Choose another" not in answer.text
