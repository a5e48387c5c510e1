"""Sign-out from apps."""

import re
from datetime import timedelta
from typing import Any
from unittest import mock
from urllib.parse import urlencode

import jwt
import pytest
from django.db import connection, transaction
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from accounts.activity.services import Actor
from accounts.common import http_client, metrics
from accounts.common.leases import Deliveries
from accounts.common.signals import credentials_changed
from accounts.oauth import app_sessions, connections, id_tokens, logout
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AppSession, LogoutNotice
from accounts.recovery.locks import lock_down
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.sessions.views import sign_out_elsewhere
from accounts.tokens import keyring, signatures
from accounts.users.models import User
from tests.support.api import claims_of
from tests.support.apps import connect_app, make_app
from tests.support.authorize import target
from tests.support.logout import ended, send_all, told_at
from tests.support.oauth_client import FORM, browser_of, new_app, set_client
from tests.support.process import within
from tests.support.receiver import hang, say
from tests.support.signin import signed_in
from tests.support.steps import make_user

LOGOUT, BYE = "/oauth/logout", "https://paperless.example.org/bye"


@pytest.fixture
def app(db):
    return new_app(logout_uris=[BYE])


def session_of(user):
    return LoginSession.objects.filter(user=user, kind=LoginSession.Kind.BROWSER).latest("begun_at")


def hint(app, user):
    """Sign in to the app from the browser session of ``user``; return the ID token."""
    return str(app.sign_in(session_of(user), "openid")["id_token"])


def is_signed_in(browser):
    return browser.get("/").status_code == 200


def asked(browser, **parameters):
    """Send the request of an app; return the answer at the URL without its parameters."""
    first = browser.get(LOGOUT, parameters)
    assert (first.status_code, first.content) == (303, b"")
    assert re.fullmatch(rf"{LOGOUT}\?continue=[\w-]{{43}}", first["Location"])
    return browser.get(first["Location"])


def press(browser, page):
    """Press the button of the page that asks whether to sign out."""
    here = page.wsgi_request.get_full_path()
    return browser.post(here, {"csrfmiddlewaretoken": "any"})


def asks(page):
    return page.status_code == 200 and "Stay signed in" in page.text


def test_an_app_signs_out_the_browser_from_which_the_person_signed_in_to_it(
    app, alice, browser, clock
):
    old = hint(app, alice)
    clock.advance(minutes=30)

    answer = asked(browser, id_token_hint=old, post_logout_redirect_uri=BYE, state="s&1")

    assert (answer.status_code, answer["Location"]) == (303, f"{BYE}?state=s%261")
    assert not is_signed_in(browser)
    assert "logout" not in {name for name, cookie in browser.cookies.items() if cookie.value}


def test_the_form_of_an_app_may_send_the_request(app, alice, browser):
    strict = Browser(enforce_csrf_checks=True)
    strict.cookies = browser.cookies
    body = urlencode({"id_token_hint": hint(app, alice), "client_id": app.client.pk})

    first = strict.post(LOGOUT, body, content_type=FORM)

    assert first.status_code == 303
    assert "You’re signed out" in strict.get(first["Location"]).text
    assert not is_signed_in(strict)


def test_without_a_hint_the_person_is_asked_and_led_nowhere(app, browser):
    page = asked(browser, client_id=app.client.pk, post_logout_redirect_uri=BYE)

    assert asks(page)
    assert app.client.name not in page.text
    assert is_signed_in(browser)
    done = press(browser, page)
    assert target(done) == ""
    assert "You’re signed out" in done.text
    assert not is_signed_in(browser)


def test_another_browser_of_the_person_is_asked_before_it_is_signed_out(app, alice, browser):
    """Withstands a malicious app."""
    elsewhere = hint(app, alice)
    here = signed_in(alice)

    page = asked(here, id_token_hint=elsewhere, post_logout_redirect_uri=BYE)

    assert asks(page)
    assert "<bdi>Paperless</bdi> asks" in page.text
    done = press(here, page)
    assert (done.status_code, target(done)) == (200, BYE)
    assert (is_signed_in(here), is_signed_in(browser)) == (False, True)


def test_a_browser_that_is_signed_out_already_is_led_back_to_the_app(app, alice, browser):
    answer = asked(Browser(), id_token_hint=hint(app, alice), post_logout_redirect_uri=BYE)

    assert answer["Location"] == BYE
    assert "You’re signed out" in Browser().get(LOGOUT).text


def test_an_app_that_nobody_has_verified_gets_a_link_and_no_redirect(app, alice, browser):
    set_client(app, is_verified=False)
    sent = {"id_token_hint": hint(app, alice), "post_logout_redirect_uri": BYE, "state": "s&1"}
    here = signed_in(alice)

    pages = [asked(Browser(), **sent), asked(browser, **sent)]
    page = asked(here, **sent)
    assert asks(page)
    pages.append(press(here, page))

    for page in pages:
        assert (page.status_code, target(page)) == (200, "")
        assert f'href="{BYE}?state=s%261" rel="noreferrer">Continue to paperless' in page.text
    assert not is_signed_in(browser)


def of_a_disabled_app(app, alice):
    sent = {"id_token_hint": hint(app, alice)}
    clients.set_enabled(app.client, Actor(), enabled=False)
    return sent


def of_another_origin(app, alice):
    claims = claims_of(hint(app, alice)) | {"iss": "https://mallory.example"}
    key = keyring.signer(id_tokens.algorithm())
    return {"id_token_hint": signatures.sign(claims, id_tokens.TYPE, key)}


FOREIGN = {
    # The other app has registered the same URI.
    "of another app": lambda app, alice: {
        "id_token_hint": hint(new_app("Wiki", logout_uris=[BYE]), alice),
        "client_id": app.client.pk,
    },
    "of a disabled app": of_a_disabled_app,
    "of another origin": of_another_origin,
    "forged": lambda app, alice: {"id_token_hint": f"{hint(app, alice)[:-8]}AAAAAAAA"},
    "an access token": lambda app, alice: {
        "id_token_hint": app.sign_in(session_of(alice), "openid")["access_token"]
    },
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_hint_counts_as_none(app, alice, browser, foreign):
    """Withstands a hostile website: an ID token that a page has found signs people out."""
    page = asked(browser, **foreign(app, alice), post_logout_redirect_uri=BYE)

    assert asks(page)
    assert is_signed_in(browser)
    assert target(press(browser, page)) == ""


def test_nobody_is_led_to_a_uri_that_is_not_registered_exactly(app, alice):
    """Withstands a hostile website."""
    for uri in (f"{BYE}/", f"{BYE}?x=1", BYE.upper(), "https://mallory.example", "javascript:x"):
        browser = signed_in(alice)
        page = asked(browser, id_token_hint=hint(app, alice), post_logout_redirect_uri=uri)
        assert "<bdi>Paperless</bdi> asks" in page.text
        assert is_signed_in(browser)
        assert target(press(browser, page)) == ""
        assert not is_signed_in(browser)
    browser = signed_in(alice)
    sent = {"id_token_hint": hint(app, alice), "post_logout_redirect_uri": BYE}
    first = browser.get(LOGOUT, sent)
    set_client(app, logout_uris=[])
    assert "You’re signed out" in browser.get(first["Location"]).text


def test_a_link_without_parameters_does_not_carry_out_an_older_request(app, alice, browser):
    """Withstands a malicious app."""
    first = browser.get(
        LOGOUT, {"id_token_hint": hint(app, alice), "post_logout_redirect_uri": BYE}
    )

    for url in (LOGOUT, f"{LOGOUT}?continue=", f"{LOGOUT}?continue={'x' * 43}"):
        page = browser.get(url)
        assert asks(page)
        assert app.client.name not in page.text
    assert is_signed_in(browser)
    assert browser.get(first["Location"])["Location"] == BYE


def test_a_page_of_another_site_cannot_press_the_button(alice):
    browser = Browser(enforce_csrf_checks=True)
    signed_in(alice, browser)

    assert browser.post(LOGOUT, {"csrfmiddlewaretoken": "x" * 32}).status_code == 403
    assert browser.post(LOGOUT).status_code == 403
    browser.post(LOGOUT, {"state": "x"})

    assert is_signed_in(browser)


def test_the_hint_is_in_no_page_cookie_or_log(app, alice, browser, capfd, caplog):
    """Withstands a thief with the database: an ID token as a hint."""
    secret = hint(app, alice)
    here = signed_in(alice)

    first = here.get(LOGOUT, {"id_token_hint": secret, "state": "x" * 2000})
    page = here.get(first["Location"])
    twice = here.get(f"{LOGOUT}?id_token_hint={secret}&id_token_hint={secret}")

    payload = secret.split(".")[1]
    written = "".join(capfd.readouterr()) + caplog.text + str(first.cookies) + page.text
    assert twice.status_code == 400
    assert payload not in written + twice.text
    assert re.search("no-store", first["Cache-Control"])


def test_a_malformed_cookie_causes_no_server_error(browser):
    for value in ("a.b.c", "..", "x" * 9000):
        browser.cookies["logout"] = value
        assert asks(browser.get(LOGOUT))


URI = "https://paperless.example.org/logout"
EVENT = "http://schemas.openid.net/event/backchannel-logout"


def waiting():
    return {row.session_id for row in LogoutNotice.objects.all()}


def _all_end(event):
    """Return the consequence of an event of the account, such as a new password."""
    return lambda user, _browser, _app: credentials_changed.send(
        User, user=user, event=event, actor=Actor(), keep=None
    )


def end_by_limit(user, browser, app):
    for _ in range(app_sessions.MOST):
        newest = connect_app(browser, app)
    app_sessions.make_room(newest.app_session, app, Actor())


ENDINGS = {
    "sign-out": lambda _user, browser, _app: sessions.revoke(browser),
    "in another browser": lambda user, _browser, _app: sign_out_elsewhere(
        user, browser_of(user).pk, Actor()
    ),
    "a new password": _all_end("password_changed"),
    "a lock": lambda user, _browser, _app: lock_down(user, Actor()),
    "a deactivation": _all_end("switched_off"),
    "by an operator": lambda user, _browser, _app: sessions.revoke_by_operator(user, Actor()),
    "a disconnection": lambda user, _browser, app: connections.disconnect(user, app.pk, Actor()),
    "all disconnected": lambda user, _browser, _app: connections.disconnect_all(user, Actor()),
    "disabled": lambda _user, _browser, app: clients.set_enabled(app, Actor(), enabled=False),
    "the limit": end_by_limit,
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_whatever_ends_a_session_writes_one_notice_for_its_app(alice, end):
    """Withstands a thief in the account: an app keeps a person signed in."""
    app, browser, bobs = told_at(URI), browser_of(alice), browser_of(make_user("bob"))
    session = connect_app(browser, app)
    quiet, other = make_app("Wiki"), told_at(URI, "Other")
    connect_app(browser, quiet)
    connect_app(bobs, other)

    end(alice, browser, app)

    assert waiting() == {session.pk}


def test_an_app_that_stays_connected_is_told_of_the_sign_out_once(alice, clock):
    """Withstands a malicious app."""
    browser, app = browser_of(alice), told_at(URI)
    session = connect_app(browser, app, is_offline=True)
    sessions.revoke(browser)
    assert waiting() == {session.pk}
    notice = LogoutNotice.objects.get()
    assert (notice.attempts, notice.due_at) == (0, clock.now() + logout.REST)
    session.refresh_from_db()
    assert session.is_live
    later = id_tokens.issue(session, app, ["openid"])
    assert "sid" not in claims_of(later)
    assert asks(asked(signed_in(alice), id_token_hint=later))
    LogoutNotice.objects.all().delete()

    connections.disconnect(alice, app.pk, Actor())

    session.refresh_from_db()
    assert not session.is_live
    assert not waiting()


def test_sending_notices_is_needed_while_an_app_is_told_or_a_notice_waits(alice):
    make_app()
    assert not logout.is_needed()
    app = told_at(URI)
    assert logout.is_needed()

    ended(alice, app)
    Client.objects.update(backchannel_logout_uri="")

    assert logout.is_needed()
    LogoutNotice.objects.all().delete()
    assert not logout.is_needed()


def test_a_rolled_back_sign_out_writes_no_notice(alice):
    with transaction.atomic():
        ended(alice, told_at(URI))
        assert waiting()
        transaction.set_rollback(True)

    assert not waiting()


def test_a_sign_out_takes_as_many_statements_for_twenty_apps_as_for_one(alice):
    counts = []
    for many in (1, 20):
        browser = browser_of(alice)
        for number in range(many):
            connect_app(browser, told_at(URI, f"App {many} {number}"))
        with CaptureQueriesContext(connection) as queries:
            sessions.revoke(browser)
        counts.append(len(queries))

    assert len(waiting()) == 21
    assert counts[0] == counts[1]


def test_the_app_gets_a_logout_token_of_its_session(alice, receiver, clock):
    app = told_at(receiver.url())
    session = ended(alice, app)

    send_all()

    (token,) = receiver.tokens()
    keys = jwt.PyJWKSet.from_dict(Browser().get("/.well-known/jwks.json").json())
    head = jwt.get_unverified_header(token)
    options: Any = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, keys[head["kid"]].key, ["RS256"], audience=app.pk, options=options)
    assert (head["typ"], head["alg"]) == ("logout+jwt", "RS256")
    now = int(clock.now().timestamp())
    assert claims.pop("jti")
    assert (claims["iss"], claims["exp"] - now) == ("http://localhost:8000", 120)
    assert (claims["sub"], claims["sid"]) == (str(alice.pk), str(session.pk))
    assert claims["events"] == {EVENT: {}}
    assert not waiting()


def test_a_refused_notice_is_repeated_after_growing_pauses_and_given_up_after_a_day(
    alice, receiver, clock, caplog
):
    """Withstands a failure."""
    receiver.answers["/logout"] = say(503)
    ended(alice, told_at(receiver.url()))
    pauses: list[float] = []
    for _attempt in range(12):
        send_all()
        pauses.append((LogoutNotice.objects.get().due_at - clock.now()).total_seconds())
        clock.advance(seconds=pauses[-1])

    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    tokens = receiver.tokens()
    assert len({claims_of(token)["jti"] for token in tokens}) == 12
    assert "status 503" in caplog.text
    clock.advance(seconds=24 * 3600 - sum(pauses) - 1)
    assert not logout.give_up()
    clock.advance(seconds=1)
    assert logout.give_up() == 1
    assert "was not told that sessions ended: 1" in caplog.text
    assert not any(part in caplog.text for token in tokens for part in token.split(".")[1:])


def test_ten_apps_that_hang_do_not_delay_ten_others(alice, receiver, monkeypatch):
    # On a slow machine, too, the apps still hang when the others have been told.
    """Withstands a failure."""
    monkeypatch.setattr(logout, "SECONDS", 9.0)
    monkeypatch.setattr(http_client, "PATIENCE", 9.0)
    browser = browser_of(alice)
    for number in range(10):
        for kind in ("hang", "work"):
            path = f"/{kind}{number}"
            connect_app(browser, told_at(receiver.url(path), path))
            if kind == "hang":
                receiver.answers[path] = hang
    sessions.revoke(browser)
    sender = logout.sender()

    assert within(30, lambda: sender.send_due() and LogoutNotice.objects.count() == 10)
    assert (len(sender._under_way), sender.outcomes) == (10, {"sent": 10, "failed": 0})
    receiver.release()
    send_all(sender)

    assert LogoutNotice.objects.filter(attempts=1).count() == 10


def test_an_app_that_fails_keeps_the_other_notices_of_its_batch(alice, receiver):
    app, browser = told_at(receiver.url()), browser_of(alice)
    for _ in range(3):
        connect_app(browser, app)
    receiver.answers["/logout"] = say(400)
    sessions.revoke(browser)

    send_all()

    assert sorted(LogoutNotice.objects.values_list("attempts", flat=True)) == [0, 0, 1]
    assert len(receiver.tokens()) == 1


def test_a_notice_that_a_dead_sender_has_leased_is_sent_when_the_lease_ends(alice, receiver, clock):
    ended(alice, told_at(receiver.url()))
    assert logout.sender()._claim(set(), 5)

    send_all()
    assert not receiver.tokens()
    clock.advance(minutes=1)
    send_all()
    assert len(receiver.tokens()) == 1


def test_a_notice_is_sent_after_a_rest_in_which_the_sign_out_is_answered(
    alice, receiver, clock, monkeypatch
):
    monkeypatch.setattr(logout, "REST", timedelta(seconds=0.5))
    ended(alice, told_at(receiver.url()))

    send_all()
    assert not receiver.tokens()
    clock.advance(seconds=0.5)
    send_all()
    assert receiver.tokens()


def test_a_site_that_cannot_sign_or_send_repeats_its_notices_later_and_stops_no_other_queue(
    alice, receiver, clock, monkeypatch
):
    ended(alice, told_at(receiver.url()))
    wait = logout.NOTICES.first_wait
    troubles = [(keyring, "signer", keyring.CannotSign(1)), (logout, "_send", LookupError())]
    for module, name, error in troubles:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, mock.Mock(side_effect=error))
            send_all()
        assert LogoutNotice.objects.get().due_at == clock.now() + wait
        assert receiver.tokens() == []
        clock.advance(seconds=wait.total_seconds())
        wait *= 2
    send_all()

    assert len(receiver.tokens()) == 1


def test_an_app_that_fails_again_and_again_takes_ever_fewer_turns():
    sender, rests = logout.sender(), []
    for _ in range(8):
        sender._note("app", has_failed=True)
        rests.append(sender._resting["app"][1])

    assert rests == [5, 10, 20, 40, 80, 160, 300, 300]
    sender._note("app", has_failed=False)
    assert not sender._resting


def test_five_hundred_ended_sessions_of_an_app_are_sent_in_short_batches(alice, receiver):
    """Withstands a flood.

    Disabling an app ends all its sessions at once, on this site and in the app.
    """
    app, browser = told_at(receiver.url()), browser_of(alice)
    some = [app_sessions.new(browser, app.pk, "openid", "", is_offline=True) for _ in range(500)]
    LoginSession.objects.bulk_create([new.session for new in some])
    AppSession.objects.bulk_create(some)
    with CaptureQueriesContext(connection) as queries:
        clients.set_enabled(app, Actor(), enabled=False)
    assert len(queries) < 40
    sender = logout.sender()

    for batches in (1, 2):
        assert sender.send_due()
        assert [len(notices) for notices in sender._under_way.values()] == [20]
        assert within(10, lambda: all(future.done() for future in sender._under_way))
        assert len(receiver.tokens()) == 20 * batches

    sender.finish()
    assert (sender.outcomes["sent"], logout.NOTICES.waiting()[0]) == (40, 460)


def test_a_notice_is_sent_after_the_user_is_deleted_and_pruned_after_a_day(alice, receiver, clock):
    ended(alice, told_at(receiver.url()))
    alice.delete()
    send_all()
    assert len(receiver.tokens()) == 1

    ended(make_user("bob"), Client.objects.get())
    clock.advance(hours=26)
    assert logout.give_up() == 1


def test_the_metrics_count_each_outcome_once(alice):
    ended(alice, told_at("https://paperless.example.org/logout"))
    deliveries, failed = Deliveries(), metrics.LOGOUT_NOTICES.outcomes.labels("failed")
    before = failed._value.get()
    deliveries.senders["logout notices"].outcomes.update(failed=3)

    for _ in range(2):
        deliveries.measure()

    assert failed._value.get() == before + 3
    assert metrics.LOGOUT_NOTICES.waiting._value.get() == 1
