"""The list of URLs that need no sign-in, and a visit to every URL."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.users.services import create_administrator
from tests.support.signin import signed_in

OPEN = {
    "accounts/signup/",
    "accounts/confirm-email/",
    "accounts/confirm-email/<str:key>/",
    "accounts/invitation/<str:key>/",
    "accounts/login/",
    "accounts/login/code/",
    "accounts/password/reset/",
    "accounts/password/reset/<str:key>/",
    "accounts/2fa/challenge/",
    "accounts/2fa/totp/setup/",
    "accounts/2fa/passkeys/add/",
    "accounts/login/passkey/",
    ".well-known/passkey-endpoints",
    "accounts/2fa/recovery/<str:token>/",
    "accounts/2fa/enrol/<str:token>/",
    # Without credentials these answer 404: tests/social.
    "accounts/<provider:provider>/login/",
    "accounts/<provider:provider>/login/callback/",
    "accounts/logout/",
    "accounts/reauthenticate/",
    "accounts/inactive/",
    "accounts/language/",
    # Apps send people here: tests/attacks/test_authorize.py.
    "oauth/authorize",
    "oauth/continue/<str:key>",
    # Apps authenticate themselves here: tests/oauth/test_client_auth.py.
    "oauth/par",
    "oauth/device_authorization",
    "accounts/password/strength/",
    "accounts/lockdown/<str:token>/",
    "accounts/password/locked/",
    "accounts/owner/<str:token>/",
    "brand/<str:name>",
    "help/",
    "privacy/",
    ".well-known/security.txt",
    "health/live",
    "health/ready",
    # Without a signature it answers 404: tests/ops/test_doctor.py.
    "health/doctor",
    # Without its token it answers 404: tests/ops/test_monitoring.py.
    "metrics",
    ".well-known/jwks.json",
    # Apps authenticate themselves here: tests/oauth/test_client_auth.py.
    *("oauth/token", "oauth/revoke", "oauth/introspect"),
    # With an access token only: tests/oauth/test_userinfo.py.
    "oauth/userinfo",
    # With a registration token only: tests/attacks/test_registration.py.
    "oauth/register",
    "oauth/logout",
    ".well-known/openid-configuration",
    ".well-known/oauth-authorization-server",
    ".well-known/oauth-protected-resource",
    ".well-known/change-password",
    ".well-known/webauthn",
    "dev/mail/",
    "dev/mail/<slug:name>/",
    "dev/mail/<slug:name>/html/",
    # The admin checks permissions itself; its sign-in page redirects to the site's own.
    "admin/login/",
    "api/v1/users/",
    "api/v1/email/verify/",
    "api/v1/email/resend/",
    "api/v1/token/",
    "api/v1/token/challenge/",
    "api/v1/token/refresh/",
    "api/v1/token/verify/",
    "api/v1/token/revoke/",
    # These two check a header and the Origin: tests/attacks/test_browser_origins.py.
    "api/v1/session/",
    "api/v1/session/refresh/",
    "api/v1/schema/",
    "api/v1/docs/",
}

# A value for every kind of parameter in a route.
EXAMPLES = {
    "<str:key>": "no-such-key",
    "<str:token>": "no-such-token",
    "<str:name>": "no-such-file",
    "<str:client_id>": "no-such-app",
    "<int:factor_id>": "1",
    "<int:event_id>": "1",
    "<slug:name>": "no-such-mail",
    "<slug:id>": "no-such-key",
    "<slug:act>": "no-such-act",
    "<client_id:id>": "no-such-app",
    "<path:object_id>": "1",
    "<int:content_type_id>": "1",
    "<id>": "1",
    "<provider:provider>": "google",
    "<uuid:id>": "00000000-0000-4000-8000-000000000000",
    "<app_label>": "accounts",
    "^(?P<app_label>accounts|auth)/$": "accounts/",
    "^(?P<app_label>auth|accounts)/$": "accounts/",
    "(?P<url>.*)$": "no-such-page",
}


def routes(
    patterns: list[URLPattern | URLResolver], prefix: str = ""
) -> Iterator[tuple[str, URLPattern]]:
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, route)
        else:
            yield route, entry


def address(route: str) -> str:
    for parameter, example in EXAMPLES.items():
        route = route.replace(parameter, example)
    return "/" + route


ROUTES = dict(routes(get_resolver().url_patterns))
CALLS = {route for route in ROUTES if route.startswith("api/")}
PAGES = set(ROUTES) - CALLS


def is_open(view: Any) -> bool:
    if hasattr(view, "cls"):
        return not view.cls.permission_classes
    return not getattr(view, "login_required", True)


def test_only_the_listed_urls_are_open_without_signing_in() -> None:
    assert {route for route, entry in ROUTES.items() if is_open(entry.callback)} == OPEN


@pytest.mark.django_db
def test_other_pages_redirect_anonymous_visitors_to_sign_in_and_api_calls_refuse_them() -> None:
    client = Client()
    sign_in_pages = ("/accounts/login/?next=", "/admin/login/?next=")
    for route in PAGES - OPEN:
        answer = client.get(address(route))
        assert answer.status_code == 302, route
        assert answer["Location"].startswith(sign_in_pages), route
    for route in CALLS - OPEN:
        for method in ("GET", "POST", "PATCH", "DELETE"):
            answer = client.generic(method, address(route))
            assert (answer.status_code, answer.get("WWW-Authenticate")) == (401, "Bearer"), route


@pytest.fixture
def administrator(db: None) -> Client:
    return signed_in(create_administrator("carol", "carol@example.org", "!"))


def test_a_session_cookie_authenticates_no_api_call(administrator: Client) -> None:
    opened = [r for r in CALLS - OPEN if administrator.get(address(r)).status_code != 401]

    assert opened == []


def test_every_page_answers_an_administrator_without_a_server_error(
    administrator: Client,
) -> None:
    for route in ROUTES:
        answer = administrator.get(address(route))
        assert answer.status_code < 500, route
        assert answer["Content-Security-Policy"].startswith("default-src 'none'"), route
    assert administrator.get("/").status_code == 200, "a page has signed her out"
