"""Sessions of connected apps: how long they live, and with what they end."""

import pytest

from accounts.activity.services import Actor
from accounts.oauth import app_sessions
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.tokens import families
from accounts.tokens.errors import InvalidToken, TokenReused
from tests.support.apps import is_live, make_app
from tests.support.oauth_client import HERE, browser_of
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


def test_an_app_is_signed_out_with_the_browser_unless_it_may_stay(alice):
    browser, other, paperless = browser_of(alice), browser_of(alice), make_app()
    here, there = connect(browser, paperless), connect(other, paperless)
    staying = connect(browser, paperless, is_offline=True)

    sessions.revoke(browser)

    assert [is_live(session) for session in (here, there, staying)] == [False, True, True]


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


def test_a_refresh_token_of_an_app_is_neither_used_nor_ended_as_one_of_the_api(alice):
    paperless = make_app()
    session = connect(browser_of(alice), paperless, is_offline=True)
    token = session.app_session.refresh_token

    api = LoginSession.Kind.API
    assert families.rotate(token, HERE, api) is None
    rotated = families.rotate(token, HERE, CONNECTED)
    assert rotated is not None
    assert families.repeat(token, HERE, CONNECTED)[1] == rotated[1]
    families.rotate(rotated[1], HERE, CONNECTED)
    with pytest.raises(InvalidToken):
        families.repeat(token, HERE, api)
    assert is_live(session)
    with pytest.raises(TokenReused):
        families.repeat(token, HERE, CONNECTED)
    assert not is_live(session)
