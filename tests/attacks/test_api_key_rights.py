"""API keys do only what their scope allows, and only a recent sign-in can make or revoke them."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.apikeys.models import APIKey
from accounts.sessions.models import LoginSession
from accounts.tokens.scopes import SCOPES
from tests.support.api import Answer, call, get_tokens, renew
from tests.support.api_keys import (
    FORM,
    KEYS,
    NEW,
    change_password,
    is_alive,
    key_of,
    make,
    recent_token,
    row_of,
    shown_key,
)
from tests.support.api_steps import status_and_code
from tests.support.clock import Clock
from tests.support.routes import ROUTES
from tests.support.signin import signed_in
from tests.support.steps import make_user, sign_in

pytestmark = pytest.mark.django_db

TOO_LITTLE = (403, "insufficient_scope")
NOT_FRESH = (401, "insufficient_user_authentication")
FRESH_HEADER = 'Bearer error="insufficient_user_authentication", max_age="600"'
# The scopes with which a key may call each endpoint; None: no key may.
CALLS: dict[tuple[str, str], set[str] | None] = {
    ("GET", "users/<uuid:id>/"): {"read", "profile:read"},
    ("GET", "me/"): {"read", "profile:read"},
    ("PATCH", "me/"): {"write", "profile:write"},
    ("GET", "sessions/"): {"read", "sessions:read"},
    ("DELETE", "sessions/<uuid:id>/"): {"write", "sessions:write"},
    ("GET", "apps/"): {"read", "apps:read"},
    ("DELETE", "apps/<path:client_id>/"): {"write", "apps:write"},
    ("GET", "activity/"): {"read", "activity:read"},
    ("GET", "admin/users/"): None,
    ("GET", "admin/users/<uuid:id>/"): None,
    ("POST", "admin/users/<uuid:id>/<slug:act>/"): None,
    ("GET", "admin/invitations/"): None,
    ("POST", "admin/invitations/"): None,
    ("DELETE", "admin/invitations/<uuid:id>/"): None,
    ("GET", "keys/"): None,
    ("POST", "keys/"): None,
    ("GET", "keys/<slug:id>/"): None,
    ("DELETE", "keys/<slug:id>/"): None,
}


def closed_calls() -> Iterator[tuple[str, str]]:
    """Yield every endpoint of the URL map that needs credentials."""
    for entry in ROUTES:
        view = getattr(entry.callback, "cls", None)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            if view and view.permission_classes and hasattr(view, method.lower()):
                yield method, str(entry.pattern)


def test_the_table_lists_every_endpoint_that_needs_credentials() -> None:
    assert set(closed_calls()) == CALLS.keys()


@pytest.mark.parametrize("method, route", CALLS)
def test_a_key_opens_only_the_endpoints_of_its_scope(method: str, route: str) -> None:
    """This includes scopes that no key can be made with."""
    alice = make_user("alice")
    get_tokens()
    end = str(LoginSession.objects.get().pk if "sessions" in route else alice.pk)
    path = route.replace("<uuid:id>", end).replace("<slug:id>", row_of(key_of(alice)).pk)
    path = path.replace("<slug:act>", "deactivate")
    opened = set()

    for scope in sorted(SCOPES):
        answer = call(path, {}, method=method, token=key_of(alice, scope))
        if CALLS[method, route] is None:
            assert status_and_code(answer) == NOT_FRESH
            assert answer.headers["WWW-Authenticate"] == FRESH_HEADER
        elif status_and_code(answer) != TOO_LITTLE:
            opened.add(scope)
            # The second request to revoke a session does not find it.
            assert answer.status in {200, 204, 404}

    assert opened == (CALLS[method, route] or set())
    assert APIKey.objects.count() == len(SCOPES) + 1


MADE = {
    ("read write", "write profile:read"): "profile:read write",
    ("write profile:read", "profile:read"): "profile:read",
}
REFUSED: list[tuple[str, Any]] = [
    *(("keys:write", "profile:read"), ("keys:write", "read write"), ("write", "read")),
    ("keys:write profile:write", "profile:write profile:read"),
    *(("read write", "keys:write"), ("read write", "keys:read"), ("read write groups", "groups")),
    *(("read write", "read write admin"), ("read write", "READ"), ("read write", " ")),
    ("read write", ["read"]),
]


def test_a_key_gets_no_more_scope_than_its_token_has_and_cannot_make_keys() -> None:
    row = row_of(key_of(make_user("alice")))
    for held, wanted in REFUSED:
        answer = make(recent_token(scope=held), scope=wanted)
        assert (answer.status, list(answer.body)) == (400, ["scope"]), (held, wanted)
    assert make(recent_token(scope="keys:write")).status == 400, "the scope that is suggested"
    reader = recent_token(scope="keys:read")
    assert [key["id"] for key in call("keys/", token=reader)["results"]] == [row.pk]
    for answer in (make(reader), call(f"keys/{row.pk}/", method="DELETE", token=reader)):
        assert status_and_code(answer) == TOO_LITTLE
    assert list(APIKey.objects.all()) == [row]

    for (held, wanted), scope in MADE.items():
        assert make(recent_token(scope=held), scope=wanted)["scope"] == scope


def all_calls_on_keys(token: str, key: str) -> list[Answer]:
    path = f"keys/{row_of(key).pk}/"
    return [call("keys/", token=token), make(token), call(path, method="DELETE", token=token)]


def test_keys_cannot_be_managed_more_than_ten_minutes_after_authentication(clock: Clock) -> None:
    """Refreshing the access token does not help: only a new sign-in does."""
    key = key_of(make_user("alice"))
    person = get_tokens()
    for _ in range(2):
        clock.advance(minutes=4)
        person = renew(person["refresh"])
    clock.advance(minutes=2)
    assert call("keys/", token=person["access"]).status == 200, "just ten minutes"
    clock.advance(seconds=1)

    for answer in all_calls_on_keys(person["access"], key):
        assert status_and_code(answer) == NOT_FRESH
        assert answer.headers["WWW-Authenticate"] == FRESH_HEADER
    assert call("me/", token=person["access"]).status == 200
    assert is_alive(key)
    assert [answer.status for answer in all_calls_on_keys(recent_token(), key)] == [200, 201, 204]


def test_another_users_key_is_neither_visible_nor_revocable() -> None:
    alice, mallory = make_user("alice"), make_user("mallory")
    key = key_of(alice, name="mine")
    token, browser = recent_token(name="mallory"), signed_in(mallory)

    for guess in (row_of(key).pk, "a" * 16, "x" * 5000, "1", "-"):
        for method in ("GET", "DELETE"):
            assert call(f"keys/{guess}/", method=method, token=token).status == 404
        assert browser.post(KEYS, {"end": guess}).status_code == 404
    for guess in ("", "\0", f"{row_of(key).pk}\0\0x", key[:20]):
        assert browser.post(KEYS, {"end": guess}).status_code == 404
    assert call("keys/", token=token)["results"] == []
    assert "mine" not in browser.get(KEYS).text
    assert is_alive(key)
    assert not mallory.activity.filter(kind="key_ended").exists()


def test_a_staff_members_key_has_no_staff_rights() -> None:
    carol = make_user("carol", is_staff=True, is_superuser=True)
    alice = make_user("alice")
    key = key_of(carol, "read write")

    assert call(f"users/{alice.pk}/", token=key).status == 404
    assert call(f"users/{carol.pk}/", token=key)["username"] == "carol"
    get_tokens()
    session = LoginSession.objects.get(user=alice).pk
    assert call(f"sessions/{session}/", method="DELETE", token=key).status == 404


ODD_NAMES = ("", " ", "a\0b", "a\nb", "a\u202eb", "\ud800", "\ue000", "x" * 61, 5, None, ["a"])


def test_an_invalid_name_makes_no_key_and_markup_in_a_name_is_escaped() -> None:
    browser = signed_in(make_user("alice"))
    token = recent_token()
    for name in ODD_NAMES:
        answer = make(token, name=name)
        assert (answer.status, list(answer.body)) == (400, ["name"]), name
        # JSON can carry a lone surrogate, a form cannot.
        if isinstance(name, str) and name != "\ud800":
            page = browser.post(NEW, FORM | {"name": name})
            assert (page.status_code, shown_key(page)) == (200, "")
            assert "<title>Error:" in page.text
    assert not APIKey.objects.exists()

    longest = ("<script>alert(1)</script>'\"=1+1" + "W" * 60)[:60]
    made = browser.post(NEW, FORM | {"name": longest})
    assert shown_key(made)
    for page in (made, browser.get(KEYS), browser.get("/accounts/activity/")):
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert(1)" in page.text
    assert APIKey.objects.get().name == longest


def test_a_revoked_session_makes_no_key() -> None:
    """A new password revokes the thief's session and the tokens."""
    alice = make_user("alice")
    token, thief = recent_token(), signed_in(alice)
    sign_in(owner := Client(), "alice")

    change_password(alice, owner)

    assert make(token).status == 401
    assert thief.post(NEW, FORM).url.startswith("/accounts/login/")
    assert not APIKey.objects.exists()
