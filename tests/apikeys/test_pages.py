"""The pages that list, make and revoke API keys."""

from datetime import timedelta

import pytest
from django.test import Client

from accounts.apikeys.models import APIKey
from tests.support.api import call
from tests.support.api_keys import FORM, KEYS, NEW, is_alive, key_of, row_of, shown_key
from tests.support.signin import signed_in
from tests.support.steps import make_user

WEEK = timedelta(days=7)


@pytest.fixture
def alice(client, clock):
    """Alice, signed in with ``client``."""
    alice = make_user("alice")
    signed_in(alice, client)
    return alice


def test_an_api_key_is_made_listed_and_revoked(client, alice):
    assert "You have no API keys" in client.get(KEYS).text

    key = shown_key(client.post(NEW, FORM))

    listed = client.get(KEYS)
    assert "no-store" in listed["Cache-Control"]
    for told in ("<bdi>backup</bdi>", key[:13], "View: Profile", "Not used yet"):
        assert told in listed.text
    assert is_alive(key, Client(REMOTE_ADDR="192.0.2.7"))
    assert "192.0.2.7" in client.get(KEYS).text
    done = client.post(KEYS, {"end": row_of(key).pk}, follow=True).text
    assert "You have no API keys" in done
    assert not is_alive(key)


def test_an_api_key_has_the_chosen_scope_and_expiry_and_write_includes_read(client, alice, clock):
    read = shown_key(client.post(NEW, {"name": "bot", "expires": "7", "profile": "read"}))
    chosen = {"sessions": "write", "activity": "read"}
    write = shown_key(client.post(NEW, {"name": "bot", "expires": "7", **chosen}))

    forever = shown_key(client.post(NEW, FORM | {"expires": "never"}))

    assert [row_of(key).expires_at for key in (read, forever)] == [WEEK + clock.now(), None]
    assert row_of(read).scope == "profile:read"
    assert row_of(write).scope == "activity:read sessions:read sessions:write"
    for path, opened in (("me/", read), ("sessions/", write), ("activity/", write)):
        for key in (read, write):
            assert (call(path, token=key).status == 200) is (key == opened)


def test_an_invalid_choice_makes_no_key_and_keeps_the_typed_values(client, alice):
    for changes, told in (
        ({"profile": ""}, 'id="id_profile_error"'),
        ({"activity": "write"}, "activity"),
        *(({"profile": "admin"}, "profile"), ({"profile": "write"}, "profile")),
        ({"expires": "8"}, "expires"),
    ):
        page = client.post(NEW, FORM | changes).text
        assert "<title>Error: Create an API key" in page
        assert told in page
        assert 'value="backup"' in page
    assert not APIKey.objects.exists()


def test_the_form_as_it_is_shown_makes_a_key_that_reads_everything_or_may_do_everything(
    client, alice
):
    scopes = []
    for query in ("", "?access=write"):
        shown = {field.name: field.value() for field in client.get(NEW + query).context["form"]}
        made = client.post(NEW, shown | {"name": "backup"})
        scopes.append(row_of(shown_key(made)).scope)

    read, everything = (set(scope.split()) for scope in scopes)
    assert read == {"activity:read", "apps:read", "profile:read", "sessions:read"}
    assert everything == read | {"apps:write", "sessions:write"}


def test_making_a_key_needs_reauthentication_but_listing_and_revoking_do_not(client, alice, clock):
    key = key_of(alice)
    clock.advance(minutes=11)

    assert client.get(KEYS).status_code == 200
    assert client.get(NEW).url == f"/accounts/reauthenticate/?next={NEW}"
    assert "To change your API keys, show that it’s you." in client.get(client.get(NEW).url).text
    assert client.post(NEW, FORM).url == f"/accounts/reauthenticate/?next={NEW}"
    assert client.post(KEYS, {"end": row_of(key).pk}).url == KEYS
    assert not APIKey.objects.exists()
