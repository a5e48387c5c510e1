"""The sign-in page is kept between visitors, but never what belongs to one of them."""

import re
from itertools import combinations
from typing import Any

import pytest
from django.test import Client

from tests.support.signin import set_up
from tests.support.steps import LOGIN, without_nonces

pytestmark = pytest.mark.django_db


def visit(language: str = "en", query: str = "", **cookies: str) -> Any:
    client = Client(headers={"Accept-Language": language})
    client.cookies.load(cookies)
    return client.get(LOGIN, QUERY_STRING=query)


def secrets_of(page: Any) -> list[str]:
    """Return the CSRF token, the nonce and the challenge of a page, and check that each is one."""
    patterns = (
        'name="csrfmiddlewaretoken" value="([^"]{20,})"',
        'nonce="([^"]{20,})"',
        "challenge&quot;: &quot;([^&]{20,})&",
    )
    found = [set(re.findall(pattern, page.text)) for pattern in patterns]
    assert [len(values) for values in found] == [1, 1, 1]
    return [values.pop() for values in found]


def test_no_two_visitors_get_a_secret_in_common() -> None:
    pages = [visit() for _ in range(3)]

    for page in pages:
        _csrf_token, nonce, _challenge = secrets_of(page)
        assert f"'nonce-{nonce}'" in page["Content-Security-Policy"]
        assert "\0" not in page.text
    for one, other in combinations(pages, 2):
        assert not set(secrets_of(one)) & set(secrets_of(other))
        assert without_nonces(one.text) == without_nonces(other.text)


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_kept_page_is_the_page_that_django_renders(language: str) -> None:
    visit(language)

    kept, rendered = visit(language), visit(language, another="cookie")

    assert without_nonces(kept.text) == without_nonces(rendered.text)
    assert f'<html lang="{language}"' in kept.text


def test_a_visitor_cannot_put_their_url_into_the_page_of_others(settings: Any) -> None:
    set_up(settings)  # so that no page is kept yet

    visit(query="&" * 99)

    assert f'name="next" value="{LOGIN}"' in visit().text


def test_a_page_kept_under_other_settings_is_not_shown(settings: Any) -> None:
    visit()

    set_up(settings, site_name="Llama Farm")

    assert "Llama Farm" in visit().text
