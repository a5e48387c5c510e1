"""Logout tokens open nothing, and nobody uses their sender to reach other servers (SSRF)."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser

from accounts.oauth import logout
from accounts.oauth.models import LogoutNotice
from accounts.sessions import services as sessions
from accounts.users.models import User
from tests.support.api import call
from tests.support.apps import connect_app, make_app
from tests.support.authorize import address
from tests.support.client_keys import KeyedApp, keyed_app
from tests.support.logout import ended, send_all, told_at
from tests.support.oauth_client import App, browser_of, new_app, set_client
from tests.support.process import slack
from tests.support.receiver import WITHIN, Receiver, drip, say
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(db: Any) -> User:
    return make_user("alice")


def test_no_private_address_is_reached_unless_its_registration_says_so(
    alice: User, receiver: Receiver, connections: list[str]
) -> None:
    browser = browser_of(alice)
    for number, host in enumerate(WITHIN):
        app = make_app(f"App {number}", backchannel_logout_uri=receiver.url(host=host))
        connect_app(browser, app)
    sessions.revoke(browser)

    send_all()

    assert connections == []
    assert LogoutNotice.objects.count() == len(WITHIN)


def test_a_slow_or_endless_answer_is_cut_off(
    alice: User, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logout, "SECONDS", 1.0)
    receiver.answers["/slow"] = drip
    receiver.answers["/long"] = say(200, b"x" * 5_000_000)
    ended(alice, told_at(receiver.url("/slow"), "Slow"))
    ended(alice, told_at(receiver.url("/long"), "Long"))
    began = time.monotonic()

    send_all()

    assert time.monotonic() - began < 4 * slack()
    assert LogoutNotice.objects.count() == 2


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")  # without the defence
def test_a_server_with_a_certificate_of_somebody_else_gets_no_token(
    alice: User, receiver: Receiver, settings: Any
) -> None:
    ended(alice, told_at(receiver.url(host="localhost")))
    send_all()
    set_up(settings, ca_file="")
    ended(alice, told_at(receiver.url(), "Wiki"))

    send_all()

    assert receiver.got == []


def logout_token(alice: User, app: App, receiver: Receiver) -> str:
    set_client(app, backchannel_logout_uri=receiver.url(), backchannel_logout_is_private=True)
    browser = browser_of(alice)
    app.sign_in(browser, "openid")
    sessions.revoke(browser)
    send_all()
    return receiver.tokens()[-1]


def test_a_logout_token_opens_nothing(alice: User, receiver: Receiver) -> None:
    app = new_app()
    token = logout_token(alice, app, receiver)
    here = signed_in(alice)

    assert call("me/", token=token).status == 401
    header = {"Authorization": f"Bearer {token}"}
    assert Browser().get("/oauth/userinfo", headers=header).status_code == 401
    assert app.introspect(token).body == {"active": False}
    assert app.refresh(token).error == "invalid_grant"
    assert app.redeem(token).error == "invalid_grant"
    hinted = here.get(address(app.client, id_token_hint=token))
    assert "error=invalid_request" in hinted["Location"]
    here.get("/oauth/logout", {"id_token_hint": token})
    page = here.get("/oauth/logout").text
    assert "Stay signed in" in page
    assert app.client.name not in page, "the token does not count as a hint"
    assert here.get("/").status_code == 200


@pytest.mark.parametrize("make", [new_app, keyed_app])
def test_a_logout_token_is_no_assertion_and_no_proof(
    alice: User, receiver: Receiver, make: Callable[[], App]
) -> None:
    app = make()
    token = logout_token(alice, app, receiver)
    proved = {"grant_type": "refresh_token", "refresh_token": "x"}

    assert app.post("/oauth/token", dpop=token, **proved).error == "invalid_dpop_proof"
    without_secret = app if isinstance(app, KeyedApp) else KeyedApp(app.client)
    answer = without_secret.post("/oauth/introspect", token="x", client_assertion=token)
    assert (answer.status, answer.error) == (401, "invalid_client")
