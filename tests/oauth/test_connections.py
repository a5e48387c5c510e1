"""Connected apps: what people agree to, see and end, and how long the sessions of apps live."""

from datetime import timedelta

import pytest

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.common import clock as site_clock
from accounts.common.signals import credentials_changed
from accounts.oauth import app_sessions, connections, devices
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client, ClientSecret
from accounts.oauth.models import (
    AppSession,
    AuthorizationCode,
    AuthorizationRequest,
    Connection,
    UnreadRequest,
)
from accounts.recovery.locks import lock_down
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.users.models import User
from accounts.users.services import AccountChanged
from tests.support.api import call, get_tokens
from tests.support.apps import asked_for, change, connect_app, is_live, make_app, register, the_app
from tests.support.authorize import address, result
from tests.support.invitations import superuser
from tests.support.oauth_client import HERE, App, browser_of
from tests.support.signin import set_up
from tests.support.standards import proves
from tests.support.steps import make_user, outbox


@pytest.fixture
def paperless(db):
    return make_app()


def test_an_agreement_covers_the_same_person_app_service_and_scopes_only(alice, paperless):
    """Withstands a malicious app."""
    connections.agree(asked_for(paperless, "openid email"), alice, Actor())

    assert connections.covers(asked_for(paperless, "email"), alice)
    for asked, user in (
        (asked_for(paperless, "openid profile"), alice),
        (asked_for(paperless, "openid email", "https://wiki.example.org"), alice),
        (asked_for(make_app("Wiki"), "openid email"), alice),
        (asked_for(paperless, "openid email"), make_user("bob")),
    ):
        assert not connections.covers(asked, user)
        assert not connections.renew(asked, user)


def test_later_agreements_add_scopes_and_only_the_first_is_told(alice, paperless, clock):
    paperless.scope = "openid profile email groups"
    for scope, audience in (("groups", "https://wiki.test"), ("openid groups", ""), ("email", "")):
        clock.advance(hours=1)
        connections.agree(asked_for(paperless, scope, audience), alice, Actor(HERE))
        paperless.scope = "openid profile email"

    row = Connection.objects.get(audience="")
    assert (row.scope, row.used_at) == ("openid email", clock.now()), "it lost a scope meanwhile"
    assert list(Activity.objects.values_list("kind", "detail")) == [("app_connected", "Paperless")]
    (mail,) = outbox()
    assert mail.subject == "An app was connected to your account"
    assert "Paperless" in str(mail.facts)
    for app, user in ((make_app("Wiki"), alice), (paperless, make_user("bob"))):
        connections.agree(asked_for(app), user, Actor(HERE))
        assert user.activity.filter(kind="app_connected", detail=app.name, ip=HERE.ip).exists()


def test_a_person_sees_only_what_they_agreed_to_and_first_the_app_that_was_used_last(
    alice, paperless, clock
):
    wiki, bob = make_app("Wiki", pk="0"), make_user("bob")
    began = clock.now()
    for app, audience, user in (
        *((paperless, "https://wiki.test", alice), (wiki, "", alice), (paperless, "", alice)),
        *((paperless, "https://bob.test", bob), (wiki, "", bob)),
    ):
        connections.agree(asked_for(app, "openid", audience), user, Actor())
        clock.advance(hours=1)

    hours = {app: (app.since - began, app.used_at - began) for app in connections.of(alice)}
    assert list(hours.items()) == [
        (paperless, (timedelta(0), timedelta(hours=2))),
        (wiki, (timedelta(hours=1), timedelta(hours=1))),
    ]
    agreed = [row.audience for row in connections.of(alice)[0].agreed]
    assert agreed == ["", "https://wiki.test"]


def test_nobody_agrees_for_an_account_that_was_locked_meanwhile(alice, paperless):
    """Withstands a race.

    Otherwise a thief could connect an app that the page of the lock does not name.
    """
    before = User.objects.get(pk=alice.pk)
    lock_down(alice, Actor())

    with pytest.raises(AccountChanged):
        connections.agree(asked_for(paperless), before, Actor())

    assert not Connection.objects.exists()


def test_an_app_that_is_disconnected_at_the_same_moment_gets_no_code(alice, paperless):
    """Withstands a race."""
    session = browser_of(alice)
    connect_app(session, paperless)
    connections.disconnect(alice, paperless.pk, Actor())

    with pytest.raises(devices.ConsentMissing):
        devices.grant(asked_for(paperless), session, Actor())

    assert not AuthorizationCode.objects.exists()
    assert not Connection.objects.exists()


def test_of_two_simultaneous_answers_to_a_request_the_first_counts(alice, paperless):
    """Withstands a race."""
    asked = asked_for(paperless)
    asked.expires_at = site_clock.now()
    asked.save()
    devices.refuse(asked)

    with pytest.raises(devices.AlreadyAnswered):
        devices.refuse(asked)
    with pytest.raises(devices.AlreadyAnswered):
        devices.grant(asked, browser_of(alice), Actor(), agrees=True)
    assert not Connection.objects.exists()


def test_the_name_of_a_row_tells_the_app_alone(paperless):
    """Names of rows are written into logs and error pages."""
    named = {
        AuthorizationRequest(client=paperless): f"request of {paperless.pk}",
        UnreadRequest(query="client_id=x"): "request of an unread app",
        AppSession(pk=site_clock.now(), client=paperless): "Paperless",
        Connection(pk=1, client=paperless): "Paperless",
        ClientSecret(pk="abcdefgh", client=paperless): "authsite_client_abcd",
    }

    assert [str(row) for row in named] == list(named.values())


def test_uses_are_recorded_at_most_once_a_minute(
    alice, paperless, clock, django_assert_num_queries
):
    connect_app(browser_of(alice), paperless)
    began = clock.now()

    def used_at():
        return Connection.objects.get().used_at

    used = {"user": alice.pk, "client": paperless.pk, "audience": ""}
    clock.advance(seconds=59)
    connections.note_use(**used)
    assert used_at() == began
    clock.advance(seconds=1)
    connections.note_use(**used)
    assert used_at() == clock.now()
    clock.advance(minutes=1)
    assert connections.renew(asked_for(paperless), alice)
    assert used_at() == clock.now()
    with django_assert_num_queries(1):
        assert connections.renew(asked_for(paperless), alice)


@proves("V10.4.9", "RFC9700-4.14")
def test_disconnecting_ends_the_sessions_and_codes_of_this_person_and_app_only(alice, paperless):
    """Withstands a malicious app."""
    browser, bobs, wiki = browser_of(alice), browser_of(make_user("bob")), make_app("Wiki")
    ended = [connect_app(browser, paperless, is_offline=is_offline) for is_offline in (0, 1)]
    kept = [connect_app(browser, wiki), connect_app(bobs, paperless), browser]
    for session in (browser, bobs):
        App(paperless).code(session)

    assert connections.disconnect(alice, paperless.pk, Actor())

    assert not any(map(is_live, ended))
    assert all(map(is_live, kept))
    assert [code.user for code in AuthorizationCode.objects.all()] == [bobs.user]
    assert not connections.covers(asked_for(paperless), alice)
    assert not connections.disconnect(alice, paperless.pk, Actor())
    assert not connections.disconnect(alice, "mallory", Actor())
    rows = Activity.objects.filter(kind="app_disconnected")
    assert [(row.user, row.detail) for row in rows] == [(alice, "Paperless")]
    sessions.revoke(browser, reason=events.SIGNED_OUT, actor=Actor())
    assert not is_live(kept[0])
    assert kept[0].ended_by == "signed_out"
    assert LoginSession.objects.get(pk=ended[0].pk).ended_by == "app_disconnected", "the first end"


def test_a_lock_and_a_deactivation_forget_apps_and_a_new_password_signs_them_out(alice, paperless):
    """Withstands a malicious app."""

    def connect():
        alice.refresh_from_db()
        session = connect_app(browser_of(alice), paperless, is_offline=True)
        App(paperless).code(session)
        return session

    for event in ("password_changed", "locked_down", "switched_off"):
        session, is_forgotten = connect(), event != "password_changed"
        credentials_changed.send(User, user=alice, event=event, actor=Actor(), keep=None)

        assert not is_live(session)
        assert connections.covers(asked_for(paperless), alice) is not is_forgotten
        assert AuthorizationCode.objects.exists() is not is_forgotten
        AuthorizationCode.objects.all().delete()


def test_prune_ends_what_an_interrupted_disabling_has_left(alice, paperless):
    """Withstands a failure."""
    left, kept = [connect_app(browser_of(alice), app) for app in (paperless, make_app("Wiki"))]
    Client.objects.filter(pk=paperless.pk).update(disabled_at=site_clock.now())

    clients.prune()

    assert [is_live(left), is_live(kept)] == [False, True]


def test_the_form_registers_the_logout_uri_which_may_be_private_after_a_confirmation():
    carol, private = superuser()[1], "https://10.0.0.1/logout"
    register(carol)
    assert "isn’t allowed" in change(carol, backchannel_logout_uri="http://shop.example/").text
    assert "Tick the box that allows this" in change(carol, backchannel_logout_uri=private).text
    change(carol, backchannel_logout_uri=private, backchannel_logout_is_private="on")
    assert the_app().backchannel_logout_uri == private


APPS = "/accounts/apps/"


def test_an_app_is_listed_and_disconnected_after_a_page_that_says_what_ends(browser):
    assert "No apps are connected" in browser.get(APPS).text
    app = make_app(is_verified=False)
    connect_app(LoginSession.objects.get(), app, "openid email offline_access")

    listed = browser.get(APPS)

    assert "no-store" in listed["Cache-Control"]
    sees = "Sees your email address; stays connected after you sign out here"
    for told in ("<bdi>Paperless</bdi>", "paperless.example.org", sees, "Not verified"):
        assert told in listed.text
    asked = browser.get(f"{APPS}{app.pk}/").text
    assert "can no longer get data about you from us" in asked
    done = browser.post(f"{APPS}{app.pk}/", follow=True).text
    assert "Paperless was disconnected." in done
    assert "No apps are connected" in done


def test_a_first_party_app_that_nobody_asked_about_is_listed_as_staying_connected(browser):
    app = make_app("Wiki", is_first_party=True, scope="openid offline_access")

    assert "code" in result(browser.get(address(app, scope="openid offline_access")))

    assert "Stays connected after you sign out" in browser.get(APPS).text


def test_the_api_lists_and_disconnects_apps(alice):
    app = make_app()
    connect_app(browser_of(alice), app)
    token = get_tokens()["access"]

    (row,) = call("apps/", token=token)["results"]
    assert (row["client_id"], row["name"], row["is_verified"]) == (app.pk, "Paperless", True)
    assert row["access"] == [{"audience": "", "scope": "openid email"}]
    assert call(f"apps/{app.pk}/", method="DELETE", token=token).status == 204
    assert call("apps/", token=token)["results"] == []
    assert call(f"apps/{app.pk}/", method="DELETE", token=token).status == 404


def test_apps_are_not_counted_with_the_other_sessions(alice, settings):
    browser, paperless = browser_of(alice), make_app()
    apps = [connect_app(browser, paperless) for _ in range(3)]
    set_up(settings, max_sessions=2)

    sessions.make_room(alice, browser_of(alice), Actor())

    assert is_live(browser)
    assert all(map(is_live, apps))


def test_beyond_the_limit_of_an_app_its_least_recently_used_session_ends(alice, clock):
    """Withstands a malicious app."""
    browser, paperless, wiki = browser_of(alice), make_app(), make_app("Wiki")
    others = connect_app(browser, wiki)
    of_bob = connect_app(browser_of(make_user("bob")), paperless)
    apps = [connect_app(browser, paperless) for _ in range(app_sessions.MOST)]
    oldest = apps.pop(9)
    clock.advance(minutes=1)
    LoginSession.objects.filter(pk__in=[session.pk for session in apps]).update(used_at=clock.now())
    new = connect_app(browser, paperless)

    app_sessions.make_room(others.app_session, wiki, Actor())
    assert is_live(oldest)
    for _ in range(2):
        app_sessions.make_room(new.app_session, paperless, Actor())
    assert not is_live(oldest)
    (event,) = alice.activity.filter(kind="session_ended_by_limit")
    assert event.detail == "Paperless"
    assert all(map(is_live, (others, of_bob, *apps, new)))
