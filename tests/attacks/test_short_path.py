"""The short path: it answers what Django would answer, and decides nothing itself."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, transaction

from accounts.ops import health
from accounts.sessions.models import LoginSession
from accounts.tokens import families, keyring
from accounts.users.models import User
from authsite.short_path import MOST_KINDS, ShortPath
from tests.attacks.key_steps import key_of
from tests.conftest import Clock
from tests.support import api
from tests.support.forgeries import Mint, mint_with
from tests.support.signin import set_up
from tests.support.wsgi import Answer, Applications, answer, environ

pytestmark = pytest.mark.django_db

ME, REFRESH = "/api/v1/me/", "/api/v1/token/refresh/"
JWKS, LIVE, READY = "/.well-known/jwks.json", "/health/live", "/health/ready"
SHOP = "https://shop.example.org"


@dataclass
class World:
    """Alice's tokens, and the applications that are asked."""

    user: User
    access: str
    refresh: str
    mint: Mint
    apps: Applications

    def me(self, **more: str | None) -> dict[str, Any]:
        return environ("GET", ME, **{"HTTP_AUTHORIZATION": f"Bearer {self.access}", **more})

    def renew(self, body: bytes | None = None, **more: str | None) -> dict[str, Any]:
        sent = json.dumps({"refresh": self.refresh}).encode() if body is None else body
        return environ("POST", REFRESH, sent, **more)


@pytest.fixture
def world(clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    set_up(settings, token_audiences=(SHOP,))
    # The checks run in a thread, which does not see the database of a test.
    monkeypatch.setattr(health, "inspect", lambda: {"database": health.OK})
    mint = mint_with("ES256")
    User.objects.update(display_name="Álice Ünsal")
    user = User.objects.get()
    user.groups.add(Group.objects.create(name="writers"), Group.objects.create(name="ånglers"))
    tokens = api.get_tokens("alice")
    world = World(user, tokens["access"], tokens["refresh"], mint, Applications())
    # The first plain request of each kind takes the ordinary path.
    for asked in (world.me, world.renew, jwks, live, ready):
        assert undone(world.apps.short, asked).status == "200 OK", asked
    return world


def jwks(**more: str | None) -> dict[str, Any]:
    return environ("GET", JWKS, **more)


def live(**more: str | None) -> dict[str, Any]:
    return environ("GET", LIVE, **more)


def ready(**more: str | None) -> dict[str, Any]:
    return environ("GET", READY, **more)


def undone(application: Any, asked: Callable[[], dict[str, Any]]) -> Answer:
    """Return the answer, and undo what the request has changed."""
    with transaction.atomic():
        found = answer(application, asked())
        transaction.set_rollback(True)
    return found


def comparable(found: Answer) -> tuple[Any, ...]:
    """Return the answer with an access token replaced by its claims, which differ in one."""
    body: Any = found.body
    headers = dict(found.headers)
    if b'"access"' in body:
        body = json.loads(body)
        body["access"] = api.claims_of(body["access"]) | {"jti": ""}
    return found.status, headers, body


PLAIN: dict[str, Callable[[World], dict[str, Any]]] = {
    "me": lambda w: w.me(),
    "me, in an unknown language": lambda w: w.me(HTTP_ACCEPT_LANGUAGE="tlh"),
    "me, as XML": lambda w: w.me(HTTP_ACCEPT="application/xml"),
    "me, an empty body": lambda w: w.me(CONTENT_LENGTH="0"),
    "me, by a proxy that nobody trusts": lambda w: w.me(HTTP_X_FORWARDED_FOR="203.0.113.9"),
    "me, in part": lambda w: w.me(HTTP_RANGE="bytes=0-3"),
    "refresh": lambda w: w.renew(),
    "refresh, with an access token": lambda w: w.renew(HTTP_AUTHORIZATION=f"Bearer {w.access}"),
    "refresh, with spaces": lambda w: w.renew(f' {{ "refresh" : "{w.refresh}" }} '.encode()),
    "refresh, twice the member": lambda w: w.renew(
        f'{{"refresh": "", "refresh": "{w.refresh}"}}'.encode()
    ),
    "JWKS": lambda _w: jwks(),
    "JWKS, with credentials": lambda _w: jwks(HTTP_AUTHORIZATION="Bearer x"),
    "live": lambda _w: live(),
    "ready": lambda _w: ready(),
}


def twice_used(w: World) -> dict[str, Any]:
    """Return a request with a refresh token whose successor was used, too."""
    following = api.renew(w.refresh)["refresh"]
    api.renew(following)
    return w.renew()


def used(w: World) -> dict[str, Any]:
    api.renew(w.refresh)
    return w.renew()


def ended(w: World) -> None:
    LoginSession.objects.filter(user=w.user).update(ended_at=families.clock.now())


def without_session(asked: Callable[[World], dict[str, Any]]) -> Callable[[World], dict[str, Any]]:
    def ask(w: World) -> dict[str, Any]:
        ended(w)
        return asked(w)

    return ask


def without_account(asked: Callable[[World], dict[str, Any]]) -> Callable[[World], dict[str, Any]]:
    def ask(w: World) -> dict[str, Any]:
        User.objects.filter(pk=w.user.pk).update(is_active=False)
        return asked(w)

    return ask


def by(scope: str = "read", **more: str) -> Callable[[World], dict[str, Any]]:
    """Return a request for ``me`` with an access token of its own."""

    def ask(w: World) -> dict[str, Any]:
        access = api.get_tokens("alice", scope=scope, **more)["access"]
        return w.me(HTTP_AUTHORIZATION=f"Bearer {access}")

    return ask


def forged(**changes: Any) -> Callable[[World], dict[str, Any]]:
    return lambda w: w.me(HTTP_AUTHORIZATION=f"Bearer {w.mint.token(**changes)}")


def renew(text: str) -> Callable[[World], dict[str, Any]]:
    """Return a refresh with a body in which REFRESH stands for the token."""
    return lambda w: w.renew(text.replace("REFRESH", w.refresh).encode())


ODD: dict[str, Callable[[World], dict[str, Any]]] = {
    "me, with a cookie": lambda w: w.me(HTTP_COOKIE="django_language=de"),
    "me, from another origin": lambda w: w.me(HTTP_ORIGIN="https://mallory.example"),
    "me, with a query": lambda w: w.me(QUERY_STRING="format=xml"),
    "me, a key in the query": lambda w: w.me(QUERY_STRING="k=authsite_" + "a" * 40),
    "me, in German": lambda w: w.me(HTTP_ACCEPT_LANGUAGE="de"),
    "me, HEAD": lambda w: w.me(REQUEST_METHOD="HEAD"),
    "me, POST": lambda w: w.me(REQUEST_METHOD="POST"),
    "me, PATCH": lambda w: w.me(REQUEST_METHOD="PATCH", CONTENT_TYPE="application/json"),
    "me, OPTIONS": lambda w: w.me(REQUEST_METHOD="OPTIONS"),
    "me, TRACE": lambda w: w.me(REQUEST_METHOD="TRACE"),
    "me, lower-case method": lambda w: w.me(REQUEST_METHOD="get"),
    "me, without the slash": lambda w: w.me(PATH_INFO="/api/v1/me"),
    "me, two slashes": lambda w: w.me(PATH_INFO="//api/v1/me/"),
    "me, below another root": lambda w: w.me(SCRIPT_NAME="/x"),
    "me, HTTP/2": lambda w: w.me(SERVER_PROTOCOL="HTTP/2"),
    "me, a body": lambda w: w.me(CONTENT_LENGTH="2"),
    "me, a length that is none": lambda w: w.me(CONTENT_LENGTH="-1"),
    "me, a body in chunks": lambda w: w.me(HTTP_TRANSFER_ENCODING="chunked"),
    "me, another host": lambda w: w.me(HTTP_HOST="mallory.example"),
    "me, a host with a wrong port": lambda w: w.me(HTTP_HOST="localhost:99999"),
    "me, no host": lambda w: w.me(HTTP_HOST=None),
    "me, lower-case scheme": lambda w: w.me(HTTP_AUTHORIZATION=f"bearer {w.access}"),
    "me, two spaces": lambda w: w.me(HTTP_AUTHORIZATION=f"Bearer  {w.access}"),
    "me, a word too many": lambda w: w.me(HTTP_AUTHORIZATION=f"Bearer {w.access} x"),
    "me, no credentials": lambda w: w.me(HTTP_AUTHORIZATION=None),
    "me, an empty token": lambda w: w.me(HTTP_AUTHORIZATION="Bearer "),
    "me, not ASCII": lambda w: w.me(HTTP_AUTHORIZATION="Bearer \u00e9\u0000"),
    "me, a refresh token": lambda w: w.me(HTTP_AUTHORIZATION=f"Bearer {w.refresh}"),
    "me, a long token": lambda w: w.me(HTTP_AUTHORIZATION=f"Bearer {w.access * 20}"),
    "me, HTTP Basic": lambda w: w.me(HTTP_AUTHORIZATION="Basic YWxpY2U6eA=="),
    "me, an API key": lambda w: w.me(HTTP_AUTHORIZATION=f"Bearer {key_of(w.user)}"),
    "me, another signature": lambda w: w.me(HTTP_AUTHORIZATION=f"Bearer {w.access[:-4]}AAAA"),
    "me, an expired token": forged(exp=1),
    "me, a token from the future": forged(nbf=9_999_999_999),
    "me, a token for another service": by(audience=SHOP),
    "me, a scope too small": by("sessions:read"),
    "me, a session that is revoked": without_session(lambda w: w.me()),
    "me, an account that is deactivated": without_account(lambda w: w.me()),
    "refresh, GET": lambda _w: environ("GET", REFRESH),
    "refresh, used before": used,
    "refresh, used long before": twice_used,
    "refresh, revoked": without_session(lambda w: w.renew()),
    "refresh, deactivated": without_account(lambda w: w.renew()),
    "refresh, a scope": renew('{"refresh": "REFRESH", "scope": "profile:read"}'),
    "refresh, a scope too large": renew('{"refresh": "REFRESH", "scope": "users:read"}'),
    "refresh, an audience": renew(f'{{"refresh": "REFRESH", "audience": "{SHOP}"}}'),
    "refresh, an unknown member": renew('{"refresh": "REFRESH", "x": 1}'),
    "refresh, a number": renew('{"refresh": 1}'),
    "refresh, a list": renew('[{"refresh": "REFRESH"}]'),
    "refresh, null": renew('{"refresh": null}'),
    "refresh, empty": renew('{"refresh": ""}'),
    "refresh, with a space": renew('{"refresh": "REFRESH "}'),
    "refresh, half a character": renew('{"refresh": "\\ud800"}'),
    "refresh, another secret": renew('{"refresh": "REFRESHx"}'),
    "refresh, no JSON": renew("{'refresh': 'REFRESH'}"),
    "refresh, NaN": renew("NaN"),
    "refresh, brackets": renew("[" * 1000),
    "refresh, a large body": renew('{"refresh": "REFRESH"}' + " " * 2000),
    "refresh, a byte-order mark": renew('\ufeff{"refresh": "REFRESH"}'),
    "refresh, UTF-16": lambda w: w.renew(json.dumps({"refresh": w.refresh}).encode("utf-16")),
    "refresh, a form": lambda w: w.renew(CONTENT_TYPE="application/x-www-form-urlencoded"),
    "refresh, another charset": lambda w: w.renew(CONTENT_TYPE="application/json; charset=utf-16"),
    "refresh, no content type": lambda w: w.renew(CONTENT_TYPE=None),
    "refresh, no length": lambda w: w.renew(CONTENT_LENGTH=None),
    "refresh, a short length": lambda w: w.renew(CONTENT_LENGTH="9"),
    "refresh, a cookie": lambda w: w.renew(HTTP_COOKIE="known=x"),
    "JWKS, HEAD": lambda _w: jwks(REQUEST_METHOD="HEAD"),
    "JWKS, the same": lambda _w: jwks(HTTP_IF_NONE_MATCH=keyring.jwks().etag),
    "JWKS, another": lambda _w: jwks(HTTP_IF_NONE_MATCH='"x"'),
    "JWKS, POST": lambda _w: jwks(REQUEST_METHOD="POST"),
    "live, HEAD": lambda _w: live(REQUEST_METHOD="HEAD"),
    "live, another host": lambda _w: live(HTTP_HOST="10.0.0.7"),
    "ready, POST": lambda _w: ready(REQUEST_METHOD="POST"),
}


@pytest.mark.parametrize("asked", PLAIN.values(), ids=PLAIN)
def test_a_plain_request_gets_djangos_answer_from_the_short_path(
    asked: Callable[[World], dict[str, Any]], world: World
) -> None:
    before = world.apps.passed_on
    short = undone(world.apps.short, lambda: asked(world))

    assert world.apps.passed_on == before
    assert short.status == "200 OK"
    assert comparable(short) == comparable(undone(world.apps.ordinary, lambda: asked(world)))


@pytest.mark.parametrize("asked", ODD.values(), ids=ODD)
def test_any_other_request_is_answered_by_django(
    asked: Callable[[World], dict[str, Any]], world: World
) -> None:
    before = world.apps.passed_on
    short = undone(world.apps.short, lambda: asked(world))

    assert world.apps.passed_on == before + 1
    assert comparable(short) == comparable(undone(world.apps.ordinary, lambda: asked(world)))


def test_only_headers_that_two_answers_share_are_repeated(world: World) -> None:
    one, other = (answer(world.apps.ordinary, world.me()) for _ in range(2))

    assert one.headers == other.headers


def test_a_response_with_a_cookie_is_not_taken_as_a_model(world: World) -> None:
    def with_cookie(_environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Set-Cookie", "known=alice")])
        return [b"from Django"]

    path = ShortPath(with_cookie)

    assert [answer(path, world.me()).body for _ in range(2)] == [b"from Django"] * 2


def test_a_client_that_sends_many_hosts_does_not_keep_others_off_the_short_path(
    world: World,
) -> None:
    apps = Applications()
    for port in range(1, MOST_KINDS + 1):
        answer(apps.short, jwks(HTTP_HOST=f"localhost:{port}"))
        answer(apps.short, live(HTTP_HOST=f"node{port}.example"))
    for asked in (jwks, live):
        answer(apps.short, asked())
    before = apps.passed_on

    for asked in (jwks, live):
        assert answer(apps.short, asked()).status == "200 OK"

    assert apps.passed_on == before


@pytest.mark.parametrize(
    "attack", [ended, lambda _w: keyring.rotate(now=True)], ids=["session revoked", "key withdrawn"]
)
def test_a_token_that_was_accepted_before_is_looked_up_again_each_time(
    attack: Callable[[World], Any], world: World
) -> None:
    assert answer(world.apps.short, world.me()).status == "200 OK"

    attack(world)

    assert answer(world.apps.short, world.me()).status == "401 Unauthorized"


def test_a_failing_database_is_asked_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def fail(*_args: Any) -> None:
        asked.append(1)
        raise OperationalError

    monkeypatch.setattr(families, "find", fail)
    failed = answer(world.apps.short, world.me())

    assert (failed.status, failed.headers["retry-after"]) == ("503 Service Unavailable", "5")
    assert len(asked) == 1
