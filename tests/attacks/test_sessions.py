"""Attacks on sessions: copied cookies, planted session data and guesses at reauthentication."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.core.management import call_command
from django.test import Client

from accounts.activity import events
from accounts.activity.mails import SUBJECTS
from accounts.sessions.models import BrowserSession, LoginSession
from accounts.sessions.store import SessionStore, digest
from accounts.throttle.limits import LOGIN_SUBSCRIBER, REAUTHENTICATION
from accounts.users.models import User
from tests.support.administration import by_staff, by_superuser
from tests.support.clock import Clock
from tests.support.signin import signed_in
from tests.support.steps import (
    PASSWORD,
    WRONG,
    is_signed_in,
    make_user,
    outbox,
    path_of,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.django_db

SESSIONS = "/accounts/sessions/"
REAUTHENTICATE = "/accounts/reauthenticate/"
LOCKDOWN = "/accounts/lockdown/"


def copy_of(browser: Client) -> Client:
    """Return another browser with a copy of the session cookie."""
    thief = Client()
    thief.cookies["sessionid"] = browser.cookies["sessionid"].value
    return thief


def link_to_lockdown() -> str:
    return path_of(outbox()[-1].action_url)


def change_password(user: Any, *_browsers: Client) -> None:
    user.set_password(WRONG)
    user.save()


def sid(browser: Client) -> uuid.UUID:
    """Return the id of the browser's session."""
    key = digest(browser.cookies["sessionid"].value)
    login = BrowserSession.objects.get(pk=key).login_session
    assert login
    return login.pk


# Ways to revoke the session of ``here``; ``there`` is another session of the user.
ENDS: dict[str, Callable[[Any, Client, Client], Any]] = {
    "signed out": lambda _user, here, _there: here.post("/accounts/logout/"),
    "ended": lambda _user, here, there: there.post(SESSIONS, {"end": str(sid(here))}),
    "all others ended": lambda _user, _here, there: there.post(SESSIONS, {"others": "1"}),
    "locked down": lambda _user, here, _there: here.post(LOCKDOWN),
    "locked down elsewhere": lambda _user, _here, there: there.post(LOCKDOWN),
    "locked down by link": lambda *_: Client().post(link_to_lockdown()),
    "password changed": change_password,
    "ended by the operator": lambda *_: call_command("end_sessions", "alice"),
    "switched off and on": lambda user, *_: by_superuser(user, "deactivate", "reactivate"),
    "made staff": lambda user, *_: by_staff(user, {"is_staff": "on"}),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_copied_cookie_stops_working_once_the_session_is_revoked(
    end: Callable[[Any, Client, Client], Any],
) -> None:
    alice = make_user("alice")
    here, there = signed_in(alice), signed_in(User.objects.get(pk=alice.pk))
    thief, session = copy_of(here), sid(here)
    assert is_signed_in(thief)

    end(alice, here, there)

    for browser in (copy_of(thief), here, thief):
        assert not is_signed_in(browser)
    assert copy_of(thief).post(SESSIONS, {"others": "1"}).url.startswith("/accounts/login/")
    assert LoginSession.objects.get(pk=session).ended_at
    assert not BrowserSession.objects.filter(login_session=session).exists()


def test_signing_in_as_another_user_revokes_the_previous_session() -> None:
    """The link of a sign-up is the only way to sign in with a browser that is already signed in."""
    browser = signed_in(make_user("alice"))
    thief, session = copy_of(browser), sid(browser)
    sign_up(Client(), "mallory")

    answer = browser.post(path_of(outbox()[-1].action_url), {"password": PASSWORD})

    assert answer.status_code == 302
    assert b"mallory" in browser.get("/").content
    assert LoginSession.objects.get(pk=session).ended_at
    assert not is_signed_in(thief)


def test_another_users_session_is_neither_visible_nor_revocable() -> None:
    alice, mallory = signed_in(make_user("alice")), signed_in(make_user("mallory"))

    for guess in (str(sid(alice)), str(uuid.uuid4()), "", "1", "\0", "x" * 5000):
        assert mallory.post(SESSIONS, {"end": guess}).status_code == 404
    mallory.post(SESSIONS, {"others": "1"})

    assert is_signed_in(alice)
    assert str(sid(alice)) not in mallory.get(SESSIONS).text


@pytest.mark.parametrize("with_login_of_another", [False, True])
def test_djangos_session_keys_planted_in_a_session_sign_nobody_in(
    with_login_of_another: bool,
) -> None:
    carol = make_user("carol", is_staff=True, is_superuser=True)
    mallory = signed_in(make_user("mallory"))
    session = SessionStore(mallory.cookies["sessionid"].value if with_login_of_another else None)
    session[SESSION_KEY] = str(carol.pk)
    session[BACKEND_SESSION_KEY] = "accounts.signin.services.LoadOnlyBackend"
    session[HASH_SESSION_KEY] = carol.get_session_auth_hash()
    session.save()

    mallory.cookies["sessionid"] = session.session_key or ""

    assert mallory.get("/admin/", follow=True).status_code == (
        403 if with_login_of_another else 200
    )
    assert "login" in mallory.get("/admin/").url
    assert is_signed_in(mallory) is with_login_of_another
    assert b"carol" not in mallory.get("/").content


def test_session_rows_of_the_database_cannot_be_used_as_cookies() -> None:
    browser = signed_in(make_user("alice"))
    login = LoginSession.objects.get()
    row = BrowserSession.objects.get()

    for stolen in (row.session_key, row.session_data, str(login.pk), login.pk.hex):
        thief = Client()
        thief.cookies["sessionid"] = stolen
        assert not is_signed_in(thief)
    assert is_signed_in(browser)


def test_failed_reauthentications_are_limited_recorded_and_mailed(clock: Clock) -> None:
    alice = make_user("alice")
    thief = copy_of(signed_in(alice))

    statuses = [
        thief.post(REAUTHENTICATE, {"password": WRONG}).status_code
        for _ in range(REAUTHENTICATION.burst + 1)
    ]

    assert statuses == [200] * REAUTHENTICATION.burst + [429]
    assert alice.activity.filter(kind="proof_failed").count() == REAUTHENTICATION.burst
    assert outbox()[-1].subject == SUBJECTS[events.PROOF_GUESSED]


def test_guesses_from_elsewhere_do_not_block_the_owners_reauthentication(clock: Clock) -> None:
    browser = signed_in(make_user("alice"))
    for i in range(LOGIN_SUBSCRIBER.burst + 1):
        guess = sign_in(Client(REMOTE_ADDR=f"192.0.2.{i}"), "alice", WRONG)
    assert guess.status_code == 429

    assert browser.post(REAUTHENTICATE, {"password": PASSWORD}).status_code == 302


def test_reauthentication_needs_the_own_password_and_redirects_to_no_other_site() -> None:
    make_user("mallory", password=WRONG)
    thief = copy_of(signed_in(make_user("alice")))
    before = LoginSession.objects.get().auth_time

    answer = thief.post(REAUTHENTICATE, {"password": WRONG, "login": "mallory"})

    assert answer.status_code == 200
    assert LoginSession.objects.get().auth_time == before
    hers = {"password": PASSWORD, "next": "//evil.example"}
    assert thief.post(REAUTHENTICATE, hers).url == "/"
