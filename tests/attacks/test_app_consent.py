"""Apps that want more than a person has agreed to, or go on after they were stopped."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client as Browser

from accounts.activity.services import Actor
from accounts.common.proofs import Method
from accounts.oauth import connections
from accounts.oauth.clients import services as clients
from accounts.oauth.models import AuthorizationCode
from accounts.oauth.scopes import in_words
from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support.api import call, get_tokens
from tests.support.apps import asked_for, make_app
from tests.support.authorize import AUTHORIZE, PAR, address, allow, begin, query, result
from tests.support.oauth_client import FORM, audience, browser_of, new_app
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db

LOGOUT = "/oauth/logout"
BYE = "https://paperless.example.org/bye"


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


def test_a_double_click_at_the_choice_of_an_account_is_no_consent(alice: User) -> None:
    browser, app = signed_in(alice), make_app(scope="openid email")
    page = begin(browser, app, prompt="select_account")

    first, second = (allow(browser, page, "choose") for _ in range(2))

    assert (first.status_code, second.status_code) == (302, 200)
    assert 'value="allow"' in second.text
    assert not AuthorizationCode.objects.exists()
    assert "code" in result(allow(browser, second))


def test_a_disabled_app_gets_nobody_sent_to_it_by_an_error_or_by_cancelling(alice: User) -> None:
    browser, app = signed_in(alice), make_app(scope="openid email")
    page = begin(browser, app)
    clients.set_enabled(app, Actor(), enabled=False)

    for answer in (
        browser.get(address(app, scope="unknown")),
        browser.get(address(app, code_challenge=None)),
        allow(browser, page, "cancel"),
        allow(browser, page),
    ):
        assert (answer.status_code, result(answer)) == (403, {})


def test_an_app_that_may_change_the_profile_does_not_thereby_read_it(alice: User) -> None:
    scope = "profile:read profile:write"
    app, session = new_app(scope=scope, audiences=[audience()]), browser_of(alice)
    writer = app.sign_in(session, "profile:write")["access_token"]
    both = app.sign_in(session, scope)["access_token"]

    told, untold = (
        call("me/", {"about": "Hello"}, method="PATCH", token=token) for token in (both, writer)
    )
    assert (told.status, told["email"]) == (200, "alice@example.org")
    assert (untold.status, untold.body) == (204, None)


def test_people_are_told_what_else_an_app_sees_that_reads_the_profile_or_the_history(
    alice: User,
) -> None:
    scope = "openid profile:read activity:read"
    app = make_app(scope=scope, audiences=[audience()])
    profile = "your profile, with your email address and groups"
    history = "your security history, including the apps you’ve connected"

    page = begin(signed_in(alice), app, scope=scope).text
    assert (profile in page, history in page) == (True, True)
    assert in_words(scope.split()) == [f"sees {profile}", f"sees {history}"]


def test_a_disconnected_app_signs_nobody_out_without_asking(alice: User) -> None:
    browser, app = signed_in(alice), new_app(logout_uris=[BYE])
    session = LoginSession.objects.get(user=alice)
    connections.agree(asked_for(app.client, audience=audience()), alice, Actor())
    hint = app.sign_in(session, "openid")["id_token"]
    connections.disconnect(alice, app.client.pk, Actor())

    browser.get(LOGOUT, {"id_token_hint": hint})

    assert "Paperless" in browser.get(LOGOUT).text
    session.refresh_from_db()
    assert session.ended_at is None


def test_pages_of_another_site_use_up_no_limit_of_requests(alice: User, settings: Any) -> None:
    set_up(settings, limits_scale=0.02)
    app = make_app(scope="openid email")
    browser = Browser()

    # Chromium sends this for speculation rules, which load pages in advance.
    ahead = {"Sec-Fetch-Dest": "document", "Sec-Purpose": "prefetch;prerender"}
    for dest in ("image", "iframe", "script", "empty") * 4:
        embedded = {"Sec-Fetch-Dest": dest}
        assert browser.get(address(app), headers=ahead).status_code == 400
        assert browser.get(address(app), headers=embedded).status_code == 400
        assert browser.post(AUTHORIZE, query(app), headers=embedded).status_code == 400

    silent = browser.get(address(app, prompt="none"), headers={"Sec-Fetch-Dest": "iframe"})
    assert result(silent)["error"] == "login_required"
    page = browser.get(address(app), headers={"Sec-Fetch-Dest": "document"})
    assert page.status_code == 303


def test_scripts_of_another_site_use_up_no_limit_of_public_apps(settings: Any) -> None:
    set_up(settings, limits_scale=0.02)
    app = new_app(scope="openid email", is_public=True, is_device=True)
    script = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "empty"}

    for path in (PAR, "/oauth/device_authorization") * 4:
        answer = app.browser.post(path, urlencode(query(app.client)), FORM, headers=script)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")

    assert app.browser.get(address(app.client)).status_code == 303


def test_an_app_that_was_disconnected_does_not_learn_who_is_signed_in(alice: User) -> None:
    app = new_app(factor="second_factor")
    hint = app.sign_in(browser_of(alice, Method.PASSWORD, Method.TOTP))["id_token"]
    asked = address(app.client, id_token_hint=hint, prompt="none")

    answers = [b.get(asked) for b in (signed_in(alice), signed_in(make_user("bob")), Browser())]

    assert [result(answer)["error"] for answer in answers] == ["login_required"] * 3


def test_a_script_in_a_session_cannot_sign_in_to_apps_without_bound(
    alice: User, settings: Any
) -> None:
    set_up(settings, limits_scale=0.05)
    browser, app = signed_in(alice), make_app(scope="openid email", is_first_party=True)

    statuses = [browser.get(address(app)).status_code for _ in range(6)]

    assert statuses == [303, 303, 303, 429, 429, 429]
    assert signed_in(alice).get(address(app)).status_code == 303


def test_an_app_cannot_use_up_the_profile_changes_of_the_person_or_of_another_app(
    alice: User, settings: Any
) -> None:
    set_up(settings, limits_scale=0.1)
    scope, session = "profile:write", browser_of(alice)
    greedy, other = (
        new_app(name, scope=scope, audiences=[audience()]).sign_in(session, scope)["access_token"]
        for name in ("Greedy", "Other")
    )

    def change(token: str, about: str) -> int:
        return call("me/", {"about": about}, method="PATCH", token=token).status

    assert [change(greedy, str(i)) for i in range(4)] == [204, 204, 204, 429]
    assert change(other, "hello") == 204
    assert change(get_tokens()["access"], "hi") == 200
