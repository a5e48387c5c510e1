"""Attacks around the consent to an app, and on connected apps."""

import json
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import QuerySet
from django.test import Client as Browser

from accounts.activity.services import Actor
from accounts.common.proofs import Method
from accounts.oauth import codes, connections
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AuthorizationCode, Connection, PairwiseSubject
from accounts.oauth.protocol import OAuthError
from accounts.oauth.scopes import SCOPES, in_words
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.tokens.access import AccessToken
from tests.support.api import call, claims_of, get_tokens
from tests.support.apps import WEB, asked_for, change, connect_app, make_app, register, the_app
from tests.support.authorize import AUTHORIZE, PAR, address, allow, begin, query, result
from tests.support.invitations import superuser
from tests.support.logout import send_all
from tests.support.oauth_client import FORM, HERE, VERIFIER, audience, browser_of, new_app
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import PASSWORD, make_user

LOGOUT = "/oauth/logout"
BYE = "https://paperless.example.org/bye"


@proves("V7.6.2", "RFC9700-4.16")
def test_a_double_click_at_the_choice_of_an_account_is_no_consent(alice):
    """Withstands an accident."""
    browser, app = signed_in(alice), make_app(scope="openid email")
    page = begin(browser, app, prompt="select_account")

    first, second = (allow(browser, page, "choose") for _ in range(2))

    assert (first.status_code, second.status_code) == (302, 200)
    assert 'value="allow"' in second.text
    assert not AuthorizationCode.objects.exists()
    assert "code" in result(allow(browser, second))


@pytest.mark.parametrize("wanted", ["openid offline_access", "openid profile:write"])
def test_a_cookie_of_forty_minutes_ago_gives_no_app_lasting_or_writing_access(alice, clock, wanted):
    """Withstands a thief with a cookie."""
    browser, reads = signed_in(alice), "openid email profile:read"
    app = make_app(scope=f"{reads} {wanted}", audiences=[audience()])
    clock.advance(minutes=4)
    opened = begin(browser, app, scope=wanted)
    clock.advance(minutes=36)

    for answer in (begin(browser, app, scope=wanted), allow(browser, opened)):
        assert answer["Location"].startswith("/accounts/reauthenticate/?next=/oauth/continue/")
        assert not AuthorizationCode.objects.exists()
    silent = browser.get(address(app, scope=wanted, prompt="none"))
    assert result(silent)["error"] == "consent_required"
    assert "code" in result(allow(browser, begin(browser, app, scope=reads)))
    back = browser.post(answer["Location"], {"password": PASSWORD})
    assert "code" in result(allow(browser, browser.get(back["Location"])))
    clock.advance(minutes=40)
    assert "code" in result(browser.get(address(app, scope=wanted))), "agreed to before"


def test_a_disabled_app_gets_nobody_sent_to_it_by_an_error_or_by_cancelling(alice):
    """Withstands a malicious app."""
    browser, app = signed_in(alice), make_app(scope="openid email")
    page = begin(browser, app)
    clients.set_enabled(app, Actor(), enabled=False)

    for answer in (
        browser.get(address(app, scope="unknown")),
        browser.get(address(app, prompt="none")),
        allow(browser, page, "cancel"),
        allow(browser, page),
    ):
        assert (answer.status_code, result(answer)) == (403, {})


@proves("V14.2.6")
def test_an_app_that_may_change_the_profile_does_not_thereby_read_it(alice):
    scope = "profile:read profile:write"
    app, session = new_app(scope=scope, audiences=[audience()]), browser_of(alice)
    writer = app.sign_in(session, "profile:write")["access_token"]
    both = app.sign_in(session, scope)["access_token"]

    told, untold = (
        call("me/", {"about": "Hello"}, method="PATCH", token=token) for token in (both, writer)
    )
    assert (told.status, told["email"]) == (200, "alice@example.org")
    assert (untold.status, untold.body) == (204, None)


def test_people_are_told_what_else_an_app_sees_that_reads_the_profile_or_the_history(alice):
    """Withstands a malicious app."""
    scope = "openid profile:read activity:read"
    app = make_app(scope=scope, audiences=[audience()])
    profile = "your profile, with your email address and groups"
    history = "your security history, including the apps you’ve connected"

    page = begin(signed_in(alice), app, scope=scope).text
    assert (profile in page, history in page) == (True, True)
    assert in_words(scope.split()) == [f"sees {profile}", f"sees {history}"]


def test_a_disconnected_app_signs_nobody_out_without_asking(alice):
    browser, app = signed_in(alice), new_app(logout_uris=[BYE])
    session = LoginSession.objects.get(user=alice)
    connections.agree(asked_for(app.client, audience=audience()), alice, Actor())
    hint = app.sign_in(session, "openid")["id_token"]
    connections.disconnect(alice, app.client.pk, Actor())

    first = browser.get(LOGOUT, {"id_token_hint": hint})

    assert "Paperless" in browser.get(first["Location"]).text
    session.refresh_from_db()
    assert session.ended_at is None


def test_pages_of_another_site_use_up_no_limit_of_requests(alice, settings):
    """Withstands a hostile website."""
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


def test_scripts_of_another_site_use_up_no_limit_of_public_apps(settings):
    set_up(settings, limits_scale=0.02)
    app = new_app(scope="openid email", is_public=True, is_device=True)
    script = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "empty"}

    for path in (PAR, "/oauth/device_authorization") * 4:
        answer = app.browser.post(path, urlencode(query(app.client)), FORM, headers=script)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")

    assert app.browser.get(address(app.client)).status_code == 303


def test_an_app_that_was_disconnected_does_not_learn_who_is_signed_in(alice):
    """Withstands a malicious app."""
    app = new_app(factor="second_factor")
    hint = app.sign_in(browser_of(alice, Method.PASSWORD, Method.TOTP))["id_token"]
    asked = address(app.client, id_token_hint=hint, prompt="none")

    answers = [b.get(asked) for b in (signed_in(alice), signed_in(make_user("bob")), Browser())]

    assert [result(answer)["error"] for answer in answers] == ["login_required"] * 3


def test_a_script_in_a_session_cannot_sign_in_to_apps_without_bound(alice, settings):
    """Withstands a malicious app."""
    set_up(settings, limits_scale=0.05)
    browser, app = signed_in(alice), make_app(scope="openid email", is_first_party=True)

    answers = [result(browser.get(address(app))) for _ in range(6)]

    assert ["code" in answer for answer in answers] == [True] * 3 + [False] * 3
    assert answers[3]["error"] == "temporarily_unavailable"
    assert signed_in(alice).get(address(app)).status_code == 303


def test_an_app_cannot_use_up_the_profile_changes_of_the_person_or_of_another_app(alice, settings):
    """Withstands a malicious app."""
    set_up(settings, limits_scale=0.1)
    scope, session = "profile:write", browser_of(alice)
    greedy, other = (
        new_app(name, scope=scope, audiences=[audience()]).sign_in(session, scope)["access_token"]
        for name in ("Greedy", "Other")
    )

    def change(token, about):
        return call("me/", {"about": about}, method="PATCH", token=token).status

    assert [change(greedy, str(i)) for i in range(4)] == [204, 204, 204, 429]
    assert change(other, "hello") == 204
    assert change(get_tokens()["access"], "hi") == 200


SECTOR = "shop.example.org"
IDENTIFIERS = ("sub", "sid", "jti")


def told(app, browser):
    """Return everything that ``app`` gets to know of the user of ``browser`` by its tokens."""
    given = app.sign_in(browser, "openid offline_access")
    again = app.refresh(given["refresh_token"])
    userinfo = app.browser.get(
        "/oauth/userinfo", headers={"Authorization": f"Bearer {again['access_token']}"}
    )
    return [
        *(claims_of(given[name]) for name in ("id_token", "access_token")),
        claims_of(again["access_token"]),
        json.loads(userinfo.content),
        *(app.introspect(again[name]).body for name in ("access_token", "refresh_token")),
    ]


def test_apps_of_different_sectors_get_nothing_by_which_they_can_compare_people(alice, receiver):
    """Withstands a malicious app."""
    browser, bob = browser_of(alice), make_user("bob")
    known: dict[str, list[dict[str, Any]]] = {}
    for name, sector in (("Shop", SECTOR), ("Wiki", "wiki.example.org"), ("Blog", SECTOR)):
        uri = receiver.url(f"/{name}")
        fields = {"backchannel_logout_uri": uri, "backchannel_logout_is_private": True}
        app = new_app(name, "openid offline_access", sector=sector, **fields)
        known[name] = told(app, browser)
        assert told(app, browser_of(alice))[0]["sub"] == known[name][0]["sub"]
        assert told(app, browser_of(bob))[0]["sub"] != known[name][0]["sub"]

    # Logout tokens are sent even after the account is deleted.
    for session in alice.login_sessions.filter(kind="connected"):
        sessions.revoke(session)
    ids = {str(alice.pk), str(bob.pk)}
    alice.delete()
    send_all()
    for name, facts in known.items():
        facts += [claims_of(token) for token in receiver.tokens(f"/{name}")]
        assert len(facts) == 8
        assert len({fact["sub"] for fact in facts}) == 1
        assert not any(text in json.dumps(facts) for text in ids)

    shop, wiki, blog = (
        {fact[name] for fact in facts for name in IDENTIFIERS if name in fact}
        for facts in known.values()
    )
    assert shop.isdisjoint(wiki)
    assert shop & blog == {known["Shop"][0]["sub"]}
    assert PairwiseSubject.objects.values_list("user", flat=True).distinct().get() == bob.pk


def test_no_app_learns_identifiers_by_an_api_as_a_service_or_in_a_sector_of_others(settings, alice):
    """Withstands a malicious app."""
    set_up(settings, token_audiences=("https://api.example.org",))
    for wrong in (
        {"scope": "openid profile:read"},
        {"audiences": [settings.AUTHSITE.origin]},
        {"audiences": ["https://api.example.org"]},
        {"resource": "https://api.example.org"},
    ):
        with pytest.raises(ValidationError, match="can’t use an API or be a service"):
            new_app(sector=SECTOR, **wrong)

    for source in (Client.Source.DOCUMENT, Client.Source.REGISTRATION):
        new_app(sector="paperless.example.org", source=source)
        for taken in ({"sector": SECTOR}, {"sector": "paperless.example.org", "is_device": True}):
            with pytest.raises(ValidationError, match="Only an app that an operator"):
                new_app(source=source, **taken)

    access = new_app(sector=SECTOR).sign_in(browser_of(alice))["access_token"]
    for path in ("me/", "sessions/", "apps/"):
        assert call(path, token=access).code == "insufficient_scope"


def test_an_id_token_hint_names_the_person_by_the_pairwise_identifier(alice):
    """Withstands a malicious app."""
    app = new_app(scope="openid email", sector=SECTOR, is_first_party=True)
    alice.pairwise_subjects.create(pk=uuid.UUID(int=0), sector="wiki.example.org")
    hint = app.sign_in(browser_of(alice), "openid")["id_token"]
    asked = {"id_token_hint": hint, "prompt": "none"}

    assert "code" in result(begin(signed_in(alice), app.client, **asked))
    # The app does not know bob yet, then it does.
    bob = make_user("bob")
    for _time in range(2):
        answer = result(begin(signed_in(bob), app.client, **asked))
        assert answer["error"] == "login_required"
        app.sign_in(browser_of(bob), "openid")


def test_identifiers_cannot_change_once_people_use_the_app(alice):
    """Withstands an operator's mistake."""
    carol = superuser()[1]
    register(carol)
    change(carol, sector="www.example.org")
    change(carol, sector=SECTOR)
    assert the_app().sector == SECTOR
    connect_app(browser_of(alice), the_app())

    for sector in ("", "www.example.org"):
        assert "wouldn’t recognise its users" in change(carol, sector=sector).text
    assert change(carol, name="Shop", sector=SECTOR).status_code == 302

    assert (the_app().name, the_app().sector) == ("Shop", SECTOR)


def test_two_sign_ins_at_the_same_time_get_the_same_identifier(alice, monkeypatch):
    """Withstands a race."""
    client = new_app(sector=SECTOR).client
    first = connections.make_pairwise(client, alice)
    find, misses = QuerySet.get, [PairwiseSubject.DoesNotExist]

    def find_late(rows, **key):
        if misses:
            raise misses.pop()
        return find(rows, **key)

    # The other request inserts its row just after this one has found none.
    monkeypatch.setattr(QuerySet, "get", find_late)

    assert connections.make_pairwise(client, alice) == first
    assert not misses


def test_a_code_of_an_account_that_is_deleted_meanwhile_leaves_no_identifier(alice):
    """Withstands a race."""
    app = new_app(sector=SECTOR)
    code = app.code(browser_of(alice))
    held = codes.get(code, app.client, WEB, codes.code_challenge_of(VERIFIER))
    alice.delete()

    with pytest.raises(OAuthError):
        codes.redeem(held, HERE)

    connection.check_constraints()


@pytest.fixture
def app():
    return make_app()


@pytest.fixture
def session(alice, app):
    """The session of the app that alice has connected."""
    signed_in(alice)
    yield connect_app(LoginSession.objects.get(), app)
    assert Connection.objects.filter(user=alice).exists()


def test_the_apps_of_another_person_are_neither_listed_nor_disconnected(session, app):
    mallory = signed_in(make_user("mallory"))
    token, page = get_tokens("mallory")["access"], f"/accounts/apps/{app.pk}/"

    assert "Paperless" not in mallory.get("/accounts/apps/").text
    assert [mallory.get(page).status_code, mallory.post(page).status_code] == [404, 404]
    assert call("apps/", token=token)["results"] == []
    assert call(f"apps/{app.pk}/", method="DELETE", token=token).status == 404


def test_no_token_of_an_app_lists_or_disconnects_apps(session, app):
    """Withstands a malicious app.

    Even a token with every scope that apps can request.
    """
    token = str(AccessToken.issue(session, settings.AUTHSITE.origin, frozenset(SCOPES)))
    assert call("me/", token=token).status == 200

    for path, method in (("apps/", "GET"), (f"apps/{app.pk}/", "DELETE")):
        answer = call(path, method=method, token=token)
        assert answer.short == (403, "insufficient_scope")


def test_an_app_does_not_learn_of_other_apps(session, app):
    """Withstands a malicious app."""
    browser = LoginSession.objects.get(kind="browser")
    connect_app(browser, make_app("Wiki"))
    scope = frozenset({"sessions:read"})
    token = str(AccessToken.issue(session, settings.AUTHSITE.origin, scope))

    found = {row["id"] for row in call("sessions/", token=token)["results"]}

    assert found == {str(browser.pk), str(session.pk)}
