"""Sessions of connected apps: how long they live, and with what they end."""

import pytest

from accounts.activity.services import Actor
from accounts.oauth import app_sessions
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from tests.support.apps import is_live, make_app
from tests.support.oauth_client import browser_of
from tests.support.signin import set_up
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db

CONNECTED = LoginSession.Kind.CONNECTED


def connect(parent, client, *, is_offline=False):
    new = app_sessions.new(parent, client.pk, "openid", "", is_offline=is_offline)
    app_sessions.insert(new)
    return new.session


@pytest.fixture
def alice(db):
    return make_user("alice")


def test_apps_are_not_counted_with_the_other_sessions(alice, settings):
    browser, paperless = browser_of(alice), make_app()
    apps = [connect(browser, paperless) for _ in range(3)]
    set_up(settings, max_sessions=2)

    sessions.make_room(alice, browser_of(alice), Actor())

    assert is_live(browser)
    assert all(map(is_live, apps))


def test_beyond_the_limit_of_an_app_its_least_recently_used_session_ends(alice, clock):
    browser, paperless, wiki = browser_of(alice), make_app(), make_app("Wiki")
    others = connect(browser, wiki)
    first, second, *rest = [connect(browser, paperless) for _ in range(app_sessions.MOST)]
    clock.advance(minutes=1)
    for session in (second, *rest):
        LoginSession.objects.filter(pk=session.pk).update(used_at=clock.now())
    new = connect(browser, paperless)

    app_sessions.make_room(others.app_session, "Wiki", Actor())
    assert is_live(first)
    app_sessions.make_room(new.app_session, "Paperless", Actor())
    assert not is_live(first)
    (event,) = alice.activity.filter(kind="session_ended_by_limit")
    assert event.detail == "Paperless"
    assert all(map(is_live, (others, second, *rest, new)))
