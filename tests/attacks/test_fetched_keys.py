"""Whoever knows a client ID makes the site fetch the keys of the app, or gives it other keys."""

import json
import time
from threading import BoundedSemaphore

import pytest

from accounts.common import http_client
from accounts.common.errors import Busy
from accounts.oauth.clients import authentication
from accounts.oauth.clients.authentication import MOST_AT_ONCE, PATIENCE, PAUSE
from accounts.oauth.clients.models import FetchedKeys
from tests.support.client_keys import KeyedApp, keyed_app, public_of, publish, publishing_app
from tests.support.forgeries import key_of
from tests.support.oauth_client import new_app, set_client
from tests.support.process import slack
from tests.support.receiver import PUBLIC, WITHIN, drip, hang, say

pytestmark = pytest.mark.django_db

URI = "https://shop.example.org/keys"


@pytest.fixture
def app(receiver):
    """An app that publishes its key at the receiver, which counts as private."""
    return publishing_app(receiver)


def status(app, **header):
    """Return the status of the answer to an assertion, which may have a changed header."""
    return app.post(
        "/oauth/introspect", token="x", client_assertion=app.mint().token(header=header)
    ).status


def forged(app, **header):
    """Do the same as :func:`status` with a key of mallory."""
    return status(KeyedApp(app.client, key=key_of("ES256", "mallory")), **header)


def test_no_private_address_is_reached_unless_the_registration_says_so(
    app, receiver, connections, clock
):
    for host in WITHIN:
        set_client(app, jwks_uri=receiver.url(host=host), jwks_uri_is_private=False)
        assert status(app) in {401, 429}
    assert (connections, FetchedKeys.objects.count()) == ([], len(WITHIN))

    set_client(app, jwks_uri=receiver.url("/keys"))
    assert (status(app), connections) == (200, [PUBLIC])


@pytest.mark.parametrize(
    "answer",
    [
        drip,
        hang,
        say(200, b'{"keys": []}' + b" " * 200_000),
        say(200, b'{"keys": ' + b"[" * 90_000),
        say(200, b"<html>"),
        say(200, b'{"keys": {}}'),
        say(200, b'{"keys": [null, 1, {}, {"kty": []}]}'),
        say(404),
        say(500, json.dumps(public_of(key_of("ES256", "Paperless"))).encode()),
    ],
    ids=lambda answer: answer.__qualname__,
)
def test_an_answer_that_is_slow_endless_or_odd_gives_no_keys_and_no_server_error(
    app, receiver, answer, monkeypatch
):
    monkeypatch.setattr(authentication, "PATIENCE", PATIENCE / 6)
    receiver.answers["/keys"] = answer
    began = time.monotonic()

    assert status(app) == 401

    assert time.monotonic() - began < 2 * slack()
    assert FetchedKeys.objects.get().jwks == {}
    assert len(receiver.got) == 1


def test_a_slow_name_server_holds_no_request(app, receiver, monkeypatch):
    monkeypatch.setattr(authentication, "PATIENCE", PATIENCE / 6)
    monkeypatch.setattr(http_client, "_addresses", lambda *_: time.sleep(2) or [])
    # One thread, which goes on although the request has ended. The next request must not queue.
    slot = BoundedSemaphore(1)
    monkeypatch.setattr(authentication, "_slots", slot)
    began = time.monotonic()

    assert status(app) == 401
    assert status(publishing_app(receiver, "Wiki", "/other")) == 429

    assert time.monotonic() - began < 1.5 * slack()
    assert slot.acquire(timeout=5 * slack())


def test_a_flood_of_assertions_fetches_once_in_a_minute_and_stops_neither_app(app, receiver, clock):
    wiki, known = keyed_app("Wiki"), {200: 0, 401: 0, 429: 0}
    expired = app.mint().token(exp=1)
    assert app.post("/oauth/introspect", token="x", client_assertion=expired).status == 401
    assert receiver.got == []
    for number in range(60):
        known[forged(app, kid=f"unknown {number}")] += 1
        clock.advance(seconds=1)
    assert len(receiver.got) == 1
    assert known[200] == 0
    assert (status(app), status(wiki)) == (200, 200)

    # A stranger takes the attempts, but the keys that they bring are the app's.
    app.key = key_of("ES256", "the next key")
    publish(receiver, app.key)
    assert forged(app, kid="unknown") in {401, 429}
    assert status(app) == 200
    assert len(receiver.got) == 2


def test_servers_that_hang_hold_few_requests_and_no_app_whose_keys_are_known(app, receiver, clock):
    assert status(app) == 200
    clock.advance(minutes=11)
    for _slot in range(MOST_AT_ONCE):
        assert authentication._slots.acquire(blocking=False)
    try:
        assert status(app) == 200
        other = publishing_app(receiver, "Wiki", "/other")
        answer = other.post("/oauth/introspect", token="x")
        assert (answer.status, answer.error) == (429, "temporarily_unavailable")
        assert answer.headers["Retry-After"] == "1"
    finally:
        authentication._slots.release(MOST_AT_ONCE)
    assert (status(other), status(app), len(receiver.got)) == (200, 200, 3)


def test_while_another_node_fetches_the_keys_requests_do_not_wait(app, receiver, clock):
    FetchedKeys.objects.create(client=app.client, uri=app.client.jwks_uri, tried_at=clock.now())

    assert status(app) == 429
    clock.advance(seconds=PATIENCE.seconds)
    assert status(app) == 401
    assert receiver.got == []
    clock.advance(seconds=PAUSE.seconds)
    as_read_elsewhere = authentication._held(app.client)
    assert status(app) == 200
    with pytest.raises(Busy):
        authentication._renew(as_read_elsewhere)
    # The clock of that node is behind.
    clock.advance(seconds=-10)
    assert not authentication._claim(as_read_elsewhere)
    assert (status(app), len(receiver.got)) == (200, 1)


def test_no_app_uses_its_former_keys_its_secret_or_the_keys_of_another_app(app, receiver):
    assert status(app) == 200
    mallory = publishing_app(receiver, "mallory", "/mallory")
    assert (status(mallory), forged(app)) == (200, 401)

    set_client(app, jwks_uri=mallory.client.jwks_uri)
    assert (status(app), forged(app)) == (401, 200)
    wiki = new_app("Wiki")
    assert wiki.introspect("x").status == 200
    set_client(wiki, jwks_uri=URI)
    assert wiki.introspect("x").status == 401
