"""Pages that list sessions, or say what a change ends, name connected apps apart from sessions."""

import re

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support.activity.event_steps import LOCKDOWN, links_in, sent
from tests.support.api import call, get_tokens
from tests.support.apps import connect_app, make_app
from tests.support.clock import Clock
from tests.support.signin import signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db

SESSIONS = "/accounts/sessions/"


@pytest.fixture
def here(client: Browser, clock: Clock) -> LoginSession:
    """The session of alice in ``client``."""
    signed_in(make_user("alice"), client)
    return LoginSession.objects.get()


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.replace("</li><li>", " ")))


def test_apps_are_named_with_the_browser_that_they_end_with_and_staying_ones_by_themselves(
    client: Browser, here: LoginSession
) -> None:
    wiki, paperless, notes = make_app("Wiki"), make_app(), make_app("Notes")
    for app in (wiki, paperless, paperless):
        connect_app(here, app)
    staying = connect_app(here, notes, is_offline=True)

    page = client.get(SESSIONS).text

    assert "Apps that will be signed out with it: Paperless, Wiki" in text_of(page)
    assert "Apps that stay connected" in page
    assert page.count('name="end"') == 1
    assert "3 connected apps will be signed out" in text_of(page)
    assert "You aren’t signed in anywhere else." in page
    client.post(SESSIONS, {"end": str(staying.pk)})
    staying.refresh_from_db()
    assert not staying.is_live
    assert "Apps that stay connected" not in client.get(SESSIONS).text
    history = client.get("/accounts/activity/").text
    assert "Notes" in history


def test_signing_out_everywhere_else_signs_apps_out(client: Browser, here: LoginSession) -> None:
    apps = [connect_app(here, make_app(), is_offline=is_offline) for is_offline in (True, False)]

    client.post(SESSIONS, {"others": "1"})

    for session in apps:
        session.refresh_from_db()
    assert not any(app.is_live for app in apps)
    here.refresh_from_db()
    assert here.is_live


def test_many_apps_take_no_more_queries(client: Browser, here: LoginSession) -> None:
    def cost() -> int:
        client.get(SESSIONS)
        with CaptureQueriesContext(connection) as queries:
            client.get(SESSIONS)
        return len(queries)

    def connect(number: int) -> None:
        for is_offline in (True, False):
            connect_app(here, make_app(f"App {number}"), is_offline=is_offline)

    connect(0)
    few = cost()
    for number in range(1, 10):
        connect(number)
    assert cost() == few


def test_pages_say_how_many_apps_a_new_password_a_new_factor_and_a_lock_end(
    client: Browser, here: LoginSession
) -> None:
    for name in ("Paperless", "Wiki"):
        connect_app(here, make_app(name))

    password = text_of(client.get("/accounts/password/change/").text)
    assert "2 connected apps will be signed out." in password
    assert "other session" not in password
    factor = text_of(client.get("/accounts/2fa/passkeys/add/").text)
    assert "sign out 2 connected apps" in factor
    assert "program" not in factor
    lock = text_of(client.get("/accounts/lockdown/").text)
    assert "2 connected apps will be disconnected. Paperless Wiki" in lock
    assert "You’ll be signed out here." in lock
    assert "only signed in on this device" in text_of(client.get("/").text)


def test_the_api_names_the_app_of_a_session(here: LoginSession) -> None:
    app = make_app()
    connect_app(here, app)

    rows = call("sessions/", token=get_tokens()["access"])["results"]

    found = {row["kind"]: (row["device"], row["client_id"]) for row in rows}
    assert found["connected"] == ("Paperless", app.pk)
    assert found["api"][1] is None


def test_the_mail_that_locks_an_account_does_not_lead_to_the_names_of_apps(
    client: Browser, here: LoginSession
) -> None:
    """Whoever reads the mailbox may open the link in a notice."""
    connect_app(here, make_app())
    mails = sent()
    (link,) = links_in(mails[-1].body, LOCKDOWN)

    page = text_of(Browser().get(link).text)

    assert "1 connected app will be disconnected." in page
    assert User.objects.get().username in page
    assert "Paperless" not in page
