"""Attacks on browser clients of the API, whose refresh token is in a cookie."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support.api import call, exchange, get_tokens, is_good, renew, second_step
from tests.support.api_browser import App
from tests.support.api_steps import status_and_code
from tests.support.clock import Clock
from tests.support.second_factor import enrolled, unused_code
from tests.support.signin import signed_in
from tests.support.steps import WRONG, make_user, outbox

pytestmark = pytest.mark.django_db

DEAD = (401, "token_not_valid")
DAY = 24 * 3600


def test_the_refresh_token_is_in_an_httponly_cookie_and_in_no_body(clock: Clock) -> None:
    alice, app = make_user("alice"), App()
    enrolled(alice)
    first = app.sign_in()
    assert "refresh" not in app.client.cookies
    answers = [first, app.second_step(first["challenge"], code=unused_code(alice))]
    tokens = [app.refresh]
    for days_left in (25, 20, 15, 10, 5):
        clock.advance(days=5)
        answers.append(app.renew())
        tokens.append(app.refresh)
        cookie = app.cookie
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
        assert (cookie["path"], cookie["domain"]) == ("/", "")
        assert cookie["max-age"] == days_left * DAY, "the cookie ends with the session"

    assert [answer.status for answer in answers] == [401, 200, *[200] * 5]
    for answer in answers:
        assert "refresh" not in json.dumps(answer.body)
        assert "no-store" in answer.headers["Cache-Control"]
        for token in tokens:
            assert token not in json.dumps([answer.body, list(answer.headers.items())])
    clock.advance(days=5)
    assert status_and_code(app.renew()) == DEAD


def test_a_refresh_token_from_a_cookie_is_refused_in_a_body() -> None:
    """A program's refresh token is refused in the cookie, too."""
    make_user("alice")
    app, program = App(), get_tokens()
    app.sign_in()

    assert status_and_code(renew(app.refresh)) == DEAD
    assert status_and_code(call("token/verify/", {"token": app.refresh})) == DEAD
    assert status_and_code(call("me/", token=app.refresh)) == DEAD
    assert app.renew().status == 200
    for token in (program["refresh"], program["access"]):
        app.refresh = token
        assert status_and_code(app.renew()) == DEAD
        assert app.refresh == ""
    assert renew(program["refresh"]).status == 200


def test_a_challenge_works_only_at_the_endpoint_family_that_issued_it() -> None:
    alice, app = make_user("alice", emailed_codes=True), App()
    enrolled(alice)
    first = app.sign_in(scope="profile:read")
    assert status_and_code(first) == (401, "second_factor_required")
    pages, programs = first["challenge"], get_tokens()["challenge"]

    for _ in range(6):
        answers = [
            second_step(pages, unused_code(alice)),
            call("token/challenge/", {"challenge": pages, "method": "email"}),
            app.second_step(programs, code=unused_code(alice)),
            app.second_step(programs, method="email"),
        ]
        assert {status_and_code(answer) for answer in answers} == {(401, "invalid_challenge")}
    assert not LoginSession.objects.exists()
    assert outbox() == []
    asked = app.second_step(pages, method="email")
    assert (asked.status, asked.body) == (202, None)
    code = outbox()[-1].code
    answer = app.second_step(pages, code=code)
    assert (answer.status, answer["scope"]) == (200, "profile:read")
    assert is_good(answer["access"])
    assert status_and_code(app.second_step(pages, code=code)) == (401, "invalid_challenge"), (
        "a challenge is used up by success"
    )


def test_a_browser_clients_access_token_gets_no_other_token_and_no_key() -> None:
    """Otherwise a thief could renew a stolen access token for as long as the session lasts."""
    make_user("alice")
    access = App().sign_in()["access"]

    for token_request in ({}, {"scope": "profile:read"}):
        assert status_and_code(exchange(access, **token_request)) == DEAD
    answer = call("keys/", {"name": "loot", "scope": "read", "expires_at": None}, token=access)
    assert status_and_code(answer) == (403, "not_for_pages")
    assert call("keys/", token=access)["count"] == 0
    assert is_good(access)


def test_signing_in_again_revokes_the_previous_session() -> None:
    make_user("alice")
    make_user("mallory")
    app = App()
    first, kept = app.sign_in(), app.refresh
    assert app.call("session/", {"username": "alice", "password": WRONG}).status == 401
    assert is_good(first["access"]), "a wrong password revokes nothing"

    second = app.sign_in()
    third = app.sign_in("mallory")

    assert [is_good(answer["access"]) for answer in (first, second, third)] == [False, False, True]
    app.refresh = kept
    assert status_and_code(app.renew()) == DEAD
    assert LoginSession.objects.filter(ended_at=None).count() == 1


def test_signing_out_revokes_the_session_and_is_idempotent() -> None:
    alice, app, thief = make_user("alice"), App(), App()
    access, bystander = app.sign_in()["access"], get_tokens()["access"]
    thief.refresh = app.refresh

    for _ in range(2):
        answer = app.sign_out()
        assert (answer.status, answer.body, app.refresh) == (204, None, "")
        assert app.cookie["max-age"] == 0
        assert (app.cookie["httponly"], app.cookie["samesite"]) == (True, "Strict")

    assert not is_good(access)
    assert status_and_code(thief.renew()) == DEAD
    assert is_good(bystander)
    assert alice.activity.filter(kind="client_signed_out").count() == 1


def test_a_refresh_token_can_be_retried_for_thirty_seconds_and_later_reuse_revokes_the_session(
    clock: Clock,
) -> None:
    alice, app, twin = make_user("alice"), App(), App()
    app.sign_in()
    twin.refresh = used = app.refresh
    access = app.renew()["access"]
    clock.advance(seconds=29)
    assert (twin.renew().status, twin.refresh) == (200, app.refresh)

    twin.refresh = used
    clock.advance(seconds=1)

    assert status_and_code(twin.renew()) == (401, "token_reused")
    assert twin.refresh == ""
    assert not is_good(access)
    assert status_and_code(app.renew()) == DEAD
    assert alice.activity.filter(kind="token_reused").count() == 1


def by_the_page(_user: Any, browser: Client, _clock: Clock) -> None:
    row = LoginSession.objects.get(kind="app")
    assert str(row.pk) in browser.get("/accounts/sessions/").text
    assert browser.post("/accounts/sessions/", {"end": str(row.pk)}).status_code == 302


ENDS: dict[str, Callable[[Any, Client, Clock], Any]] = {
    "ended on the page": by_the_page,
    "locked down": lambda _u, browser, _c: browser.post("/accounts/lockdown/"),
    "switched off": lambda *_: User.objects.update(is_active=False),
    "deleted": lambda user, *_: user.delete(),
    "rested": lambda _u, _b, clock: clock.advance(days=7),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_revoked_session_cannot_be_refreshed_and_its_cookie_is_deleted(
    end: Callable[[Any, Client, Clock], Any], clock: Clock
) -> None:
    alice, app = make_user("alice"), App()
    browser = signed_in(alice)
    access = app.sign_in()["access"]

    end(alice, browser, clock)

    answer = app.renew()
    assert status_and_code(answer) == DEAD
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert (app.refresh, app.cookie["max-age"]) == ("", 0)
    assert not is_good(access)
