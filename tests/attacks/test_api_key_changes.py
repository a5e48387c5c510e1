"""Changing credentials revokes the keys that a thief may have made, and lists the others."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.users.models import User
from tests.support.api_keys import (
    FORM,
    NEW,
    by_staff,
    is_alive,
    key_of,
    make,
    recent_token,
    row_of,
    shown_key,
)
from tests.support.second_factor import set_up_authenticator, unused_code
from tests.support.second_steps import mails_about, reset_link, with_factor
from tests.support.signin import signed_in
from tests.support.steps import LOGIN, make_user

pytestmark = pytest.mark.django_db

CHANGE, SET = "/accounts/password/change/", "/accounts/password/set/"
NEW_PASSWORD = "a lantern over seven wet roofs"


def set_password(user: User) -> None:
    """Set a password as the ``changepassword`` command does."""
    user.set_password(NEW_PASSWORD)
    user.save()


CHANGES: dict[str, Callable[[User, Client], Any]] = {
    "the password": lambda _user, browser: browser.post(CHANGE, {"password1": NEW_PASSWORD}),
    "an authenticator": lambda _user, browser: set_up_authenticator(browser),
    "rights, by staff": lambda user, _browser: by_staff(user, is_active="on", is_staff="on"),
    "the password, by the operator": lambda user, _browser: set_password(user),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_revokes_a_session_revokes_the_keys_made_in_it(change: str) -> None:
    alice = make_user("alice")
    browser, thief, former = signed_in(alice), signed_in(alice), signed_in(alice)
    keys = {
        "own": shown_key(browser.post(NEW, FORM)),
        "thief's": shown_key(thief.post(NEW, FORM)),
        "thief's program's": make(recent_token())["key"],
        "of a session that ended before": shown_key(former.post(NEW, FORM)),
        "from before this version": key_of(alice),
    }
    former.post("/accounts/logout/")

    CHANGES[change](User.objects.get(pk=alice.pk), browser)

    is_kept = change in {"the password", "an authenticator"}
    alive = {name: is_alive(key) for name, key in keys.items()}
    assert alive == dict(zip(keys, (is_kept, False, False, True, True), strict=True))
    assert alice.activity.filter(kind="key_ended").count() == list(alive.values()).count(False)
    assert mails_about("An API key was removed") == [], "the notice of the change is enough"


def by_link(alice: User) -> tuple[Client, str]:
    return Client(), reset_link()


def from_inside(alice: User) -> tuple[Client, str]:
    return signed_in(alice), CHANGE


def without_a_password(alice: User) -> tuple[Client, str]:
    User.objects.filter(pk=alice.pk).update(password="!")
    return signed_in(alice), SET


@pytest.mark.parametrize("way", [from_inside, without_a_password, by_link])
def test_a_new_password_revokes_the_keys_that_the_owner_selects(
    way: Callable[[User], tuple[Client, str]],
) -> None:
    alice = make_user("alice")
    bobs, backup, unknown = key_of(make_user("bob")), key_of(alice), key_of(alice, name="unknown")
    thiefs = shown_key(signed_in(alice).post(NEW, FORM | {"name": "thief"}))
    key_of(alice, name="expired", days=-1)
    browser, page = way(alice)
    junk = {"end_key": [row_of(unknown).pk, row_of(bobs).pk, "\0", "x" * 5000, ""]}

    shown = browser.get(page).text
    ends, _, stay = shown.partition('<input type="checkbox" name="end_key"')
    assert "thief</bdi>" in ends
    assert f'type="hidden" name="end_key" value="{row_of(thiefs).pk}"' in ends
    for shown_text in ("bot</bdi>", "unknown</bdi>", unknown[:13], "Not used yet", "View"):
        assert shown_text in stay
    assert "expired" not in shown
    assert "checked" not in shown
    again = browser.post(page, {"password1": "short", **junk}).text
    assert again.count(" checked>") == 1
    assert is_alive(unknown)

    assert browser.post(page, {"password1": NEW_PASSWORD, **junk}).status_code == 302

    assert [is_alive(key) for key in (backup, bobs, unknown, thiefs)] == [True, True, False, False]
    ended = alice.activity.filter(kind="key_ended").values_list("detail", flat=True)
    assert sorted(ended) == ["thief", "unknown"]


def test_a_reset_link_shows_and_revokes_no_key_before_the_second_factor() -> None:
    alice, _seed = with_factor()
    key, browser, link = key_of(alice, name="backup"), Client(), reset_link()
    chosen = {"end_key": row_of(key).pk}

    assert "backup" not in browser.get(link).text
    browser.post(link, {"password1": NEW_PASSWORD, **chosen})
    assert is_alive(key)
    browser.post(link, {"code": unused_code(alice)})
    assert "backup" in browser.get(link).text
    assert browser.post(link, {"password1": NEW_PASSWORD, **chosen})["Location"] == LOGIN
    assert not is_alive(key)
