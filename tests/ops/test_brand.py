"""The brand on pages, and its files as they are served."""

import dataclasses
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.template.loader import render_to_string
from django.test import Client

from accounts.common.brand import File, Link, brand_of
from accounts.users.services import create_administrator
from tests.support.signin import signed_in

SVG = File(b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', "image/svg+xml")
PNG = File(b"\x89PNG\r\n\x1a\n", "image/png")
LOGIN, DOCS = "/accounts/login/", "/api/v1/docs/"
YELLOW = "#ffd21f"


@pytest.fixture
def branded(settings: Any) -> Any:
    """A site with every part of a brand."""
    settings.AUTHSITE = dataclasses.replace(
        settings.AUTHSITE,
        site_name="Lemon Bikes",
        site_colour=YELLOW,
        site_logo=SVG,
        site_logo_dark=PNG,
        site_links=(Link("Terms & more", "https://example.org/terms?a=1&b=2"),),
        site_support="mailto:help@example.org",
    )
    return brand_of(settings.AUTHSITE)


def test_a_site_without_a_brand_links_no_file_of_one(client: Client) -> None:
    page = client.get(LOGIN).text

    assert "/brand/" not in page
    assert "Contact support" not in page
    assert '<link rel="icon" href="/static/favicon.svg"' in page
    assert '<svg class="logo"' in page


def test_every_page_shows_the_brand_error_pages_too(client: Client, branded: Any) -> None:
    pages = [client.get(path).text for path in (LOGIN, "/help/", "/no-such-page", DOCS)]
    pages.append(render_to_string("500.html", {"site_name": "Lemon Bikes"}))

    for page in pages:
        assert page.index("/static/app.css") < page.index(branded.style)
        assert f'<link rel="icon" href="{branded.favicon}"' in page
        assert f'<img class="logo" src="{branded.logo}" alt="">' in page
        assert f'<source srcset="{branded.logo_dark}" media="(prefers-color-scheme: dark)">' in page
        assert '<a href="https://example.org/terms?a=1&amp;b=2">Terms &amp; more</a>' in page
        assert '<a href="mailto:help@example.org">Contact support</a>' in page
        assert "Lemon Bikes" in page
    assert "<bdi>help@example.org</bdi>" in pages[1]


@pytest.mark.django_db
def test_the_admin_shows_the_brand(branded: Any) -> None:
    staff = signed_in(create_administrator("carol", "carol@example.org", "!"))

    answer = staff.get("/admin/")

    page = answer.text
    assert page.index("/static/admin.css") < page.index(branded.style)
    for url in (branded.favicon, branded.logo, branded.logo_dark):
        assert url in page
    assert "style-src 'self';" in answer["Content-Security-Policy"]


def test_each_file_may_be_kept_forever_and_runs_no_script(client: Client, branded: Any) -> None:
    types = {
        branded.style: "text/css; charset=utf-8",
        branded.favicon: "image/svg+xml",
        branded.logo: "image/svg+xml",
        branded.logo_dark: "image/png",
    }
    client.cookies["sessionid"] = "x"

    for url, type_ in types.items():
        answer = client.get(url)
        assert (answer.status_code, answer["Content-Type"]) == (200, type_)
        assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
        policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        assert answer["Content-Security-Policy"] == policy
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
        # One copy in a cache serves everyone.
        assert not {"Vary", "Set-Cookie", "Content-Language"} & set(answer.headers)
        assert not answer.cookies
        assert client.head(url)["Content-Length"] == str(len(answer.content))
    assert client.get(branded.logo).content == SVG.content
    assert f'fill="{YELLOW}"' in client.get(branded.favicon).text


def test_a_name_without_the_right_hash_is_not_found_and_not_kept(
    client: Client, branded: Any, settings: Any
) -> None:
    before = branded.style
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, site_colour="#1d4ed8")
    assert brand_of(django_settings.AUTHSITE).style != before

    for url in (before, "/brand/brand.css", "/brand/logo.svg", "/brand/", "/brand/a/b"):
        answer = client.get(url)
        assert answer.status_code == 404, url
        assert answer["Cache-Control"] == "no-store"
    assert client.post(before).status_code == 405


def test_a_logo_elsewhere_on_this_origin_is_shown_and_not_served(
    client: Client, settings: Any
) -> None:
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, site_logo="/static/logo.svg")

    assert '<img class="logo" src="/static/logo.svg" alt="">' in client.get(LOGIN).text
    assert brand_of(settings.AUTHSITE).files == {}
