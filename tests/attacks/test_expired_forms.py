"""What a form that fails the CSRF check can be made to send by a second click."""

import html

import pytest
from django.test import Client, RequestFactory
from django.urls import ResolverMatch

from authsite import errors
from tests.support.signin import signed_in
from tests.support.steps import LOGIN, PASSWORD, make_user

pytestmark = pytest.mark.django_db

HERE = {"Origin": "http://testserver"}
EMAIL, PROFILE = "/accounts/email/", "/accounts/profile/"
SENDS = "what will be sent"


def expired(path: str, client: Client | None = None, **posted: str) -> str:
    """Post a form of this site without a token, and return the page that refuses it."""
    client = client or signed_in(make_user("alice"), Client(enforce_csrf_checks=True))
    answer = client.post(path, posted, headers=HERE)
    assert answer.status_code == 403
    return html.unescape(answer.text)


def test_an_expired_form_shows_the_act_the_account_and_every_value_that_it_sends_again() -> None:
    page = expired(EMAIL, email="mallory@evil.example")

    assert SENDS in page
    for words in ("Add an email address", "alice", "<bdi>mallory@evil.example</bdi>"):
        assert words in page.partition("<main")[2]
    assert '<input type="hidden" name="email" value="mallory@evil.example">' in page
    assert ">Add this address</button>" in page


@pytest.mark.parametrize(
    "path, posted",
    [
        (EMAIL, {"email": "a@example.org", "remove": "1"}),
        (EMAIL, {"confirm": "7", "code": "12345678"}),
        (PROFILE, {"display_name": "Alice", "username": "mallory"}),
        (LOGIN, {"login": "alice", "credential": "{}"}),
        ("/accounts/2fa/challenge/", {"code": "123456", "trust": "on"}),
        ("/accounts/password/change/", {"password1": PASSWORD}),
        ("/accounts/lockdown/", {}),
        ("/accounts/sessions/", {"others": "1"}),
    ],
)
def test_an_expired_form_with_a_secret_or_an_unlisted_field_is_not_sent_again(
    path: str, posted: dict[str, str]
) -> None:
    page = expired(path, **posted)

    assert SENDS not in page
    main = page.partition("<main")[2].partition("</main>")[0]
    assert "csrfmiddlewaretoken" not in main
    assert not [value for value in posted.values() if len(value) > 2 and value in main]


def test_an_expired_sign_in_keeps_the_login_but_neither_the_password_nor_a_foreign_next() -> None:
    client = Client(enforce_csrf_checks=True)

    page = expired(LOGIN, client, login="alice", password=PASSWORD, next="https://evil.example/")

    assert 'name="login" value="alice"' in page
    assert 'name="again" value="1"' in page
    assert PASSWORD not in page
    assert "evil" not in page


def test_a_form_of_another_app_whose_url_has_the_same_name_is_not_sent_again() -> None:
    request = RequestFactory().post("/shop/profile/", {"about": "x"}, headers=HERE)
    request.resolver_match = ResolverMatch(
        str, (), {}, url_name="profile", app_names=["shop"], namespaces=["shop"]
    )

    assert errors.context_of(request)["expired"] is None
