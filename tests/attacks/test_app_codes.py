"""Attacks on authorization codes: copied, used twice, and redeemed by others."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from accounts.activity.services import Actor
from accounts.oauth.clients import services as clients
from accounts.oauth.models import AuthorizationCode
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support.apps import WEB
from tests.support.clock import Clock
from tests.support.oauth_client import App, browser_of, is_live, new_app, set_client
from tests.support.signin import set_up
from tests.support.steps import mail_to, make_user

pytestmark = pytest.mark.django_db

OTHER = "https://wiki.example.org"


@pytest.fixture
def app(db: None) -> App:
    return new_app()


@pytest.fixture
def browser(db: None) -> LoginSession:
    return browser_of(make_user("alice"))


def apps_sessions() -> int:
    return LoginSession.objects.filter(kind=LoginSession.Kind.CONNECTED).count()


def test_a_second_use_of_a_code_ends_what_it_gave_and_is_told_to_the_person(
    app: App, browser: LoginSession
) -> None:
    code = app.code(browser, "openid offline_access")
    first = app.redeem(code)
    assert is_live(first["access_token"])

    for _ in range(2):
        assert app.redeem(code).error == "invalid_grant"

    assert not is_live(first["access_token"])
    assert app.refresh(first["refresh_token"]).error == "invalid_grant"
    events = browser.user.activity.filter(kind="code_reused")
    assert [row.detail for row in events] == ["Paperless"]
    assert "its code was used twice" in mail_to("alice").subject


def test_only_the_app_that_got_the_code_can_redeem_it_or_end_what_it_gave(
    app: App, browser: LoginSession
) -> None:
    wiki, public = new_app("Wiki"), new_app("Cli", is_public=True)
    code = app.code(browser)

    for thief in (wiki, public):
        assert thief.redeem(code).error == "invalid_grant"
    token = app.redeem(code)["access_token"]
    for thief in (wiki, public):
        assert thief.redeem(code).error == "invalid_grant"

    assert is_live(token)


@pytest.mark.parametrize(
    "form, error",
    [
        ({"code_verifier": ""}, "invalid_request"),
        ({"code_verifier": "b" * 43}, "invalid_grant"),
        ({"redirect_uri": f"{WEB}/"}, "invalid_grant"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"code": "a" * 43}, "invalid_grant"),
        ({"code": ""}, "invalid_request"),
        ({"resource": OTHER}, "invalid_target"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
    ],
)
def test_whoever_lacks_a_part_neither_gets_a_token_nor_spends_or_revokes_the_code(
    app: App, browser: LoginSession, form: dict[str, str], error: str
) -> None:
    code = app.code(browser)
    assert app.redeem(code, **form).error == error
    assert apps_sessions() == 0

    token = app.redeem(code)["access_token"]
    assert app.redeem(code, **form).error == error

    assert is_live(token)


def test_a_code_without_a_challenge_cannot_be_redeemed_with_or_without_a_verifier(
    app: App, browser: LoginSession
) -> None:
    """Such a code is never issued; a copy of a challenge is no verifier either."""
    code = app.code(browser, code_challenge="")
    stored = AuthorizationCode.objects.get()

    assert app.redeem(code).error == "invalid_grant"
    assert app.redeem(code, code_verifier="").error == "invalid_request"
    other = app.code(browser)
    challenge = AuthorizationCode.objects.exclude(pk=stored.pk).get().code_challenge
    assert app.redeem(other, code_verifier=challenge).error == "invalid_grant"
    assert apps_sessions() == 0


def test_a_code_expires_after_code_seconds(
    app: App, browser: LoginSession, clock: Clock, settings: Any
) -> None:
    set_up(settings, code_seconds=20)
    late, in_time = app.code(browser), app.code(browser)

    clock.advance(seconds=19)
    assert app.redeem(in_time).status == 200
    clock.advance(seconds=1)
    assert app.redeem(late).error == "invalid_grant"


def test_what_is_stored_of_a_code_cannot_be_used_as_a_code(app: App, browser: LoginSession) -> None:
    code = app.code(browser)
    stored = AuthorizationCode.objects.get()

    assert code not in str(vars(stored))
    assert app.redeem(stored.digest).error == "invalid_grant"


def deactivate(user: User, _app: App) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def change_password(user: User, _app: App) -> None:
    """Change it in the browser session that the code comes from, which stays signed in."""
    User.objects.filter(pk=user.pk).update(credential_version=user.credential_version + 1)


def sign_out(user: User, _app: App) -> None:
    sessions.revoke_all(user)


def let_the_session_expire(user: User, _app: App) -> None:
    rows = LoginSession.objects.filter(user=user)
    rows.update(idle_at=rows.get().begun_at - timedelta(seconds=1))


def disable(_user: User, app: App) -> None:
    clients.set_enabled(app.client, Actor(), enabled=False)


def require_a_factor(_user: User, app: App) -> None:
    set_client(app, factor="second_factor")


@pytest.mark.parametrize(
    "change",
    [deactivate, change_password, sign_out, let_the_session_expire, disable, require_a_factor],
    ids=lambda change: change.__name__,
)
def test_a_code_gives_nothing_after_the_account_the_session_or_the_app_has_changed(
    app: App, browser: LoginSession, change: Callable[[User, App], None]
) -> None:
    code = app.code(browser)

    change(browser.user, app)

    assert app.redeem(code).error == ("invalid_client" if change is disable else "invalid_grant")
    assert apps_sessions() == 0
