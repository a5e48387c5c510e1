"""Attacks with tokens of apps."""

import time

import pytest
from django.conf import settings as site
from django.contrib.auth.models import Group
from django.test import Client as Browser

from accounts.common.proofs import Method
from accounts.oauth import app_sessions, logout
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AppSession, LogoutNotice
from accounts.sessions import services as sessions
from accounts.tokens import access, keyring, signatures
from tests.support.api import call, claims_of, exchange, renew
from tests.support.apps import connect_app, make_app
from tests.support.authorize import address
from tests.support.client_keys import KeyedApp, keyed_app
from tests.support.logout import ended, send_all, told_at
from tests.support.oauth_client import (
    EVERYTHING,
    audience,
    browser_of,
    is_live,
    new_app,
    set_client,
)
from tests.support.process import slack
from tests.support.receiver import WITHIN, drip, say
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves

WIKI = "https://wiki.example.org"
API = f"{EVERYTHING} profile:read"


@pytest.fixture
def app(db):
    return new_app(scope=API, audiences=[audience()])


def test_a_refresh_token_of_an_app_is_useless_to_others(app, alice):
    token = app.sign_in(browser_of(alice))["refresh_token"]

    def steal(token):
        for thief in (new_app("Wiki"), new_app("Cli", is_public=True)):
            assert thief.refresh(token).error == "invalid_grant"
        assert renew(token).code == "token_not_valid"

    steal(token)
    newer = app.refresh(token)["refresh_token"]
    newest = app.refresh(newer)["refresh_token"]
    steal(token)

    assert app.refresh(newest).status == 200, "no thief has ended the session"


@proves("V10.4.5", "RFC9700-2.2.2")
def test_a_refresh_token_that_was_replaced_ends_the_session(app, alice, clock):
    """Withstands an attacker of apps."""
    first = app.sign_in(browser_of(alice))
    second = app.refresh(first["refresh_token"])
    clock.advance(seconds=31)

    assert app.refresh(first["refresh_token"]).error == "invalid_grant"

    assert app.refresh(second["refresh_token"]).error == "invalid_grant"
    assert not is_live(second["access_token"])
    assert alice.activity.filter(kind="token_reused").count() == 1


@proves("V7.6.1", "RFC9700-4.14")
def test_signing_out_ends_all_tokens_but_refresh_tokens_with_offline_access_at_once(app, alice):
    browser = browser_of(alice)
    staying, leaving = app.sign_in(browser), app.sign_in(browser, "openid")
    elsewhere = app.sign_in(browser_of(alice), "openid")

    sessions.revoke(browser)

    tokens = [given["access_token"] for given in (staying, leaving, elsewhere)]
    assert [is_live(token) for token in tokens] == [False, False, True]
    renewed = app.refresh(staying["refresh_token"])
    assert is_live(renewed["access_token"])
    assert not is_live(tokens[0])
    # The app has been told that this session has ended.
    assert claims_of(renewed["access_token"])["sid"] != claims_of(tokens[0])["sid"]
    assert app.introspect(tokens[0]).body == {"active": False}
    app.revoke(tokens[0])
    assert app.introspect(renewed["access_token"])["active"]


def test_many_sign_ins_of_a_browser_do_not_end_the_session_of_an_app_on_a_phone(app, alice, clock):
    """Withstands a hostile website."""
    browser = browser_of(alice)
    phone = app.sign_in(browser_of(alice))["refresh_token"]

    for _ in range(app_sessions.MOST):
        clock.advance(seconds=1)
        last = app.sign_in(browser, "openid")

    assert app.refresh(phone).status == 200
    assert is_live(last["access_token"])
    live = AppSession.objects.filter(client=app.client, session__ended_at=None)
    assert live.count() == app_sessions.MOST


def test_a_refresh_gives_no_more_than_the_app_may_request_now(app, alice):
    """Withstands a malicious app."""
    token = app.sign_in(browser_of(alice), API)["refresh_token"]

    set_client(app, scope="openid email offline_access profile:read")
    answer = app.refresh(token)
    assert answer["scope"] == "email offline_access openid profile:read"
    assert app.refresh(answer["refresh_token"], scope="openid profile").error == "invalid_scope"
    set_client(app, audiences=[])
    answer = app.refresh(answer["refresh_token"])
    assert answer["scope"] == "email offline_access openid"
    set_client(app, scope="openid email")

    assert app.refresh(answer["refresh_token"]).error == "invalid_grant"
    assert app.redeem(app.code(browser_of(alice), "groups")).error == "invalid_grant"


def test_a_refresh_is_refused_while_the_person_lacks_what_the_app_requires(app, alice):
    token = app.sign_in(browser_of(alice))["refresh_token"]
    editors = Group.objects.create(name="Editors")

    for needed in ({"factor": Client.Factor.PASSKEY}, {"required_group": editors}):
        set_client(app, **needed)
        assert app.refresh(token).error == "invalid_grant"
        set_client(app, factor="", required_group=None)
    assert app.refresh(token).status == 200, "no refused request has spent the token"
    alice.groups.add(editors)
    set_client(app, factor=Client.Factor.PASSKEY, required_group=editors)
    token = app.sign_in(browser_of(alice, Method.PASSKEY))["refresh_token"]
    assert app.refresh(token).status == 200


@proves("V9.2.4", "RFC9700-2.3")
def test_the_audience_of_tokens_cannot_be_changed_at_the_token_endpoint(alice, settings):
    set_up(settings, token_audiences=(WIKI,))
    app = new_app(audiences=[WIKI])
    here, there = browser_of(alice), browser_of(alice)
    of_site, of_wiki = app.sign_in(here), app.sign_in(there, audience=WIKI)

    assert app.refresh(of_site["refresh_token"], resource=WIKI).error == "invalid_target"
    assert app.refresh(of_wiki["refresh_token"], resource=audience()).error == "invalid_target"

    fresh = app.refresh(of_wiki["refresh_token"], resource=WIKI)["access_token"]
    assert claims_of(fresh)["aud"] == WIKI
    assert not is_live(fresh)
    set_client(app, audiences=[])
    assert app.refresh(of_wiki["refresh_token"]).error == "invalid_grant"


def test_the_own_calls_of_the_api_refuse_tokens_of_apps(app, alice):
    given = app.sign_in(browser_of(alice), API, audience=audience())
    access, refresh = given["access_token"], given["refresh_token"]
    page = Browser(headers={"Origin": site.AUTHSITE.origin, "X-Requested-With": "authsite"})
    page.cookies["refresh"] = refresh

    assert exchange(access).code == "token_not_valid"
    assert renew(refresh).code == "token_not_valid"
    assert call("token/verify/", {"token": access}).code == "token_not_valid"
    for token in (access, refresh):
        call("token/revoke/", {"token": token})
    assert page.post("/api/v1/session/refresh/", content_type="application/json").status_code == 401
    assert page.delete("/api/v1/session/").status_code == 204

    assert is_live(access)
    assert app.refresh(refresh).status == 200


def test_no_private_address_is_reached_unless_its_registration_says_so(
    alice, receiver, connections
):
    """Withstands a malicious server: SSRF by a logout URI."""
    browser = browser_of(alice)
    for number, host in enumerate(WITHIN):
        app = make_app(f"App {number}", backchannel_logout_uri=receiver.url(host=host))
        connect_app(browser, app)
    sessions.revoke(browser)

    send_all()

    assert connections == []
    assert LogoutNotice.objects.count() == len(WITHIN)


def test_a_slow_or_endless_answer_is_cut_off(alice, receiver, monkeypatch):
    monkeypatch.setattr(logout, "SECONDS", 1.0)
    receiver.answers["/slow"] = drip
    receiver.answers["/long"] = say(200, b"x" * 5_000_000)
    ended(alice, told_at(receiver.url("/slow"), "Slow"))
    ended(alice, told_at(receiver.url("/long"), "Long"))
    began = time.monotonic()

    send_all()

    assert time.monotonic() - began < 4 * slack()
    assert LogoutNotice.objects.count() == 2


@proves("V12.3.2")
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")  # without the defence
def test_a_server_with_a_certificate_of_somebody_else_gets_no_token(alice, receiver, settings):
    """Withstands a malicious server."""
    ended(alice, told_at(receiver.url(host="localhost")))
    send_all()
    set_up(settings, ca_file="")
    ended(alice, told_at(receiver.url(), "Wiki"))

    send_all()

    assert receiver.got == []


def logout_token(alice, app, receiver):
    set_client(app, backchannel_logout_uri=receiver.url(), backchannel_logout_is_private=True)
    browser = browser_of(alice)
    app.sign_in(browser, "openid")
    sessions.revoke(browser)
    send_all()
    return receiver.tokens()[-1]


@proves("V9.2.2")
def test_a_logout_token_opens_nothing(alice, receiver):
    """Withstands a forger."""
    app = new_app()
    token = logout_token(alice, app, receiver)
    here = signed_in(alice)

    assert call("me/", token=token).status == 401
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
def test_a_logout_token_is_no_assertion_and_no_proof(alice, receiver, make):
    app = make()
    token = logout_token(alice, app, receiver)
    proved = {"grant_type": "refresh_token", "refresh_token": "x"}

    assert app.post("/oauth/token", dpop=token, **proved).error == "invalid_dpop_proof"
    without_secret = app if isinstance(app, KeyedApp) else KeyedApp(app.client)
    answer = without_secret.post("/oauth/introspect", token="x", client_assertion=token)
    assert (answer.status, answer.error) == (401, "invalid_client")


def test_a_retired_key_verifies_nothing_but_hints_and_a_withdrawn_key_not_even_these(
    app, alice, clock
):
    """Withstands a forger.

    The attacker has copied the private keys before they were retired.
    """
    here, given = signed_in(alice), app.sign_in(browser_of(alice))
    stolen = [keyring.signer(), keyring.signer("RS256")]
    keyring.rotate()
    clock.advance(hours=2)
    keyring.prune()
    keyring.forget()
    fresh = app.refresh(given["refresh_token"])

    def is_hint(token):
        return "error=" not in here.get(address(app.client, id_token_hint=token))["Location"]

    assert is_hint(given["id_token"])
    for key in stolen:
        forged = signatures.sign(claims_of(fresh["access_token"]), access.TYPE, key)
        assert not is_live(forged)
        assert app.introspect(forged).body == {"active": False}
        for typ in (access.TYPE, logout.TYPE, "dpop+jwt"):
            assert not is_hint(signatures.sign(claims_of(given["id_token"]), typ, key))
    assert is_live(fresh["access_token"])
    keyring.rotate(now=True)
    assert not is_hint(given["id_token"])
