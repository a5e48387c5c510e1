"""The pages about sessions."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from accounts.common.api import PAGE_SIZE
from accounts.sessions.models import LoginSession
from accounts.twofactor.models import TrustedBrowser
from accounts.users.models import User
from tests.support import mmdb
from tests.support.api import call, get_tokens
from tests.support.apps import connect_app, make_app
from tests.support.events import LOCKDOWN, links_in, sent
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db


PAGE = "/accounts/sessions/"
TAGS = re.compile(r"<[^>]*>")


@pytest.fixture
def alice(clock):
    return make_user("alice")


def card(text, heading):
    """The words of the card with this heading."""
    (found,) = (part for part in text.split('class="card"') if f">{heading}</h2>" in part)
    return " ".join(TAGS.sub(" ", found.partition("</h2>")[2]).split())


def test_this_browser_comes_first_and_programs_apart(client, alice):
    signed_in(alice)
    here = signed_in(alice, client)
    get_tokens("alice", Client(headers={"user-agent": "curl/8.14.1"}))

    text = here.get(PAGE).text

    browsers, programs = card(text, "Browsers"), card(text, "Programs")
    assert browsers.index("This browser Active now") < browsers.index("Sign out")
    assert browsers.count("signed in with password") == 2
    assert programs.startswith("curl ")
    assert "through the API · signed in with password" in programs
    assert "aren’t signed in, so they aren’t listed here" in programs


def test_without_programs_or_other_browsers_the_page_says_so(client, alice):
    text = signed_in(alice, client).get(PAGE).text

    assert ">Programs</h2>" not in text
    assert "You aren’t signed in anywhere else." in card(text, "Browsers")
    effects = card(text, "Sign out everywhere else")
    assert "other browser" not in effects
    assert "program" not in effects
    assert "trusted" not in effects


def test_signing_out_elsewhere_lists_its_effects_with_counts(client, alice, clock):
    for _ in range(2):
        signed_in(alice)
    get_tokens("alice", Client())
    for number in range(3):
        ends_at = clock.now() + timedelta(days=number)
        TrustedBrowser.objects.create(
            user=alice, digest=str(number), version=alice.credential_version, ends_at=ends_at
        )

    effects = card(signed_in(alice, client).get(PAGE).text, "Sign out everywhere else")

    assert "2 trusted browsers will need two-step verification" in effects
    assert "(this browser too)" not in effects
    for stays in ("This browser", "Your API keys", "Your password and passkeys"):
        assert stays in effects.partition("What won’t change")[2]


def test_the_effects_say_if_this_browser_is_trusted(client, alice, settings):
    from accounts.common import secrets
    from accounts.common.clock import now
    from accounts.twofactor.trusted_browsers import PURPOSE

    token = secrets.token()
    TrustedBrowser.objects.create(
        user=alice,
        digest=secrets.digest(token, PURPOSE),
        version=alice.credential_version,
        ends_at=now() + timedelta(days=1),
    )
    client.cookies[settings.TRUSTED_COOKIE_NAME] = token

    text = signed_in(alice, client).get(PAGE).text
    assert "1 trusted browser will need two-step verification again (this browser too)" in card(
        text, "Sign out everywhere else"
    )
    set_up(settings, trusted_browser_days=0)
    assert "1 trusted browser" not in client.get(PAGE).text


def test_a_session_is_stale_after_thirty_days(client, alice, clock):
    signed_in(alice)
    signed_in(alice)
    stale, used = LoginSession.objects.all()
    long = clock.now() + timedelta(days=99)
    for session, days in ((stale, 37), (used, 29)):
        LoginSession.objects.filter(pk=session.pk).update(
            used_at=clock.now() - timedelta(days=days), idle_at=long, ends_at=long
        )

    text = signed_in(alice, client).get(PAGE).text

    assert re.findall(r"Not used for [^<]+", text) == ["Not used for 5 weeks"]


def test_browsers_come_before_programs_on_every_page(client, alice):
    get_tokens("alice", Client())
    signed_in(alice, client)
    here = LoginSession.objects.get(kind="browser")
    copied = ("agent", "browser", "amr", "auth_time", "idle_at", "ends_at")
    shared = {name: getattr(here, name) for name in copied}
    LoginSession.objects.bulk_create(LoginSession(user=alice, **shared) for _ in range(PAGE_SIZE))

    first, second = (client.get(f"{PAGE}?page={page}").text for page in (1, 2))

    assert ">Programs</h2>" not in first
    assert f"{PAGE_SIZE} other browsers will be" in card(first, "Sign out everywhere else")
    assert "through the API" in card(second, "Programs")


def test_a_location_file_names_the_places(client, alice, settings, tmp_path):
    path = mmdb.write(tmp_path / "places.mmdb", {"127.0.0.0/8": mmdb.city("Berlin")})
    set_up(settings, geoip_file=str(path))

    assert "Active now · Berlin , 127.0.0.1" in card(
        signed_in(alice, client).get(PAGE).text, "Browsers"
    )


SESSIONS = "/accounts/sessions/"


@pytest.fixture
def here(client, clock):
    """The session of alice in ``client``."""
    signed_in(make_user("alice"), client)
    return LoginSession.objects.get()


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.replace("</li><li>", " ")))


def test_apps_are_named_with_the_browser_that_they_end_with_and_staying_ones_by_themselves(
    client, here
):
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


def test_signing_out_everywhere_else_signs_apps_out(client, here):
    apps = [connect_app(here, make_app(), is_offline=is_offline) for is_offline in (True, False)]

    client.post(SESSIONS, {"others": "1"})

    for session in apps:
        session.refresh_from_db()
    assert not any(app.is_live for app in apps)
    here.refresh_from_db()
    assert here.is_live


def test_many_apps_take_no_more_queries(client, here):
    def cost():
        client.get(SESSIONS)
        with CaptureQueriesContext(connection) as queries:
            client.get(SESSIONS)
        return len(queries)

    def connect(number):
        for is_offline in (True, False):
            connect_app(here, make_app(f"App {number}"), is_offline=is_offline)

    connect(0)
    few = cost()
    for number in range(1, 10):
        connect(number)
    assert cost() == few


def test_pages_say_how_many_apps_a_new_password_a_new_factor_and_a_lock_end(client, here):
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


def test_the_api_names_the_app_of_a_session(here):
    app = make_app()
    connect_app(here, app)

    rows = call("sessions/", token=get_tokens()["access"])["results"]

    found = {row["kind"]: (row["device"], row["client_id"]) for row in rows}
    assert found["connected"] == ("Paperless", app.pk)
    assert found["api"][1] is None


def test_the_mail_that_locks_an_account_does_not_lead_to_the_names_of_apps(client, here):
    """Whoever reads the mailbox may open the link in a notice."""
    connect_app(here, make_app())
    mails = sent()
    (link,) = links_in(mails[-1].body, LOCKDOWN)

    page = text_of(Browser().get(link).text)

    assert "1 connected app will be disconnected." in page
    assert User.objects.get().username in page
    assert "Paperless" not in page
