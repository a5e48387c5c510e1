"""The short path of apps' tokens: it answers as Django does, and refuses nothing itself."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group

from accounts.activity.services import Actor
from accounts.oauth import clients, remembered, token_views
from accounts.oauth.models import Client
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from tests.attacks.test_short_path import undone
from tests.conftest import Clock
from tests.support.api import claims_of
from tests.support.api_jwt import basic
from tests.support.apps import WEB
from tests.support.oauth_client import (
    FORM,
    VERIFIER,
    App,
    browser_of,
    new_app,
    set_client,
)
from tests.support.steps import make_user
from tests.support.wsgi import Answer, Applications, answer, environ

pytestmark = pytest.mark.django_db

SCOPE, SMALL = "openid email offline_access", {"scope": "openid email"}


class World:
    """An app with a refresh token and a code, and the applications that are asked."""

    def __init__(self) -> None:
        self.app, self.other = new_app(), new_app("Wiki")
        self.session = browser_of(make_user("alice"))
        self.token = self.app.sign_in(self.session, SCOPE)["refresh_token"]
        self.code = self.app.code(self.session, SCOPE)
        self.apps = Applications()

    def asked(
        self, app: App | None = None, body: bytes = b"", *, token: str = "", **form: str
    ) -> dict[str, Any]:
        app = app or self.app
        sent = {"grant_type": "refresh_token", "refresh_token": token or self.token} | form
        more = {"CONTENT_TYPE": FORM}
        if "client_id" not in form:
            more["HTTP_AUTHORIZATION"] = basic(app.client.pk, app.secret)
        return environ("POST", "/oauth/token", body or urlencode(sent).encode(), **more)

    def redeeming(self, app: App | None = None, **form: str) -> dict[str, Any]:
        sent = {"grant_type": "authorization_code", "code": self.code, "redirect_uri": WEB}
        sent |= {"code_verifier": VERIFIER} | form
        return self.asked(app, urlencode(sent).encode(), **form)


@pytest.fixture
def world(clock: Clock) -> World:
    world = World()
    # Django answers the first plain request, whose headers the short path repeats. The second
    # refresh is remembered.
    for asked in (world.asked, world.asked, world.redeeming):
        assert undone(world.apps.short, asked).status == "200 OK"
    return world


def comparable(found: Answer) -> tuple[Any, ...]:
    """Return the answer with the signed tokens replaced by their claims, without random values."""
    body = found.body.decode()
    tokens = json.loads(body) if '"access_token"' in body else {}
    for name in tokens.keys() & {"access_token", "id_token"}:
        body = body.replace(tokens[name], str(claims_of(tokens[name]) | {"jti": ""}))
    if "id_token" in tokens:
        # A code gives a new session.
        for new in (tokens["refresh_token"], claims_of(tokens["id_token"])["sid"]):
            body = body.replace(new, "")
    headers = {name: value for name, value in found.headers.items() if name != "content-length"}
    return found.status, headers, body


def both(world: World, asked: Callable[[], dict[str, Any]], *, passed_on: int) -> Answer:
    """Check that both paths give the same answer, and return it."""
    before = world.apps.passed_on
    short = undone(world.apps.short, asked)
    assert world.apps.passed_on == before + passed_on
    assert comparable(short) == comparable(undone(world.apps.ordinary, asked))
    return short


def test_a_plain_request_gets_djangos_answer_from_the_short_path(world: World) -> None:
    posted = {"client_id": world.app.client.pk, "client_secret": world.app.secret}

    for form in ({}, SMALL, posted):
        for asked in (world.asked, world.redeeming):
            found = both(world, lambda asked=asked, form=form: asked(**form), passed_on=0)
            assert found.status == "200 OK"


def test_a_refresh_that_was_allowed_before_is_one_statement_and_a_code_five(
    world: World,
    clock: Clock,
    django_assert_num_queries: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remembered, "_allowed", {})
    for statements in (3, 1):
        clock.advance(seconds=1)
        with django_assert_num_queries(statements):
            found = answer(world.apps.short, world.asked())
        world.token = json.loads(found.body)["refresh_token"]
    with django_assert_num_queries(5 + 2):
        answer(world.apps.short, world.redeeming())


def revoke(world: World) -> None:
    sessions.revoke_all(world.session.user)


def disable(world: World) -> None:
    """Disable the app, whose sessions end a moment later."""
    set_client(world.app, disabled_at=sessions.clock.now())


def require_a_passkey(world: World) -> None:
    set_client(world.app, factor=Client.Factor.PASSKEY)


def narrow_the_scope(world: World) -> None:
    set_client(world.app, scope="openid")


def require_a_group(world: World) -> None:
    set_client(world.app, required_group=Group.objects.create(name="editors"))


def require_dpop(world: World) -> None:
    set_client(world.app, requires_dpop=True)


def replace_the_secret(world: World) -> None:
    clients.rotate_secret(world.app.client, Actor(), now=True)


def use_both(world: World) -> None:
    world.app.refresh(world.token)
    world.app.redeem(world.code)


def deactivate(world: World) -> None:
    type(world.session.user).objects.update(is_active=False)


CHANGES = [revoke, disable, deactivate, require_a_passkey, require_a_group, require_dpop]
CHANGES += [replace_the_secret, narrow_the_scope, use_both]


# A code gives what is left of its scope.
CASES = [(World.asked, change) for change in CHANGES]
CASES += [(World.redeeming, change) for change in CHANGES if change is not narrow_the_scope]


@pytest.mark.parametrize("asked, change", CASES, ids=lambda case: case.__name__)
def test_django_answers_after_a_change_that_the_short_path_notices_at_once(
    world: World, asked: Callable[[World], dict[str, Any]], change: Callable[[World], None]
) -> None:
    change(world)

    found = both(world, lambda: asked(world), passed_on=1)

    # A retry of the token before the newest gets the same answer again.
    is_retry = change is use_both and asked is World.asked
    assert found.status[0] == ("2" if is_retry else "4")


def test_django_answers_every_other_request(world: World) -> None:
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
        lambda: world.redeeming(world.other),
        lambda: world.redeeming(code_verifier="b" * 43),
        lambda: world.redeeming(redirect_uri="https://mallory.example"),
        lambda: world.redeeming(resource="https://wiki.example.org"),
    ]
    for asked in odd:
        found = both(world, asked, passed_on=1)
        assert found.status[0] in "24", found


def test_the_statement_compares_all_that_the_decision_about_a_refresh_reads(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a change of a new field would not end what is remembered."""
    read: set[str] = set()

    def note(row: Any, name: str) -> Any:
        read.update({name} & {field.attname for field in type(row)._meta.concrete_fields})
        return object.__getattribute__(row, name)

    session = LoginSession.objects.select_related("user").get(kind=LoginSession.Kind.CONNECTED)
    for model in (Client, LoginSession):
        monkeypatch.setattr(model, "__getattribute__", note)
    token_views._wanted(world.app.client, {}, session)

    # The source of an app never changes.
    of_app = {"scope", "audiences", "factor", "required_group_id", "source"}
    # The times of factors do not matter if the app requires none.
    assert read == of_app | {"audience", "dpop_thumbprint", "factor_at", "passkey_at"}
