"""Pages that belong to the installation."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.template.loader import render_to_string

from accounts.common.brand.files import File, Link, brand_of, png_size
from accounts.users.services import create_administrator
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_staff, make_user

WIDE = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 20"><script>1</script></svg>'
SVG = File(WIDE, "image/svg+xml")
PNG = File(b"\x89PNG\r\n\x1a\n", "image/png")
LOGIN, DOCS = "/accounts/login/", "/api/v1/docs/"
WHAT_NEXT = "/accounts/what-next/"
YELLOW = "#ffd21f"


@pytest.fixture
def branded(settings):
    """A site with every part of a brand."""
    set_up(
        settings,
        site_name="Lemon Bikes",
        site_colour=YELLOW,
        site_logo=SVG,
        site_logo_dark=PNG,
        site_links=(Link("Terms & more", "https://example.org/terms?a=1&b=2"),),
        site_support="mailto:help@example.org",
    )
    return brand_of(settings.AUTHSITE)


def test_every_page_shows_the_brand_error_pages_and_the_admin_too(client, branded):
    staff = signed_in(create_administrator("carol", "carol@example.org", "!"))
    pages = [client.get(path).text for path in (LOGIN, "/help/", "/no-such-page", DOCS)]
    pages.append(render_to_string("500.html", {"site_name": "Lemon Bikes"}))

    for page in (*pages, staff.get("/admin/").text):
        assert page.index(".css") < page.index(branded.style)
        for url in (branded.favicon, branded.logo, branded.logo_dark):
            assert url in page
    for page in pages:
        assert '<a href="https://example.org/terms?a=1&amp;b=2">Terms &amp; more</a>' in page
        assert '<a href="mailto:help@example.org">Contact support</a>' in page
        assert "Lemon Bikes" in page


def test_each_file_may_be_kept_forever_and_runs_no_script(client, branded):
    """Withstands an operator's mistake: a logo in SVG."""
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
    set_up(settings, site_colour="#1d4ed8")
    assert brand_of(settings.AUTHSITE).style != before

    for url in (before, "/brand/brand.css", "/brand/logo.svg", "/brand/", "/brand/a/b"):
        answer = client.get(url)
        assert answer.status_code == 404, url
        assert answer["Cache-Control"] == "no-store"
    assert client.post(before).status_code == 405


def test_a_logo_elsewhere_on_this_origin_is_shown_and_not_served(client, settings):
    set_up(settings, site_logo="/static/logo.svg")

    assert '<img class="logo" src="/static/logo.svg" alt="">' in client.get(LOGIN).text
    assert brand_of(settings.AUTHSITE).files == {}


def test_a_wide_logo_replaces_the_name_and_a_square_one_is_the_icon(client, settings):
    for box, is_wide in {"0 0 80 20": True, "0 0 20 20": False}.items():
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}"/>'
        set_up(settings, site_name="Lemon Bikes", site_logo=File(svg.encode(), "image/svg+xml"))
        brand, page = brand_of(settings.AUTHSITE), client.get(LOGIN).text

        header = page.partition('<header class="top">')[2].partition("</header>")[0]
        assert ('alt="Lemon Bikes"' in header) is is_wide
        assert ("Lemon Bikes</a>" in header) is not is_wide
        icon = "/static/favicon.svg" if is_wide else brand.favicon
        assert f'<link rel="icon" href="{icon}">' in page
        assert (brand.icon.content == svg.encode()) is not is_wide


def test_a_chosen_theme_holds_for_every_page_of_this_browser(client, branded):
    """The choice is in the page, so that no other theme appears while the page loads."""
    staff = signed_in(create_administrator("carol", "carol@example.org", "!"))
    for browser, path in ((client, LOGIN), (client, "/no-such-page"), (staff, "/admin/")):
        of_system = browser.get(path).text
        assert browser.post("/accounts/theme/", {"theme": "dark", "next": path}).url == path
        dark = browser.get(path).text
        browser.post("/accounts/theme/", {"theme": "light", "next": "https://evil.example/"})
        light = browser.get(path).text
        browser.post("/accounts/theme/", {"theme": ""})

        assert 'media="(prefers-color-scheme: dark)"' in of_system
        assert f'<source srcset="{branded.logo_dark}"><img' in dark
        assert branded.logo_dark not in light
        for theme, page in {"dark": dark, "light": light}.items():
            meta = "theme" if browser is staff else "color-scheme"
            assert f'<meta name="{meta}" content="{theme}">' in page
        assert browser.get(path).text.count("(prefers-color-scheme: dark)") == 1


def test_browsers_find_icons_where_they_look_for_them(client, settings):
    for colour in ("", YELLOW):
        set_up(settings, site_colour=colour)
        ico, png = (client.get(path) for path in ("/favicon.ico", "/apple-touch-icon.png"))

        assert (ico["Content-Type"], png["Content-Type"]) == ("image/x-icon", "image/png")
        # One PNG image of 48 pixels, after the headers of the file.
        assert ico.content[:8] == b"\0\0\1\0\1\0\x30\x30"
        assert png_size(ico.content[22:]) == (48, 48)
        assert png_size(png.content) == (180, 180)
        assert not {"Vary", "Set-Cookie"} & (ico.headers.keys() | png.headers.keys())


def test_any_origin_may_load_the_small_module_for_pages_and_its_types(client):
    for name, type_ in {
        "authsite-1.js": "text/javascript",
        "authsite-1.d.ts": "text/plain",
    }.items():
        answer = client.get(f"/client/{name}")
        assert (answer.status_code, answer["Content-Type"]) == (200, f"{type_}; charset=utf-8")
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert answer["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert not {"Vary", "Set-Cookie", "Content-Language"} & set(answer.headers)
        assert len(answer.content) <= 6 * 1024
    assert client.get("/client/app.css").status_code == 404


SECURITY_TXT = "/.well-known/security.txt"


def test_security_txt_names_the_contact_and_expires_in_the_future(client):
    answer = client.get(SECURITY_TXT)
    said = dict(line.split(": ", 1) for line in answer.text.splitlines())

    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert said["Contact"] == "mailto:authsite@localhost"
    assert said["Canonical"] == f"{settings.AUTHSITE.origin}{SECURITY_TXT}"
    left = datetime.fromisoformat(said["Expires"]) - datetime.now(UTC)
    assert timedelta(days=170) < left <= timedelta(days=180)


def test_password_managers_find_the_page_to_change_a_password(client):
    """They also request a URL that should not exist: some sites answer 200 to everything."""
    answer = client.get("/.well-known/change-password")

    assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/change/")
    assert client.get("/.well-known/resource-that-should-not-exist").status_code == 404


def test_the_privacy_page_names_every_cookie_and_how_long_the_history_is_kept(client):
    page = client.get("/privacy/").text
    given = signed_in(make_user("alice")).cookies
    client.get(LOGIN)

    of_apps = [settings.AUTHORIZE_COOKIE_NAME, settings.LOGOUT_COOKIE_NAME]
    of_apps.append(settings.FORWARD_COOKIE_NAME)
    of_apps += [settings.LANGUAGE_COOKIE_NAME, settings.THEME_COOKIE_NAME]
    for cookie in [*given, *client.cookies, *of_apps]:
        assert f"<code>{cookie}</code>" in page
    assert f"after {settings.AUTHSITE.activity_days} days" in page
    main = re.sub(r"<[^>]+>", " ", page.partition("<main")[2].partition("</main>")[0])
    assert len(main.split()) <= 400, len(main.split())


def test_public_pages_are_served_without_a_query(client, django_assert_num_queries):
    for path in ("/help/", "/privacy/", SECURITY_TXT, LOGIN):
        with django_assert_num_queries(0):
            assert client.get(path, headers={"accept-language": "de"}).status_code == 200


def test_staff_see_what_is_next_without_the_secrets_of_the_settings(settings):
    set_up(settings, environment="production", email_url="smtp://site:hunter2@mail.example.org")
    alice, carol = signed_in(make_user("alice")), signed_in(make_staff("carol"))
    page = carol.get(WHAT_NEXT).text

    assert "send_test_mail carol@example.org" in page
    assert "mail.example.org" in page
    assert "hunter2" not in page
    assert "/dev/mail/" not in page
    assert alice.get(WHAT_NEXT).status_code == 403
    assert [WHAT_NEXT in browser.get("/").text for browser in (alice, carol)] == [False, True]
