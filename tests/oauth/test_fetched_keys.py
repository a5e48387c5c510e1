"""The keys that an app publishes at its ``jwks_uri``: fetched, replaced, kept if that fails."""

import json
import logging

import pytest
from django.core.exceptions import ValidationError

from accounts.oauth.clients import authentication
from accounts.oauth.clients import services as clients
from accounts.oauth.models import Client, ClientSecret, FetchedKeys
from tests.support.apps import WEB, act, add, change, register, shown_secret, the_app
from tests.support.client_keys import (
    ES256,
    PRIVATE,
    RS256,
    KeyedApp,
    public_of,
    publish,
    publishing_app,
)
from tests.support.clock import Clock
from tests.support.forgeries import key_of
from tests.support.invitations import superuser
from tests.support.receiver import Receiver, say

pytestmark = pytest.mark.django_db

URI = "https://paperless.example.org/keys"


@pytest.fixture
def app(receiver: Receiver) -> KeyedApp:
    return publishing_app(receiver)


def is_accepted(app: KeyedApp) -> bool:
    return app.post("/oauth/introspect", token="x").status == 200


def test_a_new_key_works_at_once_and_a_removed_one_for_ten_minutes(
    app: KeyedApp, receiver: Receiver, clock: Clock
) -> None:
    former = app.key
    assert is_accepted(app)
    assert is_accepted(app)
    clock.advance(minutes=2)
    app.key = key_of("EdDSA", "the next key")
    publish(receiver, app.key)

    assert is_accepted(app)
    assert is_accepted(app)
    assert len(receiver.got) == 2
    app.key = former
    assert not is_accepted(app)
    publish(receiver, app.key)
    clock.advance(minutes=2)
    assert is_accepted(app)
    publish(receiver, key_of("ES256", "another"))
    clock.advance(minutes=9, seconds=59)
    assert is_accepted(app)
    clock.advance(seconds=1)
    assert not is_accepted(app)


def test_known_keys_work_for_a_day_while_their_server_is_down(
    app: KeyedApp, receiver: Receiver, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert is_accepted(app)
    receiver.answers["/keys"] = say(503)

    for _hour in range(24):
        clock.advance(minutes=59)
        assert is_accepted(app)
        assert is_accepted(app)
    assert len(receiver.got) == 25
    assert f"The keys of app {app.client.pk} were not fetched: 'HTTPError'" in caplog.messages
    clock.advance(minutes=24)
    assert not is_accepted(app)
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_keys_for_other_purposes_do_not_make_the_others_useless(
    receiver: Receiver, app: KeyedApp
) -> None:
    unusable = [PRIVATE, RS256 | {"use": "enc"}, "x", {"kty": "oct"}, ES256 | {"kid": ""}]
    mine = public_of(app.key)["keys"]
    body = json.dumps({"keys": [*unusable, *mine, *mine]}).encode()
    receiver.answers["/keys"] = say(200, body, **{"Content-Type": "application/jwk-set+json"})

    assert is_accepted(app)
    assert FetchedKeys.objects.get().jwks == {"keys": mine}


def test_keys_that_are_no_longer_used_are_pruned(app: KeyedApp, clock: Clock) -> None:
    assert is_accepted(app)
    clock.advance(hours=23)
    assert authentication.prune() == 0
    clock.advance(hours=1)
    assert authentication.prune() == 1


def test_an_app_is_registered_with_the_uri_of_its_keys_instead_of_a_secret() -> None:
    browser = superuser()[1]
    secret = shown_secret(register(browser))
    private = "https://10.0.0.1/keys"
    assert "Confirm that" in change(browser, jwks_uri=private).text
    assert change(browser, jwks_uri=private, jwks_uri_is_private="on").status_code == 302
    assert (the_app().jwks_uri, the_app().has_secret) == (private, False)
    assert clients.authenticate(the_app().pk, secret) is None
    act(browser, "secret")
    assert not ClientSecret.objects.exists()

    cases = ((URI,), False), ((URI, "--jwks-uri-private"), True), ((private,), True)
    for words, is_private in cases:
        added = add("Wiki", "--redirect-uri", WEB, "--jwks-uri", *words)
        assert added.keys() == {"client_id"}
        assert Client.objects.get(pk=added["client_id"]).jwks_uri_is_private is is_private


@pytest.mark.parametrize(
    "fields, sentence",
    [
        ({"jwks": {"keys": [ES256]}}, "not both"),
        ({"is_public": True}, "A public app"),
        ({"jwks_uri": "http://paperless.example.org/keys"}, "isn’t allowed"),
        ({"jwks_uri": "https://a@paperless.example.org/keys"}, "isn’t allowed"),
        ({"jwks_uri": "https://localhost/keys"}, "private network"),
        ({"jwks_uri_is_private": True, "source": Client.Source.DOCUMENT}, "an operator"),
    ],
)
def test_no_other_uri_and_no_further_keys_can_be_registered(
    fields: dict[str, object], sentence: str
) -> None:
    app = Client(**({"name": "Shop", "redirect_uris": [WEB], "jwks_uri": URI} | fields))

    with pytest.raises(ValidationError, match=sentence):
        app.full_clean()
