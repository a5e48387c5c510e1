"""The authorization endpoint: consent, how a request reaches the site, and what it survives."""

from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client as Browser

from accounts.oauth.models import AuthorizationCode, AuthorizationRequest, Client, Connection
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
    push,
    query,
    result,
    target,
)
from tests.support.clock import Clock
from tests.support.oauth_client import new_app
from tests.support.openid_provider import OpenIDProvider
from tests.support.second_factor import code_of, enrolled
from tests.support.signin import set_up
from tests.support.social import round_trip
from tests.support.steps import LOGIN, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def app() -> Client:
    return make_app(scope="openid profile email groups offline_access profile:write")


def test_after_consent_the_app_gets_a_code_and_its_state_and_the_issuer(
    settings: Any, app: Client, alice: User, browser: Browser
) -> None:
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
    assert not AuthorizationRequest.objects.exists()


def test_a_person_who_has_agreed_is_sent_back_at_once_and_nothing_is_stored(
    app: Client, browser: Browser
) -> None:
    allow(browser, begin(browser, app))

    answer = browser.get(address(app, scope="openid"))

    assert answer.status_code == 303
    assert "code" in result(answer)
    assert not AuthorizationRequest.objects.exists()


def test_a_new_scope_and_another_service_ask_again(
    settings: Any, app: Client, browser: Browser
) -> None:
    wiki = "https://wiki.example.org"
    set_up(settings, token_audiences=(wiki,))
    Client.objects.update(audiences=[wiki])
    allow(browser, begin(browser, app))

    assert "your username" in begin(browser, app, scope="openid profile").text
    page = begin(browser, app, resource=wiki)
    assert f"will use <bdi>{wiki}</bdi> on your behalf" in page.text
    allow(browser, page)
    assert set(Connection.objects.values_list("audience", flat=True)) == {
        settings.AUTHSITE.origin,
        wiki,
    }


def test_a_first_party_app_skips_consent(browser: Browser) -> None:
    assert "code" in result(browser.get(address(first_party(), prompt="consent")))


@pytest.mark.parametrize("uri", ["http://127.0.0.1:4711/back", "org.example.app:/back"])
def test_a_program_on_a_device_asks_for_consent_each_time(browser: Browser, uri: str) -> None:
    """Any program can receive the code there (RFC 8252 section 8.6)."""
    app = make_app("Tool", is_public=True, is_first_party=True, scope="openid email")
    uris = ["http://127.0.0.1/back", "org.example.app:/back"]
    Client.objects.filter(pk=app.pk).update(redirect_uris=uris)

    for _ in range(2):
        page = begin(browser, app, redirect_uri=uri)
        assert "Any program on your device" in page.text
        assert target(allow(browser, page)).startswith(f"{uri}?code=")


def test_cancelling_sends_the_person_back_without_a_code(app: Client, browser: Browser) -> None:
    answer = allow(browser, begin(browser, app), "cancel")

    assert (result(answer)["error"], result(answer)["state"]) == ("access_denied", "s-1")
    assert not Connection.objects.exists()
    assert not AuthorizationRequest.objects.exists()


def test_a_request_survives_the_sign_in_and_a_second_step(app: Client, alice: User) -> None:
    seed, browser = enrolled(alice), Browser()
    long = "x" * 8000

    page = begin(browser, app, state=long, login_hint="alice")
    assert page.url.startswith(f"{LOGIN}?next=/oauth/continue/")
    sign_in_page = browser.get(page.url)
    assert "to continue to <bdi>Paperless</bdi>" in sign_in_page.text
    assert 'value="alice"' in sign_in_page.text
    here = page_of_request(page)
    sign_in(browser, "alice", next=here)
    answer = browser.post("/accounts/2fa/challenge/", {"code": code_of(seed)})

    assert answer.url == here
    assert result(allow(browser, browser.get(here)))["state"] == long


def test_a_request_survives_the_detour_to_a_provider(app: Client, op: OpenIDProvider) -> None:
    browser = Browser()
    here = page_of_request(begin(browser, app, max_age="0", state="kept"))

    answer = round_trip(browser, op, next=here)

    assert answer.url == here
    assert result(allow(browser, browser.get(here)))["state"] == "kept"


def test_the_sign_up_page_knows_the_email_and_the_app(app: Client) -> None:
    browser = Browser()
    page = begin(browser, app, login_hint="bob@example.org")

    text = browser.get("/accounts/signup/", {"next": page_of_request(page)}).text

    assert "to continue to <bdi>Paperless</bdi>" in text
    assert 'value="bob@example.org"' in text


def test_ui_locales_choose_the_language_until_somebody_is_signed_in(
    app: Client, browser: Browser
) -> None:
    stranger = Browser()
    begin(stranger, app, ui_locales="x-klingon fr-CA de-AT en")

    assert "Anmelden" in stranger.get(LOGIN).text
    begin(browser, app, ui_locales="de")
    assert "django_language" not in browser.cookies


def test_an_app_pushes_its_request_and_the_browser_brings_its_uri(
    browser: Browser, clock: Clock
) -> None:
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


def test_a_form_of_the_app_may_send_the_request(app: Client, browser: Browser) -> None:
    """The browser sends no cookie with it, so the site continues with a GET."""
    answer = Browser(enforce_csrf_checks=True).post(AUTHORIZE, query(app))
    assert answer.status_code == 303

    page = browser.get(browser.get(answer["Location"])["Location"])

    assert "code" in result(allow(browser, page))


def test_a_parameter_without_a_value_counts_as_missing(browser: Browser) -> None:
    empty = {"request_uri": "", "prompt": "", "max_age": "", "resource": "", "id_token_hint": ""}

    assert "code" in result(browser.get(address(first_party(), **empty)))


def test_the_query_of_a_redirect_uri_is_kept_and_a_state_is_not_invented(browser: Browser) -> None:
    uri, app = f"{WEB}?shop=1", first_party()
    Client.objects.update(redirect_uris=[uri])

    answer = browser.get(address(app, redirect_uri=uri, state=None))

    assert target(answer).startswith(f"{uri}&code=")
    assert result(answer).keys() == {"shop", "code", "iss"}


def test_unknown_scopes_are_ignored_and_those_of_other_apps_refused(
    app: Client, browser: Browser
) -> None:
    allow(browser, begin(browser, app, scope="openid  address phone openid"))
    assert AuthorizationCode.objects.get().scope == "openid"

    for scope in ("", "address", "openid sessions:read"):
        assert result(browser.get(address(app, scope=scope)))["error"] == "invalid_scope"


def test_tokens_for_the_api_need_an_app_that_may_have_them(
    settings: Any, app: Client, browser: Browser
) -> None:
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
    assert "can’t change anything here" not in page.text


def test_sign_ins_that_people_finish_use_up_no_limit_of_their_network(
    app: Client, browser: Browser, settings: Any
) -> None:
    set_up(settings, limits_scale=0.02)

    for act in ("cancel", "cancel", "allow", "cancel"):
        page = begin(browser, app, prompt="consent")
        assert allow(browser, page, act).status_code == 200

    assert [begin(Browser(), app).status_code for _ in range(3)] == [302, 302, 429]


def test_a_pushed_request_gives_back_to_a_network_what_it_has_cost_and_no_more(
    browser: Browser, settings: Any
) -> None:
    shop = new_app("Shop")
    set_up(settings, limits_scale=0.05)

    def opened(browser: Browser = browser) -> Any:
        pushed = shop.post(PAR, **query(shop.client))
        return begin(browser, shop.client, request_uri=pushed["request_uri"])

    for act in (*["cancel"] * 6, "allow"):
        assert allow(browser, opened(), act).status_code == 200
    assert ["code" in result(opened()) for _ in range(2)] == [True] * 2
    assert [begin(Browser(), shop.client).status_code for _ in range(6)] == [302] * 6
    assert opened(Browser()).status_code == 429


def test_requests_end_after_an_hour_and_are_pruned(
    app: Client, browser: Browser, clock: Clock
) -> None:
    page = begin(browser, app)
    clock.advance(hours=1)

    answer = allow(browser, page)
    assert answer.status_code == 400
    assert "Start again in the app" in answer.text
    call_command("prune")
    assert not AuthorizationRequest.objects.exists()
