"""API keys expire or are revoked, and their owner is notified."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.activity import events
from accounts.activity.mails import SUBJECTS
from accounts.apikeys.models import APIKey
from accounts.common import clock as site_clock
from accounts.users.models import User
from tests.support.administration import by_superuser
from tests.support.api import call
from tests.support.api_keys import (
    FORM,
    KEYS,
    LOCKDOWN,
    NEW,
    by_staff,
    change_password,
    is_alive,
    key_of,
    make,
    recent_token,
    row_of,
    shown_key,
)
from tests.support.clock import Clock
from tests.support.second_factor import set_up_authenticator
from tests.support.signin import signed_in
from tests.support.steps import make_user, outbox, path_of

pytestmark = pytest.mark.django_db

ODD_ENDS = ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "never", "", 0, 1e300, [])

ENDS: dict[str, Callable[[Any, Client, str], Any]] = {
    "locked down": lambda _user, browser, _key: browser.post(LOCKDOWN),
    "switched off": lambda user, *_: by_superuser(user, "deactivate"),
    "switched off past the admin": lambda *_: User.objects.update(is_active=False),
    "deleted": lambda user, *_: user.delete(),
    "removed on the page": lambda _user, browser, key: browser.post(KEYS, {"end": row_of(key).pk}),
    "removed by a call": lambda user, _browser, key: end_by_call(user, key),
}

STAYS: list[Callable[[Any, Client], Any]] = [
    lambda _user, browser: browser.post("/accounts/logout/"),
    lambda _user, browser: browser.post("/accounts/sessions/", {"others": "1"}),
    lambda *_: call_command("end_sessions", "alice"),
    change_password,
    lambda _user, browser: set_up_authenticator(browser),
    lambda user, _: by_staff(user, is_staff="on"),
]


def end_by_call(user: Any, key: str) -> None:
    answer = call(f"keys/{row_of(key).pk}/", method="DELETE", token=recent_token())
    assert (answer.status, answer.body) == (204, None)


def test_a_key_expires_within_a_year_unless_it_was_made_without_an_expiry(clock: Clock) -> None:
    make_user("alice")
    token, now = recent_token(), site_clock.now()
    too_late = (now + timedelta(days=367)).isoformat()
    for end in (*ODD_ENDS, too_late, now.isoformat()):
        answer = make(token, expires_at=end)
        assert (answer.status, list(answer.body)) == (400, ["expires_at"]), end
    assert not APIKey.objects.exists()

    assert make(token, expires_at=(now + timedelta(days=366)).isoformat()).status == 201
    assert make(token, expires_at=None)["expires_at"] is None
    suggested = row_of(make(token)["key"]).expires_at
    assert suggested == now + timedelta(days=90)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_revoked_key_stops_working_at_once(end: Callable[[Any, Client, str], Any]) -> None:
    alice = make_user("alice")
    browser = signed_in(alice)
    bobs = key_of(make_user("bob"))
    # Not made in a session, because it would be revoked with that session in any case.
    key = key_of(alice, "read write")
    assert is_alive(key)

    end(alice, browser, key)

    assert not is_alive(key)
    assert call("me/", {"about": "x"}, method="PATCH", token=key).status == 401
    assert is_alive(bobs) is (end is not ENDS["switched off past the admin"])
    User.objects.filter(pk=alice.pk).update(is_active=True)
    if end is ENDS["switched off"]:
        assert not is_alive(key), "activating the account restores no key"


def test_a_key_keeps_working_after_its_owner_signs_out_or_changes_the_password() -> None:
    """This holds for a key made in a session that was revoked before the password changed."""
    key = shown_key(signed_in(make_user("alice")).post(NEW, FORM))
    for number, change in enumerate(STAYS):
        alice = User.objects.get(username="alice")
        _other, browser = signed_in(alice), signed_in(alice)
        before = alice.activity.count()
        change(alice, browser)
        assert alice.activity.count() > before, number
        assert is_alive(key), number


def test_the_lockdown_page_says_how_many_keys_it_revokes() -> None:
    alice = make_user("alice")
    browser = signed_in(alice)
    assert "API key" not in browser.get(LOCKDOWN).text.partition("<main")[2]
    for _ in range(2):
        key_of(alice)

    by_link = Client().get(path_of(outbox()[-1].action_url))
    for page in (browser.get(LOCKDOWN), by_link):
        assert "All 2 API keys" in page.text


def test_an_expired_key_stops_working_and_stays_listed_for_thirty_days(
    clock: Clock,
) -> None:
    alice = make_user("alice")
    key, forever = key_of(alice, days=30), key_of(alice)
    clock.advance(days=30, seconds=-1)
    assert is_alive(key)
    clock.advance(seconds=1)
    assert [is_alive(key), is_alive(forever)] == [False, True]

    clock.advance(days=30, seconds=-1)
    call_command("prune", verbosity=0)
    assert "Expired" in signed_in(alice).get(KEYS).text
    clock.advance(seconds=1)
    call_command("prune", verbosity=0)
    assert APIKey.objects.get() == row_of(forever)


def expiry_mails() -> list[Any]:
    """Run ``prune`` and return the mails about keys that expire soon."""
    call_command("prune", verbosity=0)
    return [mail for mail in outbox() if mail.subject == SUBJECTS[events.KEY_EXPIRES]]


def test_the_owner_is_mailed_once_a_week_before_a_key_expires_and_can_lock_the_account(
    clock: Clock,
) -> None:
    alice = make_user("alice")
    key_of(alice, days=30, name="backup")
    key_of(alice)
    key_of(make_user("bob"), days=90)
    clock.advance(days=23, seconds=-1)
    assert expiry_mails() == []
    clock.advance(seconds=1)

    (mail,) = expiry_mails()

    assert mail.to == "alice@example.org"
    assert f"backup, {APIKey.objects.get(name='backup').expires_at:%Y-%m-%d}" in str(mail)
    clock.advance(days=3)
    assert len(expiry_mails()) == 1
    assert Client().post(path_of(mail.action_url)).status_code == 200
    assert not APIKey.objects.filter(user=alice).exists()

    # No mail is sent for an expired key or an inactive user.
    key_of(make_user("carol"), days=3)
    User.objects.filter(username="carol").update(is_active=False)
    key_of(make_user("dave"), days=-1)
    assert len(expiry_mails()) == 1
