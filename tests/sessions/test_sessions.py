"""The service of sessions: which are live, which are revoked and which are pruned."""

from datetime import timedelta

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.core.management import call_command
from django.test import Client, RequestFactory

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.common import clock as site_clock
from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Method, Proof
from accounts.sessions import services as sessions
from accounts.sessions.models import BrowserSession, LoginSession
from accounts.sessions.store import SessionStore
from accounts.sessions.views import sign_out_elsewhere
from accounts.signin.recent import recent_authentication_required
from accounts.users.models import User
from tests.support.clock import Clock
from tests.support.signin import signed_in
from tests.support.steps import LOGOUT, is_signed_in, make_user

pytestmark = pytest.mark.django_db

SESSIONS = "/accounts/sessions/"
CURL = "curl/8.14.1"
HOME = ClientInfo("192.0.2.1", CURL)


def begin(user: User, agent: str = CURL, *, is_remembered: bool = False) -> LoginSession:
    """Create a session of ``user`` in a browser of its own."""
    proof, place = Proof.now(Method.PASSWORD), ClientInfo("192.0.2.1", agent)
    session = sessions.create(user, [proof], place, is_remembered=is_remembered)
    store = SessionStore()
    store.login_session = session
    store.save()
    return session


def live(user: User) -> list[LoginSession]:
    """Return the live sessions of ``user``."""
    return list(sessions.live(user))


def test_revoking_by_id_returns_whether_a_live_session_of_that_user_was_revoked(
    clock: Clock,
) -> None:
    alice, bob = make_user("alice"), make_user("bob")
    ended, rested, kept = begin(alice), begin(alice), begin(alice, is_remembered=True)
    his = begin(bob)

    assert sessions.revoke_by_id(alice, ended.pk, Actor())
    assert not sessions.revoke_by_id(alice, ended.pk, Actor()), "the session was revoked before"
    clock.advance(hours=1)
    assert not sessions.revoke_by_id(alice, rested.pk, Actor()), "the session has expired"
    assert not sessions.revoke_by_id(alice, his.pk, Actor())

    assert live(alice) == [kept]
    assert [row.kind for row in Activity.objects.all()] == ["session_ended"]
    assert not BrowserSession.objects.filter(login_session=ended).exists()


def test_revoking_the_other_sessions_returns_how_many_were_live(clock: Clock) -> None:
    alice, bob = make_user("alice"), make_user("bob")
    begin(alice)
    clock.advance(hours=1)
    here, his = begin(alice), begin(bob)
    begin(alice)
    begin(alice, is_remembered=True)

    assert [sign_out_elsewhere(alice, here.pk, Actor()) for _ in range(2)] == [2, 0]

    assert (live(alice), live(bob)) == ([here], [his])
    assert [row.detail for row in Activity.objects.all()] == ["2"], (
        "nothing is recorded if none was revoked"
    )


def test_prune_deletes_old_sessions_and_keeps_live_ones(clock: Clock) -> None:
    alice = make_user("alice")
    ended, rested = begin(alice), begin(alice)
    lasting = begin(alice, is_remembered=True)
    sessions.revoke(ended)
    stranger = SessionStore()
    stranger.save()

    def kept_after(**interval: float) -> tuple[set[LoginSession], int]:
        clock.advance(**interval)
        call_command("prune", verbosity=0)
        return set(LoginSession.objects.all()), BrowserSession.objects.count()

    # Access tokens of an ended session stay valid for some time, so its row is kept for a day.
    assert kept_after(days=1, seconds=-1) == ({ended, rested, lasting}, 3)
    assert kept_after(seconds=1) == ({rested, lasting}, 2)
    assert kept_after(hours=1) == ({lasting}, 1)
    assert live(alice) == [lasting]
    assert kept_after(days=30) == (set(), 0)


def test_revoking_the_current_session_leads_to_the_sign_out_page() -> None:
    here = signed_in(make_user("alice"))
    session = LoginSession.objects.get()

    assert here.post(SESSIONS, {"end": str(session.pk)}).url == LOGOUT
    assert is_signed_in(here)


def test_a_sensitive_page_opens_for_5_minutes_after_a_proof_and_takes_forms_for_10(
    clock: Clock,
) -> None:
    session = begin(make_user("alice"))

    def asks(method: str) -> bool:
        request = RequestFactory(headers={"user-agent": HOME.user_agent}).generic(
            method, "/act?a=1"
        )
        request.session = SessionStore()
        request.session.login_session = session
        answer = recent_authentication_required(lambda _request: "done")(request)
        assert answer == "done" or answer.url == "/accounts/reauthenticate/?next=/act%3Fa%3D1"
        return answer != "done"

    clock.advance(minutes=5)
    assert [asks("GET"), asks("POST")] == [False, False]
    clock.advance(seconds=1)
    assert [asks("GET"), asks("POST")] == [True, False], "a form that was opened in time"
    clock.advance(minutes=5)
    assert [asks("GET"), asks("POST")] == [True, True]
    sessions.record_reauthentication(session, Proof.now(Method.PASSWORD), HOME)
    assert [asks("GET"), asks("POST")] == [False, False]


def test_a_late_use_does_not_revive_a_revoked_session(clock: Clock) -> None:
    session = begin(make_user("alice"))
    seen = LoginSession.objects.get()
    clock.advance(minutes=30)

    sessions.revoke(session)
    sessions.note_use(seen, HOME)
    sessions.record_reauthentication(seen, Proof.now(Method.PASSWORD), HOME)

    assert LoginSession.objects.get().ended_at == site_clock.now()
    assert LoginSession.objects.get().used_at == site_clock.now() - timedelta(minutes=30)


def test_session_data_cannot_be_saved_to_a_revoked_session(client: Client) -> None:
    signed_in(make_user("alice"), client)
    session = SessionStore(client.cookies["sessionid"].value)
    session["a"] = 1

    sessions.revoke(LoginSession.objects.get())

    with pytest.raises(UpdateError):
        session.save()
    assert not is_signed_in(client)
