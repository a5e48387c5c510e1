"""Signing in with a mailed code: requesting a new code, and starting again."""

import pytest
from django.test import Client

from tests.support.clock import Clock
from tests.support.steps import CODE, code_in, is_signed_in, mail_to, make_user

pytestmark = pytest.mark.django_db


def test_a_new_code_replaces_the_first_and_keeps_remember_me_and_next(
    client: Client, clock: Clock
) -> None:
    make_user("alice")
    token_request = {"login": "alice", "remember": "on", "next": "/accounts/sessions/"}
    client.post(CODE, token_request)
    first = code_in(mail_to("alice"))
    page = client.get(CODE).text
    for name, value in token_request.items():
        assert f'<input type="hidden" name="{name}" value="{value}">' in page
    clock.advance(minutes=1, seconds=1)
    client.post(CODE, token_request)
    second = code_in(mail_to("alice"))

    assert "wrong or has expired" in client.post(CODE, {"code": first}).text
    assert client.post(CODE, {"code": second}).url == token_request["next"]
    assert is_signed_in(client)
    assert client.cookies["sessionid"]["max-age"]


def test_the_code_page_lets_a_person_start_again_with_another_login(client: Client) -> None:
    client.post(CODE, {"login": "nobody"})
    assert "nobody" in client.get(CODE).text

    page = client.get(f"{CODE}?other=1", follow=True).text

    assert "nobody" not in page
    assert 'name="login"' in page
