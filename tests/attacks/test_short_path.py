"""The short path: it answers what Django would answer, and decides nothing itself."""

import json
from ipaddress import ip_network
from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.ops import health
from accounts.tokens import keyring
from accounts.users.models import User
from authsite.short_path import MOST_KINDS, ShortPath
from tests.support import api
from tests.support.forgeries import mint_with
from tests.support.short_path import (
    ODD,
    PLAIN,
    SHOP,
    World,
    ended,
    jwks,
    live,
    ready,
    undone,
    undone_with_ips,
)
from tests.support.signin import set_up
from tests.support.standards import proves
from tests.support.wsgi import Applications, answer


@pytest.fixture
def world(clock, settings, monkeypatch):
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


def comparable(found):
    """Return the answer with an access token replaced by its claims, which differ in one."""
    body: Any = found.body
    headers = dict(found.headers)
    if b'"access"' in body:
        body = json.loads(body)
        body["access"] = api.claims_of(body["access"]) | {"jti": ""}
    return found.status, headers, body


def both(world, asked):
    """Return the comparable answers of the short path and of Django, and who gave the first."""
    before = world.apps.passed_on
    short = undone(world.apps.short, lambda: asked(world))
    by_django = world.apps.passed_on - before
    ordinary = undone(world.apps.ordinary, lambda: asked(world))
    return comparable(short), comparable(ordinary), by_django


def test_a_plain_request_gets_djangos_answer_from_the_short_path(world):
    for name, asked in PLAIN.items():
        short, ordinary, by_django = both(world, asked)

        assert (short, by_django) == (ordinary, 0), name
        assert short[0] == "200 OK", name


def test_any_other_request_is_answered_by_django(world):
    """Withstands a hostile client: the short path answers what the site refuses."""
    for name, asked in ODD.items():
        short, ordinary, by_django = both(world, asked)

        assert (short, by_django) == (ordinary, 1), name


@proves("V15.3.4")
def test_the_client_behind_a_trusted_proxy_is_the_same_on_both_paths(world, settings):
    """Withstands a hostile client."""
    set_up(settings, trusted_proxies=(ip_network("127.0.0.1"),))
    forwarded = {"HTTP_X_FORWARDED_FOR": "198.51.100.7, 203.0.113.9"}
    forwarded |= {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_HOST": "127.0.0.1"}
    undone(world.apps.short, lambda: world.renew(**forwarded))
    before = world.apps.passed_on

    (short, ips), (ordinary, ordinary_ips) = (
        undone_with_ips(app, lambda: world.renew(**forwarded))
        for app in (world.apps.short, world.apps.ordinary)
    )

    assert world.apps.passed_on == before
    assert ips == ordinary_ips == {"127.0.0.1", "203.0.113.9"}
    assert comparable(short) == comparable(ordinary)


def test_a_response_with_a_cookie_is_not_taken_as_a_model(world):
    def with_cookie(_environ, start):
        start("200 OK", [("Set-Cookie", "known=alice"), ("X-Request-ID", "1")])
        return [b"from Django"]

    path = ShortPath(with_cookie)

    assert [answer(path, world.me()).body for _ in range(2)] == [b"from Django"] * 2


def test_what_is_left_of_the_limits_of_one_caller_is_not_told_to_the_next_one(world):
    """Withstands a spy."""
    limits = {"ratelimit": '"exchange.session";r=0;t=9', "ratelimit-policy": '"exchange.session"'}

    def limited(_environ, start):
        start("200 OK", [*limits.items(), ("X-Request-ID", "1")])
        return [b"from Django"]

    path = ShortPath(limited)
    first, second = (answer(path, world.me()) for _ in range(2))

    assert (first.body, first.headers.keys() >= limits.keys()) == (b"from Django", True)
    assert b"alice" in second.body
    assert second.headers.keys().isdisjoint(limits)


def test_a_client_that_sends_many_hosts_does_not_keep_others_off_the_short_path(world):
    """Withstands a flood."""
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
def test_a_token_that_was_accepted_before_is_looked_up_again_each_time(attack, world):
    """Withstands a thief with a token."""
    assert answer(world.apps.short, world.me()).status == "200 OK"

    attack(world)

    assert answer(world.apps.short, world.me()).status == "401 Unauthorized"


def test_the_cached_public_keys_are_answered_at_once_as_django_answers_them(world):
    at_once: Any = world.apps.short.at_once

    assert answer(at_once, jwks()) == answer(world.apps.ordinary, jwks())
    for odd in (
        jwks(HTTP_HOST="elsewhere"),
        jwks(HTTP_COOKIE="a=b"),
        jwks(HTTP_IF_NONE_MATCH="*"),
        jwks(QUERY_STRING="a"),
        jwks(REQUEST_METHOD="HEAD"),
        live(),
    ):
        assert at_once(odd, None) is None
