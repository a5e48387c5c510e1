"""Pages that belong to the installation."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.conf import settings as django_settings
from django.template.loader import render_to_string

from accounts.codes.services import CODE_LIFE
from accounts.common.brand import File, Link, brand_of
from accounts.common.issuers import Issuer
from accounts.mail.services import OUTBOX
from accounts.signup.services import LIFE
from accounts.users.services import create_administrator
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_staff, make_user

pytestmark = pytest.mark.django_db


SVG = File(b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', "image/svg+xml")
PNG = File(b"\x89PNG\r\n\x1a\n", "image/png")
LOGIN, DOCS = "/accounts/login/", "/api/v1/docs/"
YELLOW = "#ffd21f"


@pytest.fixture
def branded(settings):
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


def test_a_site_without_a_brand_links_no_file_of_one(client):
    page = client.get(LOGIN).text

    assert "/brand/" not in page
    assert "Contact support" not in page
    assert '<link rel="icon" href="/static/favicon.svg"' in page
    assert '<svg class="logo"' in page


def test_every_page_shows_the_brand_error_pages_too(client, branded):
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
def test_the_admin_shows_the_brand(branded):
    staff = signed_in(create_administrator("carol", "carol@example.org", "!"))

    answer = staff.get("/admin/")

    page = answer.text
    assert page.index("/static/admin.css") < page.index(branded.style)
    for url in (branded.favicon, branded.logo, branded.logo_dark):
        assert url in page
    assert "style-src 'self';" in answer["Content-Security-Policy"]


def test_each_file_may_be_kept_forever_and_runs_no_script(client, branded):
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


def test_a_name_without_the_right_hash_is_not_found_and_not_kept(client, branded, settings):
    before = branded.style
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, site_colour="#1d4ed8")
    assert brand_of(django_settings.AUTHSITE).style != before

    for url in (before, "/brand/brand.css", "/brand/logo.svg", "/brand/", "/brand/a/b"):
        answer = client.get(url)
        assert answer.status_code == 404, url
        assert answer["Cache-Control"] == "no-store"
    assert client.post(before).status_code == 405


def test_a_logo_elsewhere_on_this_origin_is_shown_and_not_served(client, settings):
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, site_logo="/static/logo.svg")

    assert '<img class="logo" src="/static/logo.svg" alt="">' in client.get(LOGIN).text
    assert brand_of(settings.AUTHSITE).files == {}


SECURITY_TXT = "/.well-known/security.txt"


def test_security_txt_names_the_contact_and_expires_in_the_future(client):
    answer = client.get(SECURITY_TXT)
    said = dict(line.split(": ", 1) for line in answer.text.splitlines())

    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert said["Contact"] == "mailto:authsite@localhost"
    assert said["Canonical"] == f"{settings.AUTHSITE.origin}{SECURITY_TXT}"
    assert said["Preferred-Languages"] == "en, de"
    left = datetime.fromisoformat(said["Expires"]) - datetime.now(UTC)
    assert timedelta(days=170) < left < timedelta(days=365)


def test_password_managers_find_the_page_to_change_a_password(client):
    answer = client.get("/.well-known/change-password")

    assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/change/")
    # They also request this URL, to find sites that answer 200 to everything.
    nonsense = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
    assert client.get(nonsense).status_code == 404


@pytest.mark.django_db
def test_the_privacy_page_names_every_cookie_and_the_retention_periods_in_force(client):
    page = client.get("/privacy/").text
    given = signed_in(make_user("alice")).cookies
    client.get("/accounts/login/")

    of_apps = (settings.AUTHORIZE_COOKIE_NAME, settings.LOGOUT_COOKIE_NAME)
    for cookie in [*given, *client.cookies, settings.LANGUAGE_COOKIE_NAME, *of_apps]:
        assert f"<code>{cookie}</code>" in page
    for figure in (f"for {settings.AUTHSITE.activity_days} days", "for 90 days", "24 hours after"):
        assert figure in page
    assert (LIFE.days, CODE_LIFE.seconds, OUTBOX.life.days) == (3, 15 * 60, 5)
    for figure in ("within 3 days", "15 minutes to 30 days", "for 5 days at most"):
        assert figure in page


def test_public_pages_are_served_without_a_query(client, django_assert_num_queries, db):
    for path in ("/help/", "/privacy/", SECURITY_TXT, "/accounts/login/"):
        with django_assert_num_queries(0):
            answer = client.get(path, headers={"accept-language": "de"})
        assert answer.status_code == 200
        for page in ("help", "privacy"):
            assert path == SECURITY_TXT or f'href="/{page}/"' in answer.text
    assert len(answer.content) <= 15_000


WHAT_NEXT = "/accounts/what-next/"
EXAMPLE = Issuer("oidc/example", "Example", "id", "secret", "https://example.org")


@pytest.fixture
def carol():
    return signed_in(make_staff("carol"))


def test_in_development_it_leads_to_the_sent_email_and_to_going_live(carol):
    page = carol.get(WHAT_NEXT).text

    for link in ("/admin/", "/api/v1/docs/", "/dev/mail/"):
        assert f'<a class="button small" href="{link}">' in page
    assert "from an empty machine to backups" in page
    assert f"{settings.AUTHSITE.origin}/accounts/google/login/callback/" in page
    assert page.count("Not set up") == 2


def test_in_production_it_says_how_to_test_email_and_to_keep_the_site_running(carol, settings):
    set_up(
        settings,
        environment="production",
        email_url="smtp://site:hunter2@mail.example.org",
        oidc_providers=(EXAMPLE,),
        site_colour="#1d4ed8",
    )
    page = carol.get(WHAT_NEXT).text

    assert "send_test_mail carol@example.org" in page
    assert "mail.example.org" in page
    assert "hunter2" not in page
    for gone in ("/dev/mail/", "make https", "Not set up", "client_secret"):
        assert gone not in page
    assert "<bdi>Example</bdi>" in page
    assert "docs/operating.md" in page


def test_only_staff_see_it(carol):
    alice = signed_in(make_user("alice"))

    assert alice.get(WHAT_NEXT).status_code == 403
    assert WHAT_NEXT not in alice.get("/").text
    assert WHAT_NEXT in carol.get("/").text
