"""Sessions."""

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.backends.base import UpdateError
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client, RequestFactory

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.common import clock as site_clock
from accounts.common.client_info import ClientInfo, client_of
from accounts.common.proofs import Method, Proof
from accounts.sessions import known_browsers
from accounts.sessions import services as sessions
from accounts.sessions.current import AuthenticationMiddleware, session_of
from accounts.sessions.models import BrowserSession, KnownBrowser, LoginSession
from accounts.sessions.store import SessionStore
from accounts.sessions.views import sign_out_elsewhere
from accounts.signin.recent import recent_authentication_required
from accounts.users import services as users
from tests.support import steps
from tests.support.disputes import NEW, reset_link
from tests.support.second_factor import (
    CHALLENGE,
    confirm_recovery_codes,
    set_up_authenticator,
    take_second_step,
    unused_code,
)
from tests.support.signin import request_of, set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import LOGOUT, PASSWORD, is_signed_in, make_user, outbox, sign_in

SESSIONS = "/accounts/sessions/"
CURL = "curl/8.14.1"
HOME, CAFE = ClientInfo("192.0.2.1", CURL), ClientInfo("198.51.100.7", CURL)
IPHONE = ClientInfo("192.0.2.1", steps.IPHONE)


def begin(user, agent=CURL, *, is_remembered=False):
    """Create a session of ``user`` in a browser of its own."""
    proof, place = Proof.now(Method.PASSWORD), ClientInfo("192.0.2.1", agent)
    session = sessions.create(user, [proof], place, is_remembered=is_remembered)
    store = SessionStore()
    store.login_session = session
    store.save()
    return session


def live(user):
    """Return the live sessions of ``user``."""
    return list(sessions.live(user))


def test_revoking_the_other_sessions_returns_how_many_were_live(clock):
    alice, bob = make_user("alice"), make_user("bob")
    begin(alice)
    clock.advance(hours=1)
    here, his = begin(alice), begin(bob)
    begin(alice)
    begin(alice, is_remembered=True)

    assert sessions.count_kinds(alice) == {"browser": 3}
    assert sessions.count_kinds(alice, keep=here.pk) == {"browser": 2}

    assert [sign_out_elsewhere(alice, here.pk, Actor()) for _ in range(2)] == [2, 0]

    assert (live(alice), live(bob)) == ([here], [his])
    assert sessions.count_live() == {"browser": 2, "api": 0, "app": 0, "connected": 0}
    assert [row.detail for row in Activity.objects.all()] == ["2"], (
        "nothing is recorded if none was revoked"
    )

    begin(alice)
    assert sessions.revoke_by_operator(alice, Actor(name="@operator")) == 2
    assert (live(alice), live(bob)) == ([], [his])
    row = Activity.objects.latest("id")
    assert (row.user, row.kind, row.actor, row.detail) == (alice, "all_ended", "@operator", "2")
    ended = {session.ended_by for session in alice.login_sessions.all()}
    assert ended == {"others_ended", "all_ended"}


def test_room_is_made_for_a_tenth_of_the_maximum_by_at_most_twenty_ends(alice, clock, settings):
    set_up(settings, max_sessions=10)
    rows = []

    def ended_after(count):
        for _ in range(count):
            clock.advance(seconds=1)
            rows.append(begin(alice))
        sessions.make_room(alice, rows[-1], Actor(HOME, session=rows[-1].pk))
        return [number for number, row in enumerate(rows) if row not in live(alice)]

    assert ended_after(10) == []
    LoginSession.objects.filter(pk=rows[0].pk).update(used_at=clock.now())
    LoginSession.objects.filter(pk=rows[5].pk).update(kind=LoginSession.Kind.API)
    assert ended_after(1) == [1, 5], "first programs, then browsers, by their last use"
    told = alice.activity.values_list("kind", "detail", "session", "ip")
    assert [*told] == [("session_ended_by_limit", "curl", rows[-1].pk, HOME.ip)] * 2
    assert len(ended_after(25)) == 2 + 20


def test_a_session_names_its_device_and_the_latest_proofs(alice, clock):
    proofs = []
    for method, key in (("pwd", ""), ("passkey", "key"), ("otp", "app"), ("mail", "a@example.org")):
        clock.advance(minutes=1)
        proofs.append(Proof.now(Method(method), key))
    _password, passkey, app, mail = (proof.at for proof in proofs)

    sessions.create(alice, proofs, IPHONE, is_remembered=False, stepped_up_at=passkey)

    assert sessions.inherited(LoginSession.objects.get()) == {
        **{"user": alice, "agent": IPHONE.user_agent, "ip": IPHONE.ip},
        **{"browser": "Safari", "system": "iPhone", "amr": ["pwd", "passkey", "otp", "mail"]},
        **{"auth_time": mail, "factor_at": app, "passkey_at": passkey, "factor_key": "app"},
        "stepped_up_at": passkey,
    }


def test_prune_deletes_old_sessions_and_keeps_live_ones(clock):
    alice = make_user("alice")
    ended, rested = begin(alice), begin(alice)
    lasting = begin(alice, is_remembered=True)
    sessions.revoke(ended)
    stranger = SessionStore()
    stranger.save()

    def kept_after(**interval):
        clock.advance(**interval)
        call_command("prune", verbosity=0)
        return set(LoginSession.objects.all()), BrowserSession.objects.count()

    # Access tokens of an ended session stay valid for some time, so its row is kept for a day.
    assert kept_after(days=1, seconds=-1) == ({ended, rested, lasting}, 3)
    assert kept_after(seconds=1) == ({rested, lasting}, 2)
    assert kept_after(hours=1) == ({lasting}, 1)
    assert live(alice) == [lasting]
    assert kept_after(days=30) == (set(), 0)


@proves("V7.5.3", "63B-5.2")
def test_a_sensitive_page_opens_for_5_minutes_after_a_proof_and_takes_forms_for_10(clock):
    session = begin(make_user("alice"))

    def asks(method):
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


def test_a_late_use_does_not_revive_a_revoked_session(clock):
    session = begin(make_user("alice"))
    seen = LoginSession.objects.get()
    clock.advance(minutes=30)
    sessions.note_use(LoginSession.objects.get(), CAFE)
    assert LoginSession.objects.get().ip == CAFE.ip
    clock.advance(minutes=30)

    sessions.revoke(session)
    sessions.note_use(seen, HOME)
    sessions.record_reauthentication(seen, Proof.now(Method.PASSWORD), HOME)

    assert LoginSession.objects.get().ended_at == site_clock.now()
    assert LoginSession.objects.get().used_at == site_clock.now() - timedelta(minutes=30)


def test_a_use_is_noted_four_times_in_a_short_idle_timeout(alice, clock, settings):
    set_up(settings, session_idle_minutes=2)
    his, stale = begin(make_user("bob")), begin(alice)

    def noted(client, *, by=None, **interval):
        clock.advance(**interval)
        sessions.note_use(by or live(alice)[0], client)
        row = LoginSession.objects.get(user=alice)
        return clock.now() - row.used_at, row.idle_at - clock.now(), row.ip, row.agent

    times, newer = (timedelta(), timedelta(minutes=2)), ClientInfo(CAFE.ip, "curl/9")
    assert noted(newer, seconds=29)[2:] == (HOME.ip, CURL)
    assert noted(newer, seconds=1) == (*times, CAFE.ip, "curl/9")
    assert noted(HOME, by=stale) == (*times, CAFE.ip, "curl/9"), "another process has noted it"
    assert noted(IPHONE, seconds=30) == (*times, IPHONE.ip, "curl/9"), "as it has signed in"
    assert live(his.user)[0].used_at == his.used_at


def test_an_asynchronous_view_gets_the_user_and_can_end_the_session(browser, alice):
    his = begin(make_user("bob"))
    request, key = request_of(browser), browser.cookies["sessionid"].value
    request.session = session = SessionStore(key)
    AuthenticationMiddleware(HttpResponse).process_request(request)
    assert async_to_sync(request.auser)() == alice
    assert async_to_sync(session.aexists)(key)
    async_to_sync(session.aflush)()
    assert not session.exists(key)
    assert not live(alice)
    assert BrowserSession.objects.get().login_session == his
    anonymous = request_of(Client())
    anonymous.session = SessionStore()
    with pytest.raises(LookupError):
        session_of(anonymous)


def test_two_requests_at_once_from_another_browser_cause_one_event(alice):
    begin(alice)
    read_before = [LoginSession.objects.get(), LoginSession.objects.get()]

    for session in read_before:
        sessions.require_reauthentication(session, Actor(CAFE, session=session.pk))

    (event,) = Activity.objects.filter(kind=events.BROWSER_CHANGED.name)
    assert (event.user, event.session, event.ip) == (alice, session.pk, CAFE.ip)


def test_session_data_cannot_be_saved_to_a_revoked_session(client):
    signed_in(make_user("alice"), client)
    session = SessionStore(client.cookies["sessionid"].value)
    session["a"] = 1

    sessions.revoke(LoginSession.objects.get())

    with pytest.raises(UpdateError):
        session.save()
    assert not is_signed_in(client)


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{}.0"


def browser(*, version=142, cookie=""):
    client = Client(headers={"user-agent": FIREFOX.format(version, version)})
    if cookie:
        client.cookies["known"] = cookie
    return client


def meets(client, user, **options):
    """Sign ``user`` in and return whether the browser was known before."""
    request, response = request_of(client), HttpResponse()
    is_known = known_browsers.note_sign_in(request, user, **options)
    known_browsers.set_cookie(request, response)
    client.cookies.update(response.cookies)
    return is_known


def since(client, user):
    row = known_browsers.recognize(request_of(client), user)
    return row.since if row else None


def void_proofs_and_links(user):
    users.void_proofs_and_links(user)
    user.refresh_from_db()


def test_a_browser_is_known_since_its_first_sign_in_despite_later_changes(alice, clock):
    here, begun = browser(), clock.now()
    assert (meets(here, alice), since(here, alice)) == (False, begun)
    clock.advance(days=8)
    assert meets(here, alice)

    void_proofs_and_links(alice)

    assert since(here, alice) == begun, "even before the next sign-in"
    assert [meets(here, alice) for _ in range(2)] == [False, True]
    newer = browser(version=143, cookie=here.cookies["known"].value)
    assert since(newer, alice) == begun
    assert since(browser(), alice) is None
    assert since(here, make_user("bob")) is None
    safari = Client(headers={"user-agent": "Safari/605"})
    safari.cookies["known"] = here.cookies["known"].value
    assert since(safari, alice) is None, "another kind of browser with a copy of the cookie"


def test_of_two_copies_of_a_cookie_that_are_renewed_at_once_one_stays_known(alice, monkeypatch):
    """Withstands a thief with a cookie."""
    owner, unknown = browser(), request_of(browser())
    meets(owner, alice)
    thief = request_of(browser(cookie=owner.cookies["known"].value))
    row = known_browsers.recognize(thief, alice)

    mine = request_of(owner)
    known_browsers.renew(mine, alice)
    known_browsers.renew(unknown, alice)
    monkeypatch.setattr(known_browsers, "_find_by_cookie", lambda *_asked: row)
    known_browsers.renew(thief, alice)
    monkeypatch.undo()

    asked = (mine, thief, unknown)
    assert [known_browsers.recognize(one, alice) == row for one in asked] == [True, False, False]


def test_a_week_of_ordinary_use_in_two_browsers_is_mailed_twice(alice, clock):
    laptop, phone = Client(), browser()

    def signs_in(client, password=PASSWORD):
        client.post(LOGOUT)
        clock.advance(minutes=5)
        if sign_in(client, "alice", password).url == CHALLENGE:
            take_second_step(client, alice)
        assert is_signed_in(client)

    def comes_back(password=PASSWORD):
        clock.advance(days=1)
        for client in (laptop, phone, laptop):
            signs_in(client, password)

    comes_back()
    set_up_authenticator(laptop)
    confirm_recovery_codes(laptop)
    comes_back()
    laptop.post(SESSIONS, {"others": "1"})
    comes_back()
    laptop.post("/accounts/password/change/", {"password1": NEW})
    comes_back(NEW)
    link = reset_link()
    laptop.post(link, {"code": unused_code(alice)})
    laptop.post(link, {"password1": PASSWORD})
    comes_back()

    mailed = [mail for mail in outbox() if "new browser" in mail.subject]
    assert len(mailed) == 2


def test_a_browser_is_forgotten_90_days_after_the_last_sign_in(alice, clock):
    here, begun = browser(), clock.now()
    meets(here, alice)
    clock.advance(days=80)
    meets(here, alice)

    clock.advance(days=90, seconds=-1)
    assert since(here, alice) == begun
    clock.advance(seconds=1)

    assert since(here, alice) is None
    assert not meets(here, alice)
    assert since(here, alice) == clock.now(), "an expired row that was not pruned is replaced"
    clock.advance(days=90)
    call_command("prune", verbosity=0)
    assert not KnownBrowser.objects.exists()


def test_a_browser_keeps_when_a_factor_was_first_shown_and_the_last_sign_in_to_an_hour(
    alice, clock
):
    here, there, begun = browser(), browser(), clock.now()
    for client, user in ((here, alice), (there, alice), (here, make_user("bob"))):
        meets(client, user)

    def after(client=here, *, column="factor_at", has_factor=False, **interval):
        clock.advance(**interval)
        known_browsers.note_factor(client_of(request_of(here)), alice)
        meets(client, alice, has_factor=has_factor)
        return [getattr(row, column) for row in KnownBrowser.objects.order_by("pk")]

    assert after() == [begun, None, None]
    assert after(has_factor=True, minutes=1) == [begun, None, None]
    assert after(there, has_factor=True) == [begun, clock.now(), None]
    assert after(column="used_at", minutes=59)[::2] == [begun, begun]
    assert after(column="used_at", seconds=1)[::2] == [clock.now(), begun]


def test_a_program_is_known_by_its_network_and_name_until_credentials_change(alice):
    bob = make_user("bob")

    def is_new(client, user=alice):
        is_known = known_browsers.is_known_client(client, user)
        event = known_browsers.note_client(client, user)
        assert event == (events.CLIENT_SIGNED_IN if is_known else events.CLIENT_SIGNED_IN_NEW)
        return not is_known

    assert [is_new(each) for each in (HOME, HOME, CAFE, IPHONE)] == [True, False, True, True]
    assert not known_browsers.is_known_client(HOME, None)
    assert [is_new(HOME, bob), is_new(HOME, bob), is_new(HOME)] == [True, False, False]
    void_proofs_and_links(alice)
    assert [is_new(HOME), is_new(HOME)] == [True, False]


def test_browsers_stay_known_through_a_secret_key_rotation(alice, settings):
    here = browser()
    meets(here, alice)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [settings.SECRET_KEY]
    assert meets(here, alice)

    settings.SECRET_KEY_FALLBACKS = []

    assert meets(here, alice)


BUTTON = "Sign it out"


def page_of(row):
    return f"/accounts/activity/{row.pk}/"


def test_the_session_of_an_event_is_ended_from_its_page(client, alice):
    thief = signed_in(alice)
    session = LoginSession.objects.get()
    row = record(alice, events.ADDRESS_ADDED, Actor(IPHONE, session.pk), detail="x@example.net")
    signed_in(alice, client)

    text = client.get(page_of(row)).text
    for shown in ("x@example.net", "Safari on iPhone", BUTTON, 'href="/accounts/lockdown/"'):
        assert shown in text
    assert is_signed_in(thief), "looking ends nothing"

    assert BUTTON not in client.post(page_of(row), follow=True).text

    assert not is_signed_in(thief)
    assert Activity.objects.latest("id").kind == "session_ended"
    assert is_signed_in(client)
    assert client.post(page_of(row)).status_code == 404, "it is ended once"


def test_an_event_of_this_session_offers_no_sign_out(client, alice):
    signed_in(alice, client)
    row = record(alice, events.PASSWORD_SET, Actor(IPHONE, LoginSession.objects.get().pk))

    text = client.get(page_of(row)).text

    assert BUTTON not in text
    assert client.post(page_of(row)).status_code == 404
    assert is_signed_in(client)


def test_an_act_of_staff_was_not_asked_for_and_their_session_is_theirs(client, alice):
    carol = signed_in(make_user("carol"))
    row = record(
        alice, events.SWITCHED_ON, Actor(IPHONE, LoginSession.objects.get().pk, name="carol")
    )

    text = signed_in(alice, client).get(page_of(row)).text

    assert 'href="mailto:authsite@localhost"' in text
    for secret in ("carol", "192.0.2.1", "iPhone", BUTTON):
        assert secret not in text
    assert client.post(page_of(row)).status_code == 404
    assert is_signed_in(carol)


@proves("V8.2.2")
def test_nobody_sees_or_ends_what_is_anothers(client, alice):
    """Withstands another member: an event of another history is opened."""
    hers = signed_in(alice)
    row = record(alice, events.PASSWORD_SET, Actor(IPHONE, LoginSession.objects.get().pk))
    signed_in(make_user("mallory"), client)

    assert client.get(page_of(row)).status_code == 404
    assert client.post(page_of(row)).status_code == 404
    assert client.get("/accounts/activity/99999999999999999999/").status_code == 404
    assert is_signed_in(hers)
