"""The documents by which apps configure themselves, and what scripts of other sites may read."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client as Browser
from django.urls import resolve

from accounts.users.models import User
from tests.support.api import claims_of
from tests.support.apps import OAUTH, OPENID, document
from tests.support.oauth_client import EVERYTHING, App, browser_of, new_app
from tests.support.signin import set_up
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db

RESOURCE, JWKS = "/.well-known/oauth-protected-resource", "/.well-known/jwks.json"
ORIGIN = "http://localhost:8000"
SCRIPT = {"Origin": "https://spa.example"}


@pytest.fixture
def app(db: None) -> App:
    return new_app()


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice", language="de")


def test_both_documents_of_the_provider_name_the_issuer_and_urls_that_exist() -> None:
    found = document()

    assert found == document(OAUTH)
    assert found["issuer"] == ORIGIN
    urls = [found[name] for name in found if name.endswith(("_endpoint", "_uri"))]
    assert len(urls) == 10
    for url in urls:
        assert url.startswith(f"{ORIGIN}/")
        assert resolve(urlsplit(url).path)


def test_the_document_lists_exactly_what_the_endpoints_do(
    app: App, alice: User, settings: Any
) -> None:
    alice.groups.create(name="Editors")
    given, found = app.sign_in(browser_of(alice), EVERYTHING, nonce="n"), document()

    assert set(claims_of(given["id_token"])) == set(found["claims_supported"])
    for grant in ("authorization_code", "refresh_token", "password", "implicit", "client"):
        is_known = app.post("/oauth/token", grant_type=grant).error != "unsupported_grant_type"
        assert is_known == (grant in found["grant_types_supported"])
    assert found["id_token_signing_alg_values_supported"] == ["RS256"]
    set_up(settings, id_token_algorithm="ES256")
    assert document()["id_token_signing_alg_values_supported"] == ["ES256"]


def test_the_api_of_this_site_is_a_protected_resource_of_this_provider() -> None:
    found = document(RESOURCE)

    assert (found["resource"], found["authorization_servers"]) == (ORIGIN, [ORIGIN])
    assert set(found["scopes_supported"]) < set(document()["scopes_supported"])


@pytest.mark.parametrize(
    "path",
    [
        *("/oauth/token", "/oauth/revoke", "/oauth/userinfo", "/oauth/register"),
        *(OPENID, OAUTH, RESOURCE, JWKS),
    ],
)
def test_scripts_of_every_site_may_call_the_endpoints_without_cookies(path: str) -> None:
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }

    before = Browser().options(path, headers=SCRIPT | asks)
    answers = [Browser().get(path, headers=SCRIPT), Browser().post(path, headers=SCRIPT)]

    assert before.status_code == 204
    assert before["Access-Control-Allow-Headers"] == "authorization, content-type, dpop"
    for answer in (before, *answers):
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("path", [OPENID, OAUTH, RESOURCE, JWKS])
def test_the_documents_can_only_be_read(path: str) -> None:
    answer = Browser(enforce_csrf_checks=True).post(path)

    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


def test_scripts_of_other_sites_may_read_nothing_else() -> None:
    for path in ("/oauth/introspect", "/oauth/authorize", "/", "/api/v1/me/", "/oauth/token/"):
        answer = Browser().get(path, headers=SCRIPT)
        assert "Access-Control-Allow-Origin" not in answer.headers
