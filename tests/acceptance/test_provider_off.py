"""``OPENID_PROVIDER=off`` takes the OpenID Provider out of a new site, and out of an old one."""

import json

import pytest

from tests.support.api import get_tokens, is_good
from tests.support.nodes import POSTGRES_PROVED, database
from tests.support.site import CHEAP_HASHES, Site
from tests.support.steps import CONFIRM, code_in, same_browser, sign_in, sign_up, sql

ON = CHEAP_HASHES | {"SECOND_FACTOR": "optional"}
OFF = ON | {"OPENID_PROVIDER": "off"}
PAGES = (
    *("/", "/accounts/sessions/", "/accounts/activity/", "/accounts/keys/"),
    *("/accounts/lockdown/", "/accounts/password/change/", "/accounts/2fa/", "/admin/"),
)
GONE = (
    *("/oauth/authorize", "/oauth/token", "/oauth/logout", "/oauth/device"),
    *("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"),
    *("/accounts/apps/", "/api/v1/apps/", "/admin/oauth/client/"),
)
RIGHTS = "SELECT 1 FROM django_content_type WHERE app_label = 'oauth'"
# What ``doctor`` finds at a site of the tests.
OF_TEST_SITES = {"development", "static_missing", "staff_without_factor", "database_role"}
# Signs alice in to an app from each of her browsers; prints one of the app's access tokens.
CONNECT = """
from accounts.activity.services import Actor
from accounts.oauth import app_sessions, connections
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AuthorizationRequest
from accounts.sessions.models import LoginSession
from accounts.tokens.access import AccessToken
from django.conf import settings
origin, scope = settings.AUTHSITE.origin, "openid profile:read offline_access"
app = Client.objects.create(name="Paperless", scope=scope, audiences=[origin])
for browser in LoginSession.objects.filter(kind="browser"):
    asked = AuthorizationRequest(client=app, scope=scope, audience=origin)
    connections.agree(asked, browser.user, Actor())
    new = app_sessions.new(browser, app.pk, scope, origin, is_offline=True)
    app_sessions.insert(new)
    held = frozenset(scope.split())
    print("token:", AccessToken.issue(new.session, origin, held, client_id=app.pk))
"""

COMMANDS = """
import sys
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from accounts.ops.doctor import inside
print("found:", *(finding.code for finding in inside.check(settings.AUTHSITE)))
for command in ("check", "prune", "makemigrations --check", "show_user alice"):
    call_command(*command.split())
print("imported:", [name for name in sys.modules if name.startswith("accounts.oauth")])
print("left:", [name for name in connection.introspection.table_names() if "oauth" in name])
"""


def alice_at(site):
    """Return a browser in which alice, who is a superuser, has signed up and is signed in."""
    browser = site.client()
    sign_up(browser, "alice")
    code = code_in(site.wait_for_mail(to="alice@"))
    assert browser.post(CONFIRM, {"code": code}).location == "/"
    sql(site, "UPDATE accounts_user SET is_staff = TRUE, is_superuser = TRUE")
    return browser


def works_without_the_provider(site, browser):
    """Pages, the API, the admin and the commands work, and nothing of the provider is left."""
    assert {path: browser.get(path).status for path in GONE} == dict.fromkeys(GONE, 404)
    pages = [browser.get(path) for path in PAGES]
    assert [page.status for page in pages] == [200] * len(PAGES)
    assert "/accounts/apps/" not in pages[0].text
    assert sign_in(site.client(), "alice").location == "/"
    assert is_good(get_tokens("alice", site.client())["access"], site.client())
    described = json.loads(site.client().get("/api/v1/schema/").body)
    assert not [path for path in described["paths"] if "apps" in path]
    assert json.loads(site.client().get("/health/ready").body)["migrations"] == "ok"
    told = site.manage("shell", "--command", COMMANDS)
    found = told.partition("found: ")[2].partition("\n")[0].split()
    assert set(found) <= OF_TEST_SITES
    assert "imported: []" in told
    assert "left: []" in told
    assert sql(site, RIGHTS) == []


def test_a_new_site_works_without_the_provider(tmp_path):
    site = Site(data_dir=tmp_path, migrate=False, **OFF)
    site.manage("migrate", "--verbosity", "0")
    with site:
        works_without_the_provider(site, alice_at(site))


@pytest.mark.proof
@pytest.mark.parametrize("kind", POSTGRES_PROVED)
def test_an_old_site_loses_the_provider_and_all_apps_lose_their_access(request, kind, tmp_path):
    """Withstands a malicious app."""
    copy = ("copy_database", "DATABASE_URL", f"sqlite:///{tmp_path}/copy.sqlite3")
    with Site(**ON, **database(request, kind)) as site:
        browser = alice_at(site)
        token = site.manage("shell", "--command", CONNECT).partition("token: ")[2].strip()
        assert is_good(token, site.client())
        assert "Paperless" in browser.get("/accounts/sessions/").text
        site.stop()
        without = site.second(**OFF)
        for told in (without.manage("shell", "--command", COMMANDS), refused(without, copy)):
            assert "provider_left" in told or "OPENID_PROVIDER" in told

        site.manage("migrate", "oauth", "zero", "--verbosity", "0")
        with without:
            assert not is_good(token, without.client())
            browser = same_browser(without, browser)
            works_without_the_provider(without, browser)
            without.stop()
            assert "rows were copied" in without.manage(*copy)
        # The provider can come back, without the apps.
        assert "migrations: run migrate on it first" in refused(site, copy)
        site.manage("migrate", "--verbosity", "0")
        with site.second(**ON) as again:
            assert again.client().get("/.well-known/openid-configuration").status == 200


def refused(site, command):
    with pytest.raises(AssertionError) as error:
        site.manage(*command)
    return str(error.value)
