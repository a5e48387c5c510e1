"""Connected apps."""

from datetime import timedelta

import pytest

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.common import clock as site_clock
from accounts.common.signals import credentials_changed
from accounts.oauth import connections
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AuthorizationCode, Connection
from accounts.recovery.locks import lock_down
from accounts.users.models import User
from accounts.users.services import AccountChanged
from tests.support.apps import (
    WEB,
    asked_for,
    change,
    connect_app,
    is_live,
    make_app,
    register,
    the_app,
)
from tests.support.invitations import superuser
from tests.support.oauth_client import HERE, browser_of
from tests.support.steps import make_user, outbox

pytestmark = pytest.mark.django_db


def code_for(session, app):
    return AuthorizationCode.objects.create(
        digest=f"{app.pk}{session.user_id}"[:64],
        client=app,
        user=session.user,
        version=0,
        session=session,
        redirect_uri=WEB,
        code_challenge="",
        scope="openid",
        expires_at=site_clock.now() + timedelta(minutes=1),
    )


@pytest.fixture
def paperless(db):
    return make_app()


def test_an_agreement_covers_the_same_person_app_service_and_scopes_only(alice, paperless):
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
    for scope, audience in (("groups", "https://wiki.test"), ("openid", ""), ("email", "")):
        clock.advance(hours=1)
        connections.agree(asked_for(paperless, scope, audience), alice, Actor(HERE))

    assert connections.covers(asked_for(paperless, "openid email"), alice)
    assert Connection.objects.get(audience="").used_at == clock.now()
    assert list(Activity.objects.values_list("kind", "detail")) == [("app_connected", "Paperless")]
    (mail,) = outbox()
    assert mail.subject == "An app was connected to your account"
    assert "Paperless" in str(mail.facts)


def test_nobody_agrees_for_an_account_that_was_locked_meanwhile(alice, paperless):
    """Otherwise a thief could connect an app that the page of the lock does not name."""
    before = User.objects.get(pk=alice.pk)
    lock_down(alice, Actor())

    with pytest.raises(AccountChanged):
        connections.agree(asked_for(paperless), before, Actor())

    assert not Connection.objects.exists()


def test_uses_are_recorded_at_most_once_a_minute(alice, paperless, clock):
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


def test_disconnecting_ends_the_sessions_and_codes_of_this_person_and_app_only(alice, paperless):
    browser, bobs, wiki = browser_of(alice), browser_of(make_user("bob")), make_app("Wiki")
    ended = [connect_app(browser, paperless, is_offline=is_offline) for is_offline in (0, 1)]
    kept = [connect_app(browser, wiki), connect_app(bobs, paperless), browser]
    for session in (browser, bobs):
        code_for(session, paperless)

    assert connections.disconnect(alice, paperless.pk, Actor())

    assert not any(map(is_live, ended))
    assert all(map(is_live, kept))
    assert [code.user for code in AuthorizationCode.objects.all()] == [bobs.user]
    assert not connections.covers(asked_for(paperless), alice)
    assert not connections.disconnect(alice, paperless.pk, Actor())
    assert not connections.disconnect(alice, "mallory", Actor())
    rows = Activity.objects.filter(kind="app_disconnected")
    assert [(row.user, row.detail) for row in rows] == [(alice, "Paperless")]


def test_a_lock_and_a_deactivation_forget_apps_and_a_new_password_signs_them_out(alice, paperless):
    def connect():
        alice.refresh_from_db()
        session = connect_app(browser_of(alice), paperless, is_offline=True)
        code_for(session, paperless)
        return session

    for event, is_forgotten in (
        ("password_changed", False),
        ("locked_down", True),
        ("switched_off", True),
    ):
        session = connect()
        credentials_changed.send(User, user=alice, event=event, actor=Actor(), keep=None)

        assert not is_live(session)
        assert connections.covers(asked_for(paperless), alice) is not is_forgotten
        assert AuthorizationCode.objects.exists() is not is_forgotten
        AuthorizationCode.objects.all().delete()


def test_prune_ends_what_an_interrupted_disabling_has_left(alice, paperless):
    left, kept = [connect_app(browser_of(alice), app) for app in (paperless, make_app("Wiki"))]
    Client.objects.filter(pk=paperless.pk).update(disabled_at=site_clock.now())

    clients.prune()

    assert [is_live(left), is_live(kept)] == [False, True]


def test_the_form_registers_the_logout_uri_which_may_be_private_after_a_confirmation():
    carol, private = superuser()[1], "https://10.0.0.1/logout"
    register(carol)
    assert "isn’t allowed" in change(carol, backchannel_logout_uri="http://shop.example/").text
    assert "Confirm that" in change(carol, backchannel_logout_uri=private).text
    change(carol, backchannel_logout_uri=private, backchannel_logout_is_private="on")
    assert the_app().backchannel_logout_uri == private
