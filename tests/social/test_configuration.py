"""Only configured providers are offered and reachable; their form-action and their cost."""

import re
from typing import Any

import pytest
from django.test import Client

from accounts.common import http_client
from tests.support.doubles import CREDENTIALS
from tests.support.signin import signed_in
from tests.support.social import configured
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db
ACME: dict[str, Any] = {
    **{"id": "acme", "name": "Acme", "issuer": "https://acme.example", "client_id": "authsite"},
    **{"client_secret": "hunter2", "origins": ["https://login.acme.example"]},
}
KEYS = ("oidc/acme", "google", "github", "facebook", "twitter_oauth2")
ORIGINS = (
    "https://acme.example https://login.acme.example https://accounts.google.com "
    "https://github.com https://www.facebook.com https://m.facebook.com "
    "https://x.com https://twitter.com"
)
LEADING = ("/accounts/login/", "/accounts/signup/", "/accounts/google/login/")
LEADING_MEMBERS = ("/accounts/3rdparty/", "/accounts/reauthenticate/?next=/")
OTHERS = ("/help/", "/accounts/password/reset/", "/accounts/login/code/", "/nowhere/")
OTHERS_MEMBERS = ("/", "/accounts/sessions/", "/accounts/password/change/")


def targets(client: Client, path: str) -> str:
    """Return the ``form-action`` sources of a page's Content Security Policy."""
    answer = client.get(path)
    assert answer.status_code in {200, 404}, path
    found = re.search("form-action ([^;]+)", answer.headers["Content-Security-Policy"])
    assert found
    return found[1]


@pytest.mark.parametrize("key", [*KEYS, "apple", "acme", "oidc/google", "oidc/../acme"])
@pytest.mark.parametrize("page, there", [("login/", 200), ("login/callback/", 400)])
def test_8_5_a_provider_without_credentials_answers_404(
    key: str, page: str, there: int, settings: Any
) -> None:
    configured(settings)
    path = f"/accounts/{key}/{page}"
    answers = [Client().get(path), Client().post(path), signed_in(make_user("alice")).post(path)]
    assert [answer.status_code for answer in answers] == [404, 404, 404]

    half = {name: value for name, value in CREDENTIALS.items() if name.endswith("_id")}
    configured(settings, **half)
    assert Client().get(path).status_code == 404

    configured(settings, ACME, **CREDENTIALS)
    assert Client().get(path).status_code == (there if key in KEYS else 404)


def test_8_7_form_action_lists_provider_origins_only_on_pages_with_their_buttons(
    settings: Any,
) -> None:
    configured(settings, ACME, **CREDENTIALS)
    stranger, member = Client(), signed_in(make_user("alice"))

    for client, pages in ((stranger, LEADING), (member, LEADING_MEMBERS)):
        assert [targets(client, page) for page in pages] == [f"'self' {ORIGINS}"] * len(pages)
    for client, pages in ((stranger, OTHERS), (member, OTHERS_MEMBERS)):
        assert [targets(client, page) for page in pages] == ["'self'"] * len(pages)

    none = dict.fromkeys(CREDENTIALS, "")
    configured(settings, **none | {"github_client_id": "1", "github_client_secret": "2"})
    assert targets(stranger, LEADING[0]) == "'self' https://github.com"


def test_without_providers_form_action_is_self_and_no_page_mentions_them(settings: Any) -> None:
    configured(settings)
    stranger, member = Client(), signed_in(make_user("alice"))

    for client, pages in ((stranger, LEADING[:2]), (member, [*LEADING_MEMBERS, "/"])):
        assert {targets(client, page) for page in pages} == {"'self'"}
        assert not [p for p in pages if "providers.css" in client.get(p).text and "3rd" not in p]
    assert "/accounts/3rdparty/" not in member.get("/").text


def test_provider_buttons_cost_the_sign_in_page_no_query_and_no_request(
    settings: Any, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    configured(settings, ACME, **CREDENTIALS)
    asked: list[str] = []
    monkeypatch.setattr(http_client, "_addresses", lambda host, _port: asked.append(host) or [])
    Client().get("/accounts/login/")
    with django_assert_num_queries(0):
        answer = Client().get("/accounts/login/")

    assert re.findall(r'formaction="/accounts/([^"]+)/login/"', answer.text) == list(KEYS)
    assert len(answer.content) <= 15_000
    assert asked == []
    assert ACME["client_secret"] not in answer.text
