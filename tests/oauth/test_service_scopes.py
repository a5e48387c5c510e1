"""The scopes that other services define, and the tokens for these services."""

import pytest
from django.utils import translation

from accounts.oauth.scopes import permissions_at
from tests.support.administration import REASON
from tests.support.api import claims_of
from tests.support.apps import make_app, page_of
from tests.support.authorize import address, allow, begin, push, result
from tests.support.document_host import REDIRECT
from tests.support.invitations import superuser
from tests.support.oauth_client import browser_of, new_app
from tests.support.signin import set_up
from tests.support.standards import proves

SHOP, WIKI = "https://shop.example.org", "https://wiki.example.org"
SCOPE = "openid offline_access orders:read orders:write"


@pytest.fixture(autouse=True)
def _services(settings):
    scopes = {
        SHOP: {
            "orders:read": {"en": "view your orders", "de": "deine Bestellungen ansehen"},
            "orders:write": {"en": "change <b>your orders</b>"},
        },
        WIKI: {"pages": {"en": "read your pages"}, "email": {"en": "read everything"}},
    }
    set_up(settings, token_audiences=(SHOP, WIKI), audience_scopes=scopes)


def test_people_read_what_an_app_may_do_at_a_service(browser):
    app = make_app(scope=SCOPE, audiences=[SHOP])

    page = begin(browser, app, scope=SCOPE, resource=SHOP)
    assert "<bdi>view your orders</bdi>" in page.text
    assert "change &lt;b&gt;your orders&lt;/b&gt;" in page.text
    assert "can’t change anything in your account" not in page.text
    allow(browser, page)

    words = f"uses {SHOP} on your behalf (view your orders, change &lt;b&gt;your orders&lt;/b&gt;)"
    assert words in browser.get("/accounts/apps/").text
    assert "code" in result(browser.get(address(app, scope=SCOPE, resource=SHOP)))


def test_a_scope_is_described_in_the_language_of_the_reader_or_else_in_the_first_one():
    with translation.override("de"):
        said = permissions_at(SHOP, {"orders:read", "orders:write"})

    assert said == ["deine Bestellungen ansehen", "change <b>your orders</b>"]


@proves("RFC9700-2.3")
def test_a_token_for_a_service_has_the_scopes_of_that_service_only(settings, alice):
    app = new_app(scope=f"{SCOPE} pages", audiences=[SHOP, WIKI])

    given = app.sign_in(browser_of(alice), f"{SCOPE} pages", audience=SHOP)

    claims = claims_of(given["access_token"])
    assert (claims["aud"], claims["scope"]) == (SHOP, " ".join(sorted(SCOPE.split())))
    again = app.refresh(given["refresh_token"])
    assert again["scope"] == claims["scope"]
    set_up(settings, audience_scopes={})
    assert app.refresh(again["refresh_token"])["scope"] == "offline_access openid"


@pytest.mark.parametrize("resource", [None, WIKI])
def test_a_scope_of_another_service_is_refused(browser, resource):
    """Withstands a malicious app."""
    app = make_app(scope=SCOPE, audiences=[SHOP, WIKI], is_public=True)

    for asked in ({"scope": "openid orders:read"}, {"scope": "openid pages orders:read"}):
        answer = browser.get(address(app, **asked, resource=resource))
        assert result(answer)["error"] == "invalid_scope"
    assert push(app, scope="orders:read", resource=resource).json()["error"] == "invalid_scope"


def test_an_mcp_client_has_the_scopes_of_the_named_services_and_can_be_changed_without_them(
    host, browser, settings
):
    set_up(settings, client_metadata_audiences=(SHOP,))
    asked = {"scope": "openid orders:read", "redirect_uri": REDIRECT}
    page = begin(browser, host.app, **asked, resource=SHOP)
    assert "<bdi>view your orders</bdi>" in page.text
    assert "pages" not in host.app.scope
    set_up(settings, audience_scopes={})

    superuser()[1].post(page_of(host.app), {"is_verified": "on", "reason": REASON})

    assert host.app.is_verified
