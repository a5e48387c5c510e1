"""Keys that would go on after their end, and owners who hear of it too late, too often or never."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.apikeys.models import APIKey
from accounts.users.models import User
from tests.attacks.key_steps import FORM, KEYS, LOCKDOWN, NEW, fresh, is_alive, key_of, make, row_of
from tests.conftest import Clock
from tests.support.api import call
from tests.support.second import turn_on
from tests.support.signin import signed_in
from tests.support.steps import WRONG, make_user, outbox, path_of, sign_in

pytestmark = pytest.mark.django_db


def by_staff(user: Any, **changes: str) -> None:
    carol = signed_in(make_user("carol", is_staff=True, is_superuser=True))
    assert carol.post(f"/admin/accounts/user/{user.pk}/change/", changes).status_code == 302


def end_by_call(user: Any, key: str) -> None:
    answer = call(f"keys/{row_of(key).pk}/", method="DELETE", token=fresh())
    assert (answer.status, answer.body) == (204, None)


ENDS: dict[str, Callable[[Any, Client, str], Any]] = {
    "locked down": lambda _user, browser, _key: browser.post(LOCKDOWN),
    "switched off": lambda user, *_: by_staff(user),
    "switched off past the admin": lambda *_: User.objects.update(is_active=False),
    "deleted": lambda user, *_: user.delete(),
    "removed on the page": lambda _user, browser, key: browser.post(KEYS, {"end": row_of(key).pk}),
    "removed by a call": lambda user, _browser, key: end_by_call(user, key),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_key_is_dead_the_moment_it_has_ended(end: Callable[[Any, Client, str], Any]) -> None:
    alice = make_user("alice")
    browser = signed_in(alice)
    bobs = key_of(make_user("bob"))
    key = make(fresh(), scope="read write")["key"]
    assert is_alive(key)

    end(alice, browser, key)

    assert not is_alive(key)
    assert call("me/", {"about": "x"}, method="PATCH", token=key).status == 401
    assert is_alive(bobs) is (end is not ENDS["switched off past the admin"])
    User.objects.filter(pk=alice.pk).update(is_active=True)
    if end is ENDS["switched off"]:
        assert not is_alive(key), "what ended doesn't come back"


def change_password(_user: Any, browser: Client) -> None:
    assert browser.post("/accounts/password/change/", {"password1": WRONG}).status_code == 302


STAYS: list[Callable[[Any, Client], Any]] = [
    lambda _user, browser: browser.post("/accounts/logout/"),
    lambda _user, browser: browser.post("/accounts/sessions/", {"others": "1"}),
    lambda *_: call_command("end_sessions", "alice"),
    change_password,
    lambda _user, browser: turn_on(browser),
    lambda user, _: by_staff(user, is_active="on", is_staff="on"),
]


def test_a_program_goes_on_when_its_owner_signs_out_or_has_another_password() -> None:
    key = key_of(make_user("alice"))
    for number, change in enumerate(STAYS):
        alice = User.objects.get(username="alice")
        _other, browser = signed_in(alice), signed_in(alice)
        before = alice.activity.count()
        change(alice, browser)
        assert alice.activity.count() > before, number
        assert is_alive(key), number


def test_the_pages_say_that_keys_stay_and_what_a_lockdown_ends() -> None:
    alice = make_user("alice")
    browser = signed_in(alice)
    assert "API key" not in browser.get(LOCKDOWN).text.partition("<main")[2]
    for _ in range(2):
        key_of(alice)

    assert f'href="{KEYS}"' in browser.get("/accounts/password/change/").text.partition("<main")[2]
    by_link = Client().get(path_of(outbox()[-1].action_url))
    for page in (browser.get(LOCKDOWN), by_link):
        assert "All 2 API keys" in page.text


def test_a_sign_in_that_has_ended_makes_no_key() -> None:
    """Nor does whoever had one before the password was changed."""
    alice = make_user("alice")
    token, thief = fresh(), signed_in(alice)
    sign_in(owner := Client(), "alice")

    change_password(alice, owner)

    assert make(token).status == 401
    assert thief.post(NEW, FORM).url.startswith("/accounts/login/")
    assert not APIKey.objects.exists()


def test_a_key_ends_with_its_last_second(clock: Clock) -> None:
    key = key_of(make_user("alice"), days=30)
    forever = key_of(User.objects.get())
    clock.advance(days=30, seconds=-1)
    assert is_alive(key)
    clock.advance(seconds=1)

    assert [is_alive(key), is_alive(forever)] == [False, True]


def told_of_ends() -> list[Any]:
    """Run ``prune``; return the mails that say that a key is to expire."""
    call_command("prune", verbosity=0)
    return [mail for mail in outbox() if "expires within a week" in mail.subject]


def test_the_owner_hears_of_an_end_a_week_before_once_and_can_lock_down(clock: Clock) -> None:
    alice = make_user("alice")
    key_of(alice, days=30, name="backup")
    key_of(alice)
    key_of(make_user("bob"), days=90)
    clock.advance(days=23, seconds=-1)
    assert told_of_ends() == []
    clock.advance(seconds=1)

    (mail,) = told_of_ends()

    assert mail.to == "alice@example.org"
    assert f"backup, {APIKey.objects.get(name='backup').expires_at:%Y-%m-%d}" in str(mail)
    clock.advance(days=3)
    assert len(told_of_ends()) == 1
    assert Client().post(path_of(mail.action_url)).status_code == 200
    assert not APIKey.objects.filter(user=alice).exists()

    # Nobody is told of what has ended.
    key_of(make_user("carol"), days=3)
    User.objects.filter(username="carol").update(is_active=False)
    key_of(make_user("dave"), days=-1)
    assert len(told_of_ends()) == 1


def test_an_expired_key_is_shown_for_a_month_and_then_forgotten(clock: Clock) -> None:
    alice = make_user("alice")
    key_of(alice, days=1)
    clock.advance(days=31, seconds=-1)
    call_command("prune", verbosity=0)
    browser = signed_in(alice)
    assert "Expired" in browser.get(KEYS).text
    clock.advance(seconds=1)

    call_command("prune", verbosity=0)

    assert not APIKey.objects.exists()
    assert "None yet." in browser.get(KEYS).text
