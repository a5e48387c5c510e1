"""The page and the API calls that list and disconnect the connected apps of a person."""

from typing import Any

import pytest

from accounts.sessions.models import LoginSession
from tests.support.api import call, get_tokens
from tests.support.apps import connect_app, make_app
from tests.support.signin import signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db

APPS = "/accounts/apps/"


@pytest.fixture
def alice(client, clock):
    """Alice, signed in with ``client``."""
    alice = make_user("alice")
    signed_in(alice, client)
    return alice


def test_an_app_is_listed_and_disconnected_after_a_page_that_says_what_ends(client, alice):
    assert "No apps are connected" in client.get(APPS).text
    app = make_app(is_verified=False)
    connect_app(LoginSession.objects.get(), app, "openid email offline_access")

    listed = client.get(APPS)

    assert "no-store" in listed["Cache-Control"]
    sees = "sees your email address; stays connected after you sign out here"
    for told in ("<bdi>Paperless</bdi>", "paperless.example.org", sees, "Not verified"):
        assert told in listed.text
    asked = client.get(f"{APPS}{app.pk}/").text
    for told in ("can’t ask us about you any more", "keeps what it has learned", "ask you again"):
        assert told in asked
    assert "<bdi>Paperless</bdi>" in client.get(APPS).text
    done = client.post(f"{APPS}{app.pk}/", follow=True).text
    assert "Paperless was disconnected." in done
    assert "No apps are connected" in done
    history = client.get("/accounts/activity/").text
    assert "An app was disconnected" in history
    assert "Paperless" in history


def test_the_api_lists_and_disconnects_apps(alice, clock):
    app = make_app()
    connect_app(LoginSession.objects.get(), app)
    token = get_tokens()["access"]

    answer: Any = call("apps/", token=token)

    assert answer["count"] == 1
    row = answer["results"][0]
    moments = {row.pop(name) for name in ("since", "used_at")}
    assert moments == {clock.now().isoformat().replace("+00:00", "Z")}
    assert row == {
        "client_id": app.pk,
        "name": "Paperless",
        "is_verified": True,
        "access": [{"audience": "", "scope": "openid email"}],
    }
    assert call(f"apps/{app.pk}/", method="DELETE", token=token).status == 204
    assert call("apps/", token=token)["results"] == []
    assert call(f"apps/{app.pk}/", method="DELETE", token=token).status == 404
