"""Rules for the site as a whole: colours, its start and URLs."""

import os
import re
import shutil
import sys

import pytest
from django.test import Client

from accounts.users.services import create_administrator
from tests.support.env import clean
from tests.support.process import run
from tests.support.signin import signed_in
from tests.support.site import ROOT, migrated
from tests.support.standards import proves
from tests.support.urls import CALLS, OPEN, PAGES, ROUTES, address

STYLE = (ROOT / "static/app.css").read_text()
# WCAG 2.2, 1.4.11: the contrast of the border that marks a field.
LEAST_CONTRAST = 3.0


def luminance(colour):
    """Return the relative luminance of `#rgb` or `#rrggbb`, as WCAG 2.2 defines it."""
    digits = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    parts = [part / 255 for part in bytes.fromhex(digits)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@proves("WCAG-1.4.11")
@pytest.mark.parametrize("look", [0, 1], ids=["light", "dark"])
def test_the_border_of_every_field_has_enough_contrast(look):
    found = re.findall(r"--([\w-]+): light-dark\(#(\w+), #(\w+)\)", STYLE)
    lights = {name: luminance(colours[look]) for name, *colours in found}
    border = lights["edge"]

    for name in ("field", "surface", "page"):
        high, low = max(border, lights[name]), min(border, lights[name])
        assert (high + 0.05) / (low + 0.05) >= LEAST_CONTRAST, name
    rule = re.search(r"\n  \.input \{([^}&]*)", STYLE)
    assert rule
    assert "solid var(--edge);" in rule[1]
    assert "background: var(--field);" in rule[1]


RARELY_NEEDED = {"OpenSSL", "passlib", "psycopg", "qrcode", "redis", "requests", "webauthn", "yaml"}
START = """
import sys, authsite.wsgi
from django.urls import get_resolver
assert get_resolver().url_patterns
assert "unittest" not in sys.modules
from django.test import Client
assert Client().get("/accounts/login/", HTTP_HOST="localhost").status_code == 200
print(*sys.modules)
"""
SUPERVISE = """
import sys, authsite.__main__
from django.conf import settings
assert settings.AUTHSITE
print(*sys.modules)
"""
COMMAND = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "authsite.settings"
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "check_usernames"])
print(*sys.modules)
"""


@proves("V15.2.3")
@pytest.mark.parametrize(
    "start, rarely_needed",
    [
        (START, RARELY_NEEDED),
        (SUPERVISE, {"django.db", "ua_parser"}),
        (COMMAND, {"authsite.urls", "psycopg", "requests", "rest_framework.views"}),
    ],
)
def test_a_process_loads_no_library_that_only_other_sites_or_processes_need(
    tmp_path, start, rarely_needed
):
    shutil.copy(migrated(), tmp_path / "db.sqlite3")

    loaded = run(sys.executable, "-c", start, cwd=ROOT, env=os.environ | clean(tmp_path))

    assert not rarely_needed & set(loaded.split())


def is_open(view):
    if hasattr(view, "cls"):
        return not view.cls.permission_classes
    return not getattr(view, "login_required", True)


@proves("V13.4.5", "V15.2.3")
def test_only_the_listed_urls_are_open_without_signing_in():
    assert {route for route, entry in ROUTES.items() if is_open(entry.callback)} == OPEN


def test_other_pages_redirect_anonymous_visitors_to_sign_in_and_api_calls_refuse_them():
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
def administrator(db):
    return signed_in(create_administrator("carol", "carol@example.org", "!"))


def test_a_session_cookie_authenticates_no_api_call(administrator):
    """Withstands a hostile website."""
    opened = [r for r in CALLS - OPEN if administrator.get(address(r)).status_code != 401]

    assert opened == []


def test_every_page_answers_an_administrator_without_a_server_error(administrator):
    for route in ROUTES:
        answer = administrator.get(address(route))
        assert answer.status_code < 500, route
        assert answer["Content-Security-Policy"].startswith("default-src 'none'"), route
    assert administrator.get("/").status_code == 200, "a page has signed her out"
