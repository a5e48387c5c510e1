"""Attacks on sessions."""

import csv
import io
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.core import serializers
from django.db import transaction
from django.test import Client

from accounts.activity import events
from accounts.activity.models import Activity, WrittenOnce
from accounts.activity.notices import MOST_AN_HOUR
from accounts.activity.services import Actor, record
from accounts.common.client_info import LONGEST_NAME, LONGEST_USER_AGENT, ClientInfo
from accounts.common.errors import PublicError
from accounts.sessions.models import BrowserSession, LoginSession
from accounts.sessions.services import record_failed_reauthentication
from accounts.sessions.store import SessionStore, digest
from accounts.signin.services import reverify_password
from accounts.throttle.limits import LOGIN_SUBSCRIBER, REAUTHENTICATION
from accounts.twofactor import passkeys, verification
from accounts.users.models import User
from tests.support.api import call, claims_of
from tests.support.second_steps import REAUTHENTICATE, mails_about
from tests.support.signin import signed_in
from tests.support.standards import proves
from tests.support.steps import (
    PASSWORD,
    WRONG,
    address_of,
    is_signed_in,
    make_staff,
    make_user,
    outbox,
    path_of,
    sign_in,
    sign_in_twice,
)
from tests.support.urls import CALLS, OPEN, PAGES, address
from tests.support.webauthn import registered

SESSIONS = "/accounts/sessions/"


def copy_of(browser, thief=None):
    """Return another browser with a copy of the session cookie."""
    thief = thief or Client()
    thief.cookies["sessionid"] = browser.cookies["sessionid"].value
    return thief


def link_to_lockdown():
    return path_of(outbox()[-1].action_url)


def change_password(user, *_browsers):
    user.set_password(WRONG)
    user.save()


def sid(browser):
    """Return the id of the browser's session."""
    key = digest(browser.cookies["sessionid"].value)
    login = BrowserSession.objects.get(pk=key).login_session
    assert login
    return login.pk


# Ways to revoke the session of ``here``; ``there`` is another session of the user. ``test_refresh``
# has more ways to revoke all sessions.
ENDS: dict[str, Callable[[Any, Client, Client], Any]] = {
    "signed out": lambda _user, here, _there: here.post("/accounts/logout/"),
    "ended": lambda _user, here, there: there.post(SESSIONS, {"end": str(sid(here))}),
    "all others ended": lambda _user, _here, there: there.post(SESSIONS, {"others": "1"}),
    "locked down by link": lambda *_: Client().post(link_to_lockdown()),
    "password changed": change_password,
}


@proves("V7.2.1", "V7.4.1", "63B-5.1")
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_copied_cookie_stops_working_once_the_session_is_revoked(end):
    """Withstands a thief with a cookie."""
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


def token_in(browser):
    """Return a new token of the page with the API reference."""
    page = browser.post("/accounts/reference/").text
    return page.partition('data-token="')[2].partition('"')[0]


@pytest.mark.parametrize("end", ["signed out", "ended", "all others ended"])
def test_a_token_of_the_api_reference_ends_with_the_session_of_its_page(end, alice):
    """Withstands a thief with a token."""
    here, there = signed_in(alice), signed_in(alice)
    token = token_in(here)
    assert call("me/", token=token).status == 200

    ENDS[end](alice, here, there)

    assert call("me/", token=token).status == 401


def test_a_token_of_the_api_reference_is_short_recorded_and_counted(alice, clock):
    """Withstands a thief with a cookie."""
    here = signed_in(alice)
    for left, seconds in ((600, 300), (60, 60)):
        ends = clock.now() + timedelta(seconds=left)
        LoginSession.objects.filter(pk=sid(here)).update(ends_at=ends)
        session = LoginSession.objects.get(pk=claims_of(token_in(here))["sid"])
        ends = clock.now() + timedelta(seconds=seconds)
        assert (session.idle_at, session.ends_at, session.scope) == (ends, ends, "read write")
        told = alice.activity.get(session=session.pk)
        assert (told.kind, told.proof, told.ip) == ("client_signed_in", "pwd", "127.0.0.1")
    assert all(token_in(here) for _ in range(18))
    assert not token_in(here)


@proves("V7.5.2", "V8.2.2", "V10.4.9")
def test_another_users_session_is_neither_visible_nor_revocable():
    """Withstands another member."""
    alice, mallory = signed_in(make_user("alice")), signed_in(make_user("mallory"))

    for guess in (str(sid(alice)), str(uuid.uuid4()), "", "1", "\0", "x" * 5000):
        assert mallory.post(SESSIONS, {"end": guess}).status_code == 404
    mallory.post(SESSIONS, {"others": "1"})

    assert is_signed_in(alice)
    assert str(sid(alice)) not in mallory.get(SESSIONS).text


@pytest.mark.parametrize("with_login_of_another", [False, True])
def test_djangos_session_keys_planted_in_a_session_sign_nobody_in(with_login_of_another):
    """Withstands a thief with the database."""
    carol = make_user("carol", is_staff=True, is_superuser=True)
    mallory = signed_in(make_user("mallory"))
    session = SessionStore(mallory.cookies["sessionid"].value if with_login_of_another else None)
    session[SESSION_KEY] = str(carol.pk)
    session[BACKEND_SESSION_KEY] = "accounts.signin.services.LoadOnlyBackend"
    session[HASH_SESSION_KEY] = carol.get_session_auth_hash()
    session.save()

    mallory.cookies["sessionid"] = session.session_key or ""

    status = 403 if with_login_of_another else 200
    assert mallory.get("/admin/", follow=True).status_code == status
    assert "login" in mallory.get("/admin/").url
    assert is_signed_in(mallory) is with_login_of_another
    assert b"carol" not in mallory.get("/").content


@proves("V7.2.3")
def test_session_rows_of_the_database_cannot_be_used_as_cookies():
    """Withstands a thief with the database."""
    browser = signed_in(make_user("alice"))
    login = LoginSession.objects.get()
    row = BrowserSession.objects.get()

    for stolen in (row.session_key, row.session_data, str(login.pk), login.pk.hex):
        thief = Client()
        thief.cookies["sessionid"] = stolen
        assert not is_signed_in(thief)
    assert is_signed_in(browser)


@proves("V6.3.5", "V16.3.1", "V16.3.3")
def test_failed_reauthentications_are_limited_recorded_and_mailed(clock):
    """Withstands a thief with a cookie."""
    alice = make_user("alice")
    thief = copy_of(signed_in(alice))

    statuses = [
        thief.post(REAUTHENTICATE, {"password": WRONG}).status_code
        for _ in range(REAUTHENTICATION.burst + 1)
    ]

    assert statuses == [200] * REAUTHENTICATION.burst + [429]
    assert alice.activity.filter(kind="proof_failed").count() == REAUTHENTICATION.burst
    assert outbox()[-1].subject == events.PROOF_GUESSED.subject


def test_reauthentication_needs_the_own_password_and_redirects_to_no_other_site():
    """Withstands a hostile website."""
    make_user("mallory", password=WRONG)
    thief = copy_of(signed_in(make_user("alice")))
    before = LoginSession.objects.get().auth_time

    answer = thief.post(REAUTHENTICATE, {"password": WRONG, "login": "mallory"})

    assert answer.status_code == 200
    assert LoginSession.objects.get().auth_time == before
    hers = {"password": PASSWORD, "next": "//evil.example"}
    assert thief.post(REAUTHENTICATE, hers).url == "/"
    row = Activity.objects.get(kind="proof_given")
    assert (row.user.username, row.proof, row.session) == ("alice", "pwd", sid(thief))


NEWS = events.PROOF_GUESSED.subject


def test_the_fifth_failed_reauthentication_of_a_session_is_mailed_whatever_the_methods(
    alice, clock
):
    """Withstands a thief with a cookie."""
    signed_in(alice)
    login, passkey = LoginSession.objects.get(), registered(alice)
    place = ClientInfo("192.0.2.7", "")
    actor = Actor(place, session=login.pk)
    for_another_act = passkey.get(passkeys.options_to_sign_in())
    wrong: list[Any] = [
        lambda: reverify_password(login, WRONG, place),
        lambda: verification.verify(alice, "000000", actor),
        lambda: passkeys.verify(alice, for_another_act, actor),
        lambda: reverify_password(login, WRONG, place),
        lambda: reverify_password(login, WRONG, place),
    ]
    for number, proof in enumerate(wrong):
        assert mails_about(NEWS) == [], number
        with pytest.raises(PublicError):
            proof()

    (mail,) = mails_about(NEWS)
    assert mail.to == address_of("alice")
    assert "/accounts/lockdown/" in mail.action_url
    assert "192.0.2.7" in str(mail)


def test_failed_reauthentications_are_mailed_once_a_day_for_each_session(alice, clock):
    def mails_after(times, session):
        for _ in range(times):
            record_failed_reauthentication(alice, Actor(session=session))
        return len(mails_about(NEWS))

    stolen, other = UUID(int=1), UUID(int=2)
    assert mails_after(5, stolen) == 1
    assert mails_after(4, other) == 1
    clock.advance(hours=24, seconds=-1)
    assert mails_after(5, stolen) == 1
    assert mails_after(1, other) == 2
    clock.advance(seconds=1)
    assert mails_after(1, stolen) == 3, "the guesses of the last 24 hours count"
    clock.advance(hours=24)
    assert mails_after(4, stolen) == 3


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0"
HERS = FIREFOX.format(140)
CURL = "curl/8.14.1"
LOGOUT = "/accounts/logout/"


def browser(agent=HERS, **extra):
    return Client(headers={"user-agent": agent}, **extra)


def signed_in_at(client, username="alice"):
    assert sign_in(client, username).status_code == 302
    return client


def test_a_session_in_another_browser_reaches_nothing_before_reauthentication():
    # The API reference, which is public, has a carol in its examples.
    """Withstands a thief with a cookie."""
    alice, carol, owner = make_user("alice"), make_staff("carol-of-staff"), browser()
    assert sign_in_twice(owner, carol).url == "/"
    signed_in(carol)
    owner.post(SESSIONS, {"others": "1"})
    message, other = b"signed out on 1 other device", signed_in(carol)
    thief = copy_of(owner, browser(CURL))
    everything = {"others": "1", "password": WRONG, "is_active": "on", "is_staff": "on"}

    for route in PAGES - OPEN:
        path = address(route).replace("user/1/", f"user/{alice.pk}/")
        for answer in (thief.get(path), thief.post(path, everything)):
            assert answer.status_code == 302, route
            assert answer.url.startswith(REAUTHENTICATE), route
    assert all(thief.get(address(route)).status_code == 401 for route in CALLS - OPEN)
    for route in OPEN - {REAUTHENTICATE[1:], LOGOUT[1:]}:
        for answer in (thief.get(address(route)), thief.post(address(route), everything)):
            assert b"carol-of-staff" not in answer.content, route
            assert message not in answer.content, "the owner's message is not for the thief"
    assert thief.post(REAUTHENTICATE, {"password": WRONG}).status_code == 200

    alice.refresh_from_db()
    carol.refresh_from_db()
    assert not alice.is_staff
    assert carol.has_usable_password()
    assert message in owner.get(SESSIONS).content
    assert [is_signed_in(each) for each in (thief, owner, other)] == [False, True, True]
    assert Activity.objects.filter(kind="browser_changed").count() == 1


AGENTS = {
    "8 KB": "Mozilla/5.0 (" + "a; " * 2700 + ") Chrome/1",
    "control characters": "\x1b[2J\x7f\x01Firefox/1.0\t\x85",
    "emoji": "\U0001f600 Chrome/140".encode().decode("latin-1"),
    "empty": "",
    "family of any length": "y" * 200 + "/1 CFNetwork/1 Darwin/2",
}


@proves("V1.3.3")
@pytest.mark.parametrize("agent", AGENTS.values(), ids=AGENTS)
def test_an_odd_user_agent_causes_no_server_error_and_is_stored_short_and_printable(agent):
    """Withstands a hostile client."""
    make_user("alice")
    client = browser(agent)

    assert sign_in(client, "alice", WRONG).status_code == 200
    signed_in_at(client)

    assert client.get("/accounts/sessions/").status_code == 200
    login = LoginSession.objects.get()
    assert len(login.agent) <= LONGEST_USER_AGENT
    assert login.agent.isprintable()
    for row in (login, *Activity.objects.all()):
        assert max(len(row.browser), len(row.system)) <= LONGEST_NAME
        assert (row.browser + row.system).isprintable()


ACTIVITY = "/accounts/activity/"
CSV = f"{ACTIVITY}activity.csv"


def forged(row):
    row.kind = "signed_in"
    return row


# Every way in which the ORM could overwrite a row.
REWRITES: dict[str, Callable[[Activity], object]] = {
    "save": lambda row: forged(row).save(),
    "save of a twin": lambda row: Activity(pk=row.pk, kind="signed_in").save(),
    "update": lambda row: Activity.objects.filter(pk=row.pk).update(kind="signed_in"),
    "bulk_create": lambda row: Activity.objects.bulk_create(
        [forged(row)], update_conflicts=True, unique_fields=["id"], update_fields=["kind"]
    ),
}


@proves("V16.4.2")
@pytest.mark.parametrize("rewrite", REWRITES.values(), ids=REWRITES)
def test_history_entries_cannot_be_rewritten(rewrite):
    """Withstands a thief in the account."""
    record(make_user("alice"), events.PROOF_FAILED, Actor())
    row = Activity.objects.get()

    with pytest.raises(WrittenOnce), transaction.atomic():
        rewrite(row)

    assert Activity.objects.get(pk=row.pk).kind == "proof_failed"


def test_a_password_typed_as_username_is_not_stored_in_the_history():
    """Withstands a thief with the database."""
    browser = signed_in(make_user("alice"))

    for typed in (WRONG, f"{WRONG}@example.org", "alice"):
        sign_in(Client(headers={"referer": f"/{WRONG}"}), typed, WRONG)
    browser.post("/accounts/reauthenticate/", {"password": WRONG})

    rows = Activity.objects.filter(kind__in=["sign_in_failed", "proof_failed"])
    assert rows.count() == 4
    assert WRONG not in serializers.serialize("json", Activity.objects.all())


def test_a_history_shows_only_the_users_own_entries():
    """Withstands another member."""
    make_user("alice")
    sign_in(Client(REMOTE_ADDR="192.0.2.77"), "alice", WRONG)
    sign_in(Client(REMOTE_ADDR="192.0.2.77"), "nobody", WRONG)
    mallory = signed_in(make_user("mallory"))

    for path in (ACTIVITY, CSV, f"{ACTIVITY}?group=failure&user=alice&page=0"):
        assert b"192.0.2.77" not in mallory.get(path).getvalue()


def test_guesses_beyond_the_limit_are_neither_recorded_nor_mailed():
    """Withstands a flood."""
    alice = make_user("alice")

    for i in range(LOGIN_SUBSCRIBER.burst + 3):
        sign_in(Client(REMOTE_ADDR=f"192.0.2.{i}"), "alice", WRONG)

    assert alice.activity.count() == LOGIN_SUBSCRIBER.burst
    assert outbox() == []


@proves("V1.2.10")
@pytest.mark.parametrize("cell", [f"{mark}1" for mark in "=+-@\t\r\n\uff1d"])
def test_no_cell_of_the_csv_file_is_a_formula(cell):
    """Withstands a hostile client: CWE-1236.

    Spreadsheets would run it (CWE-1236).
    """
    alice = make_user("alice")
    record(alice, events.SESSION_ENDED, Actor(key=cell, reason=cell), detail=cell)

    text = signed_in(alice).get(CSV).getvalue().decode()
    *_, row = csv.reader(io.StringIO(text, newline=""))

    assert [row[2], row[-3], row[-1]] == [f"'{cell}"] * 3


def test_repeated_sign_ins_do_not_flood_the_owner_with_notices():
    make_user("alice")
    for _ in range(MOST_AN_HOUR + 5):
        sign_in(Client(), "alice")

    notices = [mail for mail in outbox() if "new browser" in mail.subject]
    assert len(notices) == MOST_AN_HOUR
    assert Activity.objects.filter(kind="signed_in_new").count() == MOST_AN_HOUR + 5
