"""Closed unless opened: the list of pages that strangers may see, and a visit to every page."""

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
    # Without credentials they are nowhere: tests/social.
    "accounts/<provider:provider>/login/",
    "accounts/<provider:provider>/login/callback/",
    "accounts/logout/",
    "accounts/reauthenticate/",
    "accounts/inactive/",
    "accounts/password/strength/",
    "accounts/lockdown/<str:token>/",
    "accounts/password/locked/",
    "accounts/owner/<str:token>/",
    "help/",
    "privacy/",
    ".well-known/security.txt",
    "health/live",
    "health/ready",
    # Without its token it's nowhere: tests/ops/test_monitoring.py.
    "metrics",
    ".well-known/jwks.json",
    ".well-known/change-password",
    "dev/mail/",
    "dev/mail/<slug:name>/",
    # Django's admin checks for itself; its login leads to the site's own.
    "admin/login/",
    "api/v1/users/",
    "api/v1/email/verify/",
    "api/v1/email/resend/",
    "api/v1/token/",
    "api/v1/token/challenge/",
    "api/v1/token/refresh/",
    "api/v1/token/verify/",
    "api/v1/token/revoke/",
    # These two look for a header and an Origin instead: tests/attacks/test_browser_origins.py.
    "api/v1/session/",
    "api/v1/session/refresh/",
    "api/v1/schema/",
    "api/v1/docs/",
}

# A value for every kind of parameter in a route.
EXAMPLES = {
    "<str:key>": "no-such-key",
    "<str:token>": "no-such-token",
    "<int:factor_id>": "1",
    "<int:event_id>": "1",
    "<slug:name>": "no-such-mail",
    "<slug:id>": "no-such-key",
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


def test_the_pages_open_to_strangers_are_exactly_these() -> None:
    assert {route for route, entry in ROUTES.items() if is_open(entry.callback)} == OPEN


@pytest.mark.django_db
def test_a_stranger_is_led_to_sign_in_from_every_other_page_and_refused_by_every_call() -> None:
    client = Client()
    doors = ("/accounts/login/?next=", "/admin/login/?next=")
    for route in PAGES - OPEN:
        answer = client.get(address(route))
        assert answer.status_code == 302, route
        assert answer["Location"].startswith(doors), route
    for route in CALLS - OPEN:
        for method in ("GET", "POST", "PATCH", "DELETE"):
            answer = client.generic(method, address(route))
            assert (answer.status_code, answer.get("WWW-Authenticate")) == (401, "Bearer"), route


@pytest.fixture
def administrator(db: None) -> Client:
    return signed_in(create_administrator("carol", "carol@example.org", "!"))


def test_a_cookie_opens_no_call(administrator: Client) -> None:
    opened = [r for r in CALLS - OPEN if administrator.get(address(r)).status_code != 401]

    assert opened == []


def test_every_page_answers_a_signed_in_administrator_without_a_fault(
    administrator: Client,
) -> None:
    for route in ROUTES:
        answer = administrator.get(address(route))
        assert answer.status_code < 500, route
        assert answer["Content-Security-Policy"].startswith("default-src 'none'"), route
    assert administrator.get("/").status_code == 200, "a page has signed her out"
