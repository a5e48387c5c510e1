"""Attacks on connected apps: by other people, and by the apps themselves."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client as Browser

from accounts.oauth.models import Client, Connection
from accounts.oauth.scopes import SCOPES
from accounts.sessions.models import LoginSession
from accounts.tokens.access import AccessToken
from accounts.users.models import User
from tests.support.api import call, get_tokens
from tests.support.api_steps import status_and_code
from tests.support.apps import connect_app, make_app
from tests.support.signin import signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> User:
    return make_user("alice")


@pytest.fixture
def app() -> Client:
    return make_app()


@pytest.fixture
def session(alice: User, app: Client) -> Iterator[LoginSession]:
    """The session of the app that alice has connected."""
    signed_in(alice)
    yield connect_app(LoginSession.objects.get(), app)
    assert Connection.objects.filter(user=alice).exists()


def test_the_apps_of_another_person_are_neither_listed_nor_disconnected(
    session: LoginSession, app: Client
) -> None:
    mallory = signed_in(make_user("mallory"))
    token, page = get_tokens("mallory")["access"], f"/accounts/apps/{app.pk}/"

    assert "Paperless" not in mallory.get("/accounts/apps/").text
    assert [mallory.get(page).status_code, mallory.post(page).status_code] == [404, 404]
    assert call("apps/", token=token)["results"] == []
    assert call(f"apps/{app.pk}/", method="DELETE", token=token).status == 404


def test_no_token_of_an_app_lists_or_disconnects_apps(session: LoginSession, app: Client) -> None:
    """Even a token with every scope that apps can request."""
    token = str(AccessToken.issue(session, settings.AUTHSITE.origin, frozenset(SCOPES)))
    assert call("me/", token=token).status == 200

    for path, method in (("apps/", "GET"), (f"apps/{app.pk}/", "DELETE")):
        answer = call(path, method=method, token=token)
        assert status_and_code(answer) == (403, "insufficient_scope")


def test_an_app_does_not_learn_of_other_apps(session: LoginSession, app: Client) -> None:
    browser = LoginSession.objects.get(kind="browser")
    connect_app(browser, make_app("Wiki"))
    scope = frozenset({"sessions:read"})
    token = str(AccessToken.issue(session, settings.AUTHSITE.origin, scope))

    found = {row["id"] for row in call("sessions/", token=token)["results"]}

    assert found == {str(browser.pk), str(session.pk)}


def test_another_site_disconnects_nothing(session: LoginSession, app: Client) -> None:
    browser = signed_in(session.user, Browser(enforce_csrf_checks=True))

    assert browser.post(f"/accounts/apps/{app.pk}/").status_code == 403


def test_malformed_client_ids_cause_no_server_error(alice: User) -> None:
    browser, token = signed_in(alice), get_tokens()["access"]
    for client_id in ("%00", "a%00b", "%F0%9F%92%A5", "a" * 5_000, "..%2F", "%27--"):
        assert browser.get(f"/accounts/apps/{client_id}/").status_code == 404
        assert browser.post(f"/accounts/apps/{client_id}/").status_code == 404
        assert call(f"apps/{client_id}/", method="DELETE", token=token).status == 404
