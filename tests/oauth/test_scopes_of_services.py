"""Scopes that other services define in AUDIENCE_SCOPES."""

from typing import Any

import pytest
from django.test import Client as Browser

from accounts.activity.services import Actor
from accounts.oauth import connections
from accounts.oauth.models import Client, Connection
from accounts.users.models import User
from tests.support.api import claims_of
from tests.support.apps import asked_for, make_app, page_of
from tests.support.authorize import address, allow, begin, push, result
from tests.support.document_host import REDIRECT, DocumentHost
from tests.support.invitations import superuser
from tests.support.oauth_client import browser_of, new_app
from tests.support.registration import new_token, self_register
from tests.support.signin import set_up

pytestmark = pytest.mark.django_db

SHOP, WIKI = "https://shop.example.org", "https://wiki.example.org"
SCOPE = "openid offline_access orders:read orders:write"


@pytest.fixture(autouse=True)
def _services(settings: Any) -> None:
    scopes = {
        SHOP: {"orders:read": "view your orders", "orders:write": "change <b>your orders</b>"},
        WIKI: {"pages": "read your pages", "email": "read everything"},
    }
    set_up(settings, token_audiences=(SHOP, WIKI), audience_scopes=scopes)


def test_people_read_what_an_app_may_do_at_a_service(browser: Browser) -> None:
    app = make_app(scope=SCOPE, audiences=[SHOP])

    page = begin(browser, app, scope=SCOPE, resource=SHOP)
    assert "<bdi>view your orders</bdi>" in page.text
    assert "change &lt;b&gt;your orders&lt;/b&gt;" in page.text
    assert "can’t change anything here" not in page.text
    allow(browser, page)

    words = f"uses {SHOP} on your behalf (view your orders, change &lt;b&gt;your orders&lt;/b&gt;)"
    assert words in browser.get("/accounts/apps/").text
    assert "code" in result(browser.get(address(app, scope=SCOPE, resource=SHOP)))


def test_a_token_for_a_service_has_the_scopes_of_that_service_only(
    settings: Any, alice: User
) -> None:
    app = new_app(scope=f"{SCOPE} pages", audiences=[SHOP, WIKI])

    given = app.sign_in(browser_of(alice), f"{SCOPE} pages", audience=SHOP)

    claims = claims_of(given["access_token"])
    assert (claims["aud"], claims["scope"]) == (SHOP, " ".join(sorted(SCOPE.split())))
    again = app.refresh(given["refresh_token"])
    assert again["scope"] == claims["scope"]
    set_up(settings, audience_scopes={})
    assert app.refresh(again["refresh_token"])["scope"] == "offline_access openid"


@pytest.mark.parametrize("resource", [None, WIKI])
def test_a_scope_of_another_service_is_refused(browser: Browser, resource: str | None) -> None:
    app = make_app(scope=SCOPE, audiences=[SHOP, WIKI], is_public=True)

    for asked in ({"scope": "openid orders:read"}, {"scope": "openid pages orders:read"}):
        answer = browser.get(address(app, **asked, resource=resource))
        assert result(answer)["error"] == "invalid_scope"
    assert push(app, scope="orders:read", resource=resource).json()["error"] == "invalid_scope"


def test_an_app_without_the_service_gets_none_of_its_scopes(browser: Browser, alice: User) -> None:
    app = new_app(scope=SCOPE, audiences=[WIKI])

    answer = browser.get(address(app.client, scope=SCOPE, resource=SHOP))

    assert result(answer)["error"] == "invalid_target"
    code = app.code(browser_of(alice), SCOPE, audience=SHOP)
    assert app.redeem(code).error == "invalid_grant"


def test_an_agreement_holds_only_for_scopes_that_the_app_still_has(alice: User) -> None:
    app = make_app(scope=SCOPE, audiences=[SHOP])
    connections.agree(asked_for(app, SCOPE, SHOP), alice, Actor())
    app.scope = "openid orders:read"

    connections.agree(asked_for(app, "orders:read", SHOP), alice, Actor())

    assert Connection.objects.get().scope == "openid orders:read"


def test_apps_register_themselves_with_the_scopes_of_the_token() -> None:
    text = new_token(scope="openid orders:read", audiences=(SHOP,))

    self_register(text, scope="openid orders:read orders:write pages")

    assert Client.objects.get().scope == "openid orders:read"


def test_an_mcp_client_has_the_scopes_of_the_services_that_the_operator_names(
    host: DocumentHost, browser: Browser, settings: Any
) -> None:
    set_up(settings, client_metadata_audiences=(SHOP,))
    asked = {"scope": "openid orders:read", "redirect_uri": REDIRECT}

    page = begin(browser, host.app, **asked, resource=SHOP)

    assert "<bdi>view your orders</bdi>" in page.text
    assert "pages" not in Client.objects.get().scope


def test_a_scope_that_a_service_no_longer_defines_stops_no_change_of_the_app(
    host: DocumentHost, browser: Browser, settings: Any
) -> None:
    set_up(settings, client_metadata_audiences=(SHOP,))
    begin(browser, host.app, scope="openid", redirect_uri=REDIRECT)
    assert "orders:read" in host.app.scope
    set_up(settings, audience_scopes={})

    superuser()[1].post(page_of(host.app), {"is_verified": "on"})

    assert host.app.is_verified
