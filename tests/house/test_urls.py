"""The list of URLs that need no sign-in, and a visit to every URL."""

from typing import Any

import pytest
from django.test import Client

from accounts.users.services import create_administrator
from tests.support.signin import signed_in
from tests.support.urls import CALLS, OPEN, PAGES, ROUTES, address


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


def test_every_page_answers_an_administrator_without_a_server_error(administrator: Client) -> None:
    for route in ROUTES:
        answer = administrator.get(address(route))
        assert answer.status_code < 500, route
        assert answer["Content-Security-Policy"].startswith("default-src 'none'"), route
    assert administrator.get("/").status_code == 200, "a page has signed her out"
