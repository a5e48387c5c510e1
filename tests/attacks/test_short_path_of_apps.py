"""The short path of apps' refreshes: it answers as Django does, and refuses nothing itself."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group

from accounts.activity.services import Actor
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client
from accounts.sessions import services as sessions
from accounts.users.models import User
from tests.support.api import claims_of
from tests.support.api_jwt import basic
from tests.support.oauth_client import FORM, App, browser_of, new_app, set_client
from tests.support.short_path import undone
from tests.support.steps import make_user
from tests.support.wsgi import Applications, answer, environ

SCOPE, SMALL = "openid email offline_access", {"scope": "openid email"}


class World:
    """An app with a refresh token, and the applications that are asked."""

    def __init__(self):
        self.app, self.other = new_app(), new_app("Wiki")
        self.session = browser_of(make_user("alice"))
        self.token = self.app.sign_in(self.session, SCOPE)["refresh_token"]
        self.apps = Applications()

    def asked(self, app=None, body=b"", *, token="", **form):
        app = app or self.app
        sent = {"grant_type": "refresh_token", "refresh_token": token or self.token} | form
        more = {"CONTENT_TYPE": FORM}
        if "client_id" not in form:
            more["HTTP_AUTHORIZATION"] = basic(app.client.pk, app.secret)
        return environ("POST", "/oauth/token", body or urlencode(sent).encode(), **more)


@pytest.fixture
def world(clock):
    world = World()
    # Django answers the first plain request, whose headers the short path repeats.
    assert undone(world.apps.short, world.asked).status == "200 OK"
    return world


def comparable(found):
    """Return the answer with the access token replaced by its claims, without random values."""
    body = found.body.decode()
    tokens = json.loads(body) if '"access_token"' in body else {}
    if tokens:
        access = tokens["access_token"]
        body = body.replace(access, str(claims_of(access) | {"jti": ""}))
    headers = {name: value for name, value in found.headers.items() if name != "content-length"}
    return found.status, headers, body


def both(world, asked, *, passed_on):
    """Check that both paths give the same answer, and return it."""
    before = world.apps.passed_on
    short = undone(world.apps.short, asked)
    assert world.apps.passed_on == before + passed_on
    assert comparable(short) == comparable(undone(world.apps.ordinary, asked))
    return short


def test_a_plain_request_gets_djangos_answer_from_the_short_path(world):
    posted = {"client_id": world.app.client.pk, "client_secret": world.app.secret}

    for form in ({}, SMALL, posted):
        found = both(world, lambda form=form: world.asked(**form), passed_on=0)
        assert found.status == "200 OK"


def test_a_refresh_is_three_statements_and_one_for_the_email(
    world, clock, django_assert_num_queries
):
    clock.advance(seconds=1)
    with django_assert_num_queries(4):
        answer(world.apps.short, world.asked())


CHANGES: dict[str, Callable[[World], object]] = {
    "revoked": lambda world: sessions.revoke_all(world.session.user),
    # The app's sessions end a moment later.
    "disabled": lambda world: set_client(world.app, disabled_at=sessions.clock.now()),
    "deactivated": lambda _world: User.objects.update(is_active=False),
    "a passkey is required": lambda world: set_client(world.app, factor=Client.Factor.PASSKEY),
    "a group is required": lambda world: set_client(
        world.app, required_group=Group.objects.create(name="editors")
    ),
    "DPoP is required": lambda world: set_client(world.app, requires_dpop=True),
    "a new secret": lambda world: clients.rotate_secret(world.app.client, Actor(), now=True),
    "fewer scopes": lambda world: set_client(world.app, scope="openid"),
    "used": lambda world: world.app.refresh(world.token),
}


@pytest.mark.parametrize("change", CHANGES)
def test_django_answers_after_a_change_that_the_short_path_notices_at_once(world, change):
    """Withstands a thief with a token."""
    CHANGES[change](world)

    found = both(world, world.asked, passed_on=1)

    # A retry of the token before the newest gets the same answer again.
    assert found.status[0] == ("2" if change == "used" else "4")


def test_django_answers_every_other_request(world):
    wrong = App(world.app.client, world.app.secret + "x")
    long = ("a=1&" * 255).encode()
    odd: list[Callable[[], dict[str, Any]]] = [
        lambda: world.asked(world.other),
        lambda: world.asked(wrong),
        lambda: world.asked(client_id=world.app.client.pk),
        lambda: world.asked(token="x"),
        lambda: world.asked(scope="openid sessions:write"),
        lambda: world.asked(resource="https://wiki.example.org"),
        lambda: world.asked(grant_type="authorization_code"),
        lambda: world.asked(body=long),
        lambda: world.asked(body=b"grant_type=refresh_token&refresh_token=%00&x=%ff"),
        lambda: world.asked() | {"CONTENT_TYPE": f"{FORM}; charset=utf-8"},
    ]
    for asked in odd:
        found = both(world, asked, passed_on=1)
        assert found.status[0] in "24", found
