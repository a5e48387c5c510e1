"""Browsers that act at the same time, at two server processes."""

from uuid import UUID

from tests.support.administration import LIST
from tests.support.nodes import AT_ONCE, Nodes, browser_at
from tests.support.second_factor import STEP_UP, confirm_recovery_codes, set_up_authenticator
from tests.support.site import Client, Response
from tests.support.steps import LOGIN, PASSWORD, join, same_browser, sql

SESSIONS = "/accounts/sessions/"
LOCKDOWN = "/accounts/lockdown/"
# Defines a function that returns whether a thread waits for a lock of another connection.
WAITS = """
from time import sleep
from django.db import connection

WAITING = (
    "SELECT count(*) FROM pg_locks "
    "WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
)

def waits(thread):
    while thread.is_alive():
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            if cursor.fetchone()[0]:
                return True
        sleep(0.01)
    return False
"""


def confirmed(nodes: Nodes, name: str) -> Client:
    """Sign up, confirm the email, and return the signed-in browser."""
    browser = browser_at(nodes[0], "192.0.2.1")
    join(nodes[0], browser, name)
    return browser


def browsers(nodes: Nodes, n: int) -> tuple[list[Client], list[str]]:
    """Return new browsers, on each node in turn, and CSRF tokens for their sign-in forms."""
    new = [browser_at(nodes[i % 2], f"192.0.2.{i + 10}") for i in range(n)]
    return new, [browser.csrf(LOGIN) for browser in new]


def sign_in(browser: Client, name: str, token: str) -> Response:
    return browser.post(LOGIN, {"login": name, "password": PASSWORD}, csrf=token)


def tabs_of(nodes: Nodes, browser: Client, n: int = AT_ONCE) -> list[Client]:
    """Return copies of ``browser`` with its cookies, on each node in turn."""
    return [same_browser(nodes[i % 2], browser, X_Forwarded_For="192.0.2.1") for i in range(n)]


def two_staff(nodes: Nodes, name: str, n: int = 2) -> list[Client]:
    """Return ``n`` browsers of two new superusers in turn, of each at one of the nodes."""
    both = [confirmed(nodes, f"{name}{who}") for who in ("c", "d")]
    for browser in both:
        set_up_authenticator(browser)
        assert confirm_recovery_codes(browser).status == 302
    rights = "UPDATE accounts_user SET is_staff = TRUE, is_superuser = TRUE WHERE username IN "
    # Acts that email every superuser do so before they release their locks, so few must be left.
    sql(nodes[0], "UPDATE accounts_user SET is_superuser = FALSE")
    sql(nodes[0], f"{rights}(?, ?)", f"{name}c", f"{name}d")
    sql(nodes[0], STEP_UP)
    return [same_browser(nodes[i % 2], both[i % 2], X_Forwarded_For="192.0.2.1") for i in range(n)]


def page_of(nodes: Nodes, name: str) -> str:
    """Return the path of the page about a user in the admin."""
    [(user_id,)] = sql(nodes[0], "SELECT id FROM accounts_user WHERE username = ?", name)
    return f"{LIST}{UUID(str(user_id))}/change/"


def live_sessions(nodes: Nodes, name: str) -> int:
    """Return how many sessions of the user are not revoked."""
    return _rows(nodes, "accounts_loginsession", name, "r.ended_at IS NULL")


def times_in_history(nodes: Nodes, name: str, kind: str) -> int:
    """Return how many events of this kind the history of the user has."""
    return _rows(nodes, "accounts_activity", name, "r.kind = ?", kind)


def _rows(nodes: Nodes, table: str, name: str, which: str, *values: str) -> int:
    join = f"SELECT r.id FROM {table} r JOIN accounts_user u ON u.id = r.user_id"
    return len(sql(nodes[0], f"{join} WHERE u.username = ? AND {which}", name, *values))


# Signs the person in to the apps at ``paths`` from each of their browsers.
CONNECT = """
from accounts.oauth.clients.models import Client
from accounts.oauth import app_sessions
from accounts.sessions.models import LoginSession
for path in {paths}:
    app, _ = Client.objects.get_or_create(
        name=path, backchannel_logout_uri="{url}" + path, backchannel_logout_is_private=True
    )
    for session in LoginSession.objects.filter(kind="browser"):
        app_sessions.insert(app_sessions.new(session, app.pk, "openid", "", is_offline=False))
"""
WORKS = [f"/work{number}" for number in range(10)]
HANGS = [f"/hang{number}" for number in range(10)]
