"""Authorization requests, and what an app requires of people."""

import json
import uuid

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client as Browser

from accounts.common.proofs import Method
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AuthorizationCode, AuthorizationRequest, Connection
from accounts.users.models import User
from tests.support.apps import WEB, make_app
from tests.support.authorize import (
    AUTHORIZE,
    PAR,
    address,
    allow,
    begin,
    first_party,
    page_of_request,
    posted,
    push,
    query,
    result,
    target,
)
from tests.support.oauth_client import browser_of, new_app
from tests.support.second_factor import code_of, enrolled
from tests.support.signin import set_up, signed_in
from tests.support.social import round_trip
from tests.support.standards import proves
from tests.support.steps import LOGIN, LOGOUT, PASSWORD, make_user, sign_in
from tests.support.webauthn import registered


@pytest.fixture
def app():
    return make_app(scope="openid profile email groups offline_access profile:write")


def test_after_consent_the_app_gets_a_code_and_its_state_and_the_issuer(
    settings, app, alice, browser
):
    page = begin(browser, app)
    assert "Sign in to <bdi>Paperless</bdi>" in page.text
    assert "your email address, <bdi>alice@example.org</bdi>" in page.text

    answer = allow(browser, page)

    assert target(answer).startswith(f"{WEB}?code=")
    assert answer.status_code == 200
    assert set(result(answer)) == {"code", "state", "iss"}
    assert (result(answer)["state"], result(answer)["iss"]) == ("s-1", settings.AUTHSITE.origin)
    code = AuthorizationCode.objects.get()
    assert (code.user, code.client, code.redirect_uri, code.nonce) == (alice, app, WEB, "n-1")
    assert (code.scope, code.audience) == ("openid email", settings.AUTHSITE.origin)

    again = browser.get(address(app, scope="openid"))

    assert again.status_code == 303, "who has agreed is sent back at once"
    assert "code" in result(again)
    assert not AuthorizationRequest.objects.exists()


def test_a_new_scope_and_another_service_ask_again(settings, app, browser):
    wiki = "https://wiki.example.org"
    set_up(settings, token_audiences=(wiki,))
    Client.objects.update(audiences=[wiki])
    allow(browser, begin(browser, app))

    assert "your username" in begin(browser, app, scope="openid profile").text
    page = begin(browser, app, resource=wiki)
    assert f"will use <bdi>{wiki}</bdi> on your behalf" in page.text
    allow(browser, page)
    assert Connection.objects.count() == 2


@pytest.mark.parametrize("uri", ["http://127.0.0.1:4711/back", "org.example.app:/back"])
def test_a_program_on_a_device_asks_for_consent_each_time(browser, uri):
    """Any program can receive the code there (RFC 8252 section 8.6)."""
    app = make_app("Tool", is_public=True, is_first_party=True, scope="openid email")
    uris = ["http://127.0.0.1/back", "org.example.app:/back"]
    Client.objects.filter(pk=app.pk).update(redirect_uris=uris)

    for _ in range(2):
        page = begin(browser, app, redirect_uri=uri)
        assert "Any program on your device" in page.text
        assert target(allow(browser, page)).startswith(f"{uri}?code=")


def test_an_app_in_development_asks_for_consent_each_time_and_says_so(browser):
    local = "http://localhost:8080/callback"
    fields = {"is_development": True, "redirect_uris": ["http://localhost/callback", WEB]}
    app = new_app("Draft", "openid email", **fields).client

    for uri in (local, WEB, WEB):
        page = begin(browser, app, redirect_uri=uri)
        assert "This app is in development" in page.text
        assert target(allow(browser, page)).startswith(f"{uri}?code=")
    silent = browser.get(address(app, prompt="none"))
    assert result(silent)["error"] == "consent_required"


def test_the_page_of_the_sign_in_names_the_app_only_in_the_browser_of_the_request(app):
    browser = Browser()
    page = begin(browser, app, login_hint="alice")
    here = {"next": page.url.partition("next=")[2]}

    assert app.name in browser.get(LOGIN, here).text
    for other, path in ((Browser(), here), (browser, {"next": "/oauth/continue/x"})):
        text = other.get(LOGIN, path).text
        assert app.name not in text
        assert 'value="alice"' not in text
    begin(browser, app, login_hint="a" * 300, ui_locales="de " * 100)
    row = AuthorizationRequest.objects.latest("made_at")
    assert (len(row.login_hint), len(row.ui_locales)) == (254, 255)


def test_a_request_survives_the_detour_to_a_provider(app, op):
    browser, long = Browser(), "x" * 8000
    page = begin(browser, app, max_age="0", state=long, login_hint="alice")
    assert page.url.startswith(f"{LOGIN}?next=/oauth/continue/")
    assert 'value="alice"' in browser.get(page.url).text
    here = page_of_request(page)

    answer = round_trip(browser, op, next=here)

    assert answer.url == here
    assert result(allow(browser, browser.get(here)))["state"] == long


def test_ui_locales_choose_the_language_until_somebody_is_signed_in(app, browser):
    stranger = Browser()
    begin(stranger, app, ui_locales="x-klingon sv-SE de-AT en")

    assert "Anmelden" in stranger.get(LOGIN).text
    begin(browser, app, ui_locales="de")
    assert "django_language" not in browser.cookies


def test_an_app_pushes_its_request_and_the_browser_brings_its_uri(browser, clock):
    app = make_app(is_public=True, scope="openid email")
    pushed = push(app, prompt="consent", state="pushed")
    assert (pushed.status_code, pushed.json()["expires_in"]) == (201, 90)
    assert "no-store" in pushed["Cache-Control"]
    uri = pushed.json()["request_uri"]
    assert uri.startswith("urn:ietf:params:oauth:request_uri:")

    clock.advance(seconds=89)
    # Parameters beside the URI change nothing.
    reopened = [
        browser.get(AUTHORIZE, {"client_id": app.pk, "request_uri": uri, "prompt": "none"})
        for _ in range(2)
    ]
    assert reopened[0]["Location"] == reopened[1]["Location"]
    clock.advance(minutes=59)
    answer = allow(browser, browser.get(reopened[0]["Location"]))

    assert result(answer)["state"] == "pushed"


def test_a_form_of_the_app_may_send_the_request(app, browser):
    """The browser sends no cookie with it, so the site continues with a GET."""
    answer = Browser(enforce_csrf_checks=True).post(AUTHORIZE, query(app))
    assert answer.status_code == 303

    page = browser.get(browser.get(answer["Location"])["Location"])

    assert "code" in result(allow(browser, page))


@proves("RFC9700-2.1-e")
def test_a_page_posts_the_answer_to_an_app_that_asks_for_a_form(app, browser):
    """Withstands a malicious app: a script in its state."""
    asked = {"response_mode": "form_post", "state": "a\"'<b>&"}
    answers = [
        browser.get(address(app, **asked, prompt="none")),
        browser.get(address(app, **asked, scope="everything")),
        allow(browser, begin(browser, app, **asked), "cancel"),
        allow(browser, begin(browser, app, **asked)),
        browser.get(address(app, **asked)),
    ]

    for answer, code in zip(
        answers, ["consent_required", "invalid_scope", "access_denied", "", ""], strict=True
    ):
        fields = posted(answer)
        assert (fields["state"], fields["iss"]) == (asked["state"], "http://localhost:8000")
        assert fields.get("error", "") == code
        assert ("code" in fields) == (not code)
        assert f'<form method="post" action="{WEB}">' in answer.text
        assert answer.text.count("<form") == 1
        policy = answer["Content-Security-Policy"]
        assert "form-action" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "no-store" in answer["Cache-Control"]
    assert "form-action 'self'" in browser.get("/")["Content-Security-Policy"]


def test_a_parameter_without_a_value_counts_as_missing(browser):
    empty = {"request_uri": "", "prompt": "", "max_age": "", "resource": "", "id_token_hint": ""}

    assert "code" in result(browser.get(address(first_party(), **empty)))


def test_the_query_of_a_redirect_uri_is_kept_and_a_state_is_not_invented(browser):
    uri, app = f"{WEB}?shop=1", first_party()
    Client.objects.update(redirect_uris=[uri])

    answer = browser.get(address(app, redirect_uri=uri, state=None))

    assert target(answer).startswith(f"{uri}&code=")
    assert result(answer).keys() == {"shop", "code", "iss"}


def test_unknown_scopes_are_ignored_and_those_of_other_apps_refused(app, browser):
    allow(browser, begin(browser, app, scope="openid  address phone openid"))
    assert AuthorizationCode.objects.get().scope == "openid"

    for scope in ("", "address", "openid sessions:read"):
        assert result(browser.get(address(app, scope=scope)))["error"] == "invalid_scope"


def test_tokens_for_the_api_need_an_app_that_may_have_them(settings, app, browser):
    asked = {"scope": "openid profile:write"}
    for resource in (None, settings.AUTHSITE.origin, "https://unknown.example.org"):
        answer = browser.get(address(app, **asked, resource=resource))
        assert result(answer)["error"] == "invalid_target"
    # TOKEN_AUDIENCES no longer has the service of this app.
    Client.objects.update(audiences=["https://unknown.example.org"])
    answer = browser.get(address(app, resource="https://unknown.example.org"))
    assert result(answer)["error"] == "invalid_target"

    Client.objects.update(audiences=[settings.AUTHSITE.origin])
    page = begin(browser, app, **asked)
    assert "change your profile" in page.text
    assert "can’t change anything in your account" not in page.text


def test_sign_ins_that_people_finish_use_up_no_limit_of_their_network(app, alice, settings):
    """Withstands a flood: many people share an IP address."""
    set_up(settings, limits_scale=0.02)

    for act in ("cancel", "cancel", "allow", "cancel"):
        stranger = Browser()
        here = page_of_request(begin(stranger, app, prompt="consent"))
        page = signed_in(alice, stranger).get(here)
        assert allow(stranger, page, act).status_code == 200

    assert [begin(Browser(), app).status_code for _ in range(3)] == [302, 302, 303]


def test_a_pushed_request_costs_a_network_nothing_and_gives_it_nothing_back(browser, settings):
    """Withstands a malicious app."""
    shop = new_app("Shop")
    set_up(settings, limits_scale=0.05)

    def opened(browser=browser):
        pushed = shop.post(PAR, **query(shop.client))
        return begin(browser, shop.client, request_uri=pushed["request_uri"])

    for act in (*["cancel"] * 6, "allow"):
        assert allow(browser, opened(), act).status_code == 200
    assert ["code" in result(opened()) for _ in range(2)] == [True] * 2
    statuses = [begin(Browser(), shop.client).status_code for _ in range(7)]
    assert statuses == [302] * 6 + [303]
    for act in ("cancel", "allow"):
        allow(browser, opened(), act)
    assert begin(Browser(), shop.client).status_code == 303
    assert opened(Browser()).status_code == 302


def test_requests_end_after_an_hour_and_are_pruned(app, browser, clock):
    page = begin(browser, app)
    clock.advance(hours=1)

    answer = allow(browser, page)
    assert answer.status_code == 400
    assert "Start again in the app" in answer.text
    call_command("prune")
    assert not AuthorizationRequest.objects.exists()


REAUTHENTICATE = "/accounts/reauthenticate/"


@pytest.mark.parametrize(
    "changes",
    [{"prompt": "login"}, {"prompt": "consent  login login"}, {"max_age": "60"}, {"max_age": "0"}],
)
def test_prompt_login_and_max_age_ask_to_authenticate_again(clock, browser, changes):
    app = first_party()
    clock.advance(seconds=61)

    page = begin(browser, app, **changes)
    assert page.url.startswith(f"{REAUTHENTICATE}?next=")
    for _ in range(2):
        assert browser.get(page_of_request(page)).url == page.url
    answer = browser.post(page.url, {"password": PASSWORD, "next": page_of_request(page)})

    clock.advance(seconds=30)
    assert "code" in result(browser.get(answer.url))


def test_a_recent_authentication_satisfies_max_age(clock, browser):
    app = first_party()
    clock.advance(seconds=60)

    for max_age in ("60", "9" * 18):
        assert "code" in result(browser.get(address(app, max_age=max_age)))


def test_who_has_no_password_signs_in_again_and_comes_back(clock):
    bob = make_user("bob", password=None)
    browser, app = signed_in(bob, by=[Method.MAIL]), first_party()
    clock.advance(seconds=1)
    page = begin(browser, app, prompt="login")
    here = page_of_request(page)

    form = browser.get(page.url).text
    assert "sign out, then sign in again" in form
    assert f'name="next" value="{here}"' in form
    assert browser.post(LOGOUT, {"next": here}).url == f"{LOGIN}?next={here}"
    signed_in(bob, browser, by=[Method.MAIL])
    assert "code" in result(browser.get(here))


def test_a_copied_session_cookie_gives_no_code(browser):
    """It comes from a browser that has not signed in, so its user must reauthenticate first."""
    app = first_party()
    other = Browser(headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})
    other.cookies = browser.cookies

    page = begin(other, app)
    here = page_of_request(page)
    assert other.get(page.url).url.startswith(f"{REAUTHENTICATE}?next=")
    other.post(REAUTHENTICATE, {"password": PASSWORD, "next": here})
    assert "code" in result(other.get(here))


def test_an_app_that_needs_a_passkey_is_offered_no_code(alice):
    app, browser = first_party(factor="passkey"), signed_in(alice)
    page = begin(browser, app)
    here = page_of_request(page)
    assert page.url == f"/accounts/2fa/passkeys/add/?next={here.replace('/', '%2F')}"

    seed = enrolled(alice)
    registered(alice)
    browser = signed_in(User.objects.get(pk=alice.pk))
    page = begin(browser, app)
    assert page.url.startswith(f"{REAUTHENTICATE}?next=")
    form = browser.get(page.url).text
    assert "data-passkey" in form
    assert 'name="code"' not in form
    # The factor that the app needs cannot be stripped from the address.
    here = page_of_request(page)
    stripped = f"{REAUTHENTICATE}?next={here}"
    answer = browser.post(stripped, {"code": code_of(seed, 1), "next": here})
    assert answer.url == here
    assert browser.get(here).url == page.url


def in_a_trusted_browser(alice):
    """Sign alice in with her password, in a browser that needs no second step."""
    methods = [Method.PASSWORD, Method.TRUSTED_BROWSER]
    return signed_in(User.objects.get(pk=alice.pk), by=methods)


def test_an_app_that_needs_a_second_factor_asks_for_it_or_leads_to_setting_one_up(alice):
    app, browser = first_party(factor="second_factor"), signed_in(alice)
    page = begin(browser, app)
    assert page.url.startswith("/accounts/2fa/totp/setup/?next=%2Foauth%2Fcontinue")
    assert "<bdi>Wiki</bdi> needs two-step verification" in browser.get(page.url).text

    seed = enrolled(alice)
    trusting = in_a_trusted_browser(alice)
    page = begin(trusting, app)
    here = page_of_request(page)
    assert page.url.startswith(REAUTHENTICATE)
    trusting.post(page.url, {"code": code_of(seed), "next": here})
    assert "code" in result(trusting.get(here))


def test_acr_values_ask_people_for_a_factor_only_if_they_hold_one(alice, browser):
    app = first_party()
    assert "code" in result(browser.get(address(app, acr_values="aal2")))

    enrolled(alice)
    trusting = in_a_trusted_browser(alice)
    assert "code" in result(trusting.get(address(app, acr_values="aal1 aal2")))
    assert begin(trusting, app, acr_values="phr aal2 aal1").url.startswith(REAUTHENTICATE)


def asking(**claims):
    """Return the parameters of a request for ``claims`` in the ID token."""
    return {"scope": "openid", "claims": json.dumps({"id_token": claims})}


def test_requested_claims_add_the_scopes_that_grant_them_if_the_app_may_have_these(app, browser):
    email = {"userinfo": {"email": {"essential": True}, "phone_number": None}, "id_token": None}
    page = begin(browser, app, scope="openid", claims=json.dumps(email))
    assert "your email address" in page.text
    allow(browser, page)
    assert AuthorizationCode.objects.get().scope == "openid email"
    allow(browser, begin(browser, app, scope="profile", claims=json.dumps(email)))
    assert AuthorizationCode.objects.latest("expires_at").scope == "profile"

    Client.objects.update(scope="openid")
    answer = browser.get(address(app, **asking(given_name={"essential": True})))
    assert "code" in result(answer), "a claim that the app may not have is left out"
    for malformed in ("[]", "{", '{"id_token": 1}', '{"id_token": {"acr": 1}}', "[" * 4000):
        answer = browser.get(address(app, scope="openid", claims=malformed))
        assert result(answer)["error"] == "invalid_request", malformed


def test_an_essential_acr_and_a_sub_must_be_met(alice, browser):
    app, nobody = first_party(), str(uuid.uuid4())
    two = {"essential": True, "values": ["phr", "aal2"]}
    for acr, error in (
        *(
            (two, "interaction_required"),
            ({"essential": True, "value": "aal2"}, "interaction_required"),
        ),
        *(
            ({"essential": True, "values": unknown}, "unmet_authentication_requirements")
            for unknown in (["phr"], 2)
        ),
        ({"essential": True}, ""),
        *(({"values": ["aal2"]}, ""), ({"essential": True, "values": ["aal1", "aal2"]}, "")),
    ):
        answer = browser.get(address(app, **asking(acr=acr), prompt="none"))
        assert result(answer).get("error", "") == error, acr
    assert begin(browser, app, **asking(acr=two)).url.startswith("/accounts/2fa/totp/setup/")

    for sub, error in ((str(alice.pk), ""), (nobody, "login_required"), ("x", "invalid_request")):
        answer = browser.get(address(app, **asking(sub={"value": sub}), prompt="none"))
        assert result(answer).get("error", "") == error
    hinted = new_app(is_first_party=True)
    hint = hinted.sign_in(browser_of(alice))["id_token"]
    for sub, error in ((str(alice.pk), ""), *((x, "invalid_request") for x in (nobody, [], {}))):
        both = asking(sub={"value": sub}) | {"id_token_hint": hint}
        assert result(browser.get(address(hinted.client, **both))).get("error", "") == error


def test_people_outside_the_group_of_an_app_are_told_so(alice, browser):
    group = Group.objects.create(name="Editors")
    app = first_party(required_group=group)

    page = begin(browser, app)
    assert page.status_code == 403
    assert "You can’t sign in to <bdi>Wiki</bdi>" in page.text
    assert result(allow(browser, page, "cancel"))["error"] == "access_denied"

    alice.groups.add(group)
    assert "code" in result(browser.get(address(app)))


def test_another_account_signs_in_and_continues_the_same_request(app, browser):
    bob = make_user("bob")
    elsewhere = signed_in(User.objects.get(username="alice"))
    here = page_of_request(begin(browser, app, prompt="select_account"))

    answer = browser.post(LOGOUT, {"next": here})
    assert answer.url == f"{LOGIN}?next={here}"
    sign_in(browser, "bob", next=here)
    answer = allow(browser, browser.get(here))

    assert "code" in result(answer)
    assert AuthorizationCode.objects.get().user == bob
    assert elsewhere.get("/").status_code == 200


def test_an_id_token_hint_lets_only_that_person_continue(alice, browser):
    app = new_app(is_first_party=True)
    hint = app.sign_in(browser_of(alice))["id_token"]
    mallory = signed_in(make_user("mallory"))

    assert "code" in result(browser.get(address(app.client, id_token_hint=hint)))
    foreign = browser.get(address(first_party(), id_token_hint=hint))
    assert result(foreign)["error"] == "invalid_request", "another app has got the hint"
    answer = mallory.get(address(app.client, id_token_hint=hint, prompt="none"))
    assert result(answer)["error"] == "login_required"
    page = begin(mallory, app.client, id_token_hint=hint)
    assert "asked for a different account" in page.text
    assert "asked for a different account" in allow(mallory, page, "choose").text
    mallory.post(LOGOUT, {"next": page_of_request(page)})
    sign_in(mallory, "alice")
    assert "code" in result(mallory.get(page_of_request(page)))


@pytest.mark.parametrize(
    "fields, changes, error",
    [
        ({}, {}, "consent_required"),
        ({"is_first_party": True}, {"max_age": "0"}, "login_required"),
        ({"is_first_party": True, "factor": "passkey"}, {}, "interaction_required"),
        ({"factor": "second_factor"}, {}, "interaction_required"),
    ],
)
def test_prompt_none_gets_an_error_instead_of_a_page(clock, browser, fields, changes, error):
    app = make_app(scope="openid email", **fields)
    clock.advance(seconds=1)

    answer = browser.get(address(app, prompt="none", **changes))

    assert (result(answer)["error"], result(answer)["state"]) == (error, "s-1")
    assert not AuthorizationRequest.objects.exists()


@pytest.mark.parametrize("factor", [Client.Factor.ANY, Client.Factor.PASSKEY])
def test_cancelling_the_set_up_of_a_factor_leads_back_to_the_app(browser, factor):
    page = begin(browser, first_party(factor=factor))
    here = page_of_request(page)

    assert f'name="act" value="cancel" formaction="{here}"' in browser.get(page.url).text
    assert result(browser.post(here, {"act": "cancel"}))["error"] == "access_denied"
