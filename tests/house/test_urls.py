"""Closed unless opened: the list of pages that strangers may see, and a visit to every page."""

from collections.abc import Iterator

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
    "accounts/logout/",
    "accounts/reauthenticate/",
    "accounts/inactive/",
    "accounts/password/strength/",
    "accounts/lockdown/<str:token>/",
    "accounts/owner/<str:token>/",
    "help/",
    "privacy/",
    ".well-known/security.txt",
    ".well-known/change-password",
    "dev/mail/",
    "dev/mail/<slug:name>/",
    # Django's admin checks for itself; its login leads to the site's own.
    "admin/login/",
}

# A value for every kind of parameter in a route.
EXAMPLES = {
    "<str:key>": "no-such-key",
    "<str:token>": "no-such-token",
    "<int:factor_id>": "1",
    "<slug:name>": "no-such-mail",
    "<path:object_id>": "1",
    "<int:content_type_id>": "1",
    "<id>": "1",
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


def test_the_pages_open_to_strangers_are_exactly_these() -> None:
    opened = {
        route
        for route, entry in ROUTES.items()
        if not getattr(entry.callback, "login_required", True)
    }

    assert opened == OPEN


@pytest.mark.django_db
@pytest.mark.parametrize("route", sorted(set(ROUTES) - OPEN))
def test_a_stranger_is_led_to_sign_in_from_every_other_page(client: Client, route: str) -> None:
    answer = client.get(address(route))

    assert answer.status_code == 302
    assert answer["Location"].startswith(("/accounts/login/?next=", "/admin/login/?next="))


@pytest.mark.django_db
@pytest.mark.parametrize("route", sorted(ROUTES))
def test_every_page_answers_a_signed_in_administrator_without_a_fault(
    client: Client, route: str
) -> None:
    signed_in(create_administrator("carol", "carol@example.org", "!"), client)

    answer = client.get(address(route))

    assert answer.status_code < 500
    assert answer["Content-Security-Policy"].startswith("default-src 'none'")
