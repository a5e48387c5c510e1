"""The pages about sessions."""

import re
from datetime import timedelta
from functools import partial

import pytest
from django.core.management import call_command
from django.test import Client
from django.test import Client as Browser

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.sessions import connected
from accounts.sessions.models import LoginSession
from accounts.tokens.access import AccessToken
from accounts.twofactor.models import TrustedBrowser
from accounts.users.models import User
from tests.support.administration import LIST, desk, page_of
from tests.support.api import call, get_tokens
from tests.support.apps import connect_app, make_app
from tests.support.events import LOCKDOWN, links_in, sent
from tests.support.oauth_client import audience
from tests.support.second_steps import browser
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, make_user, sign_in

PAGE = "/accounts/sessions/"
RECOGNISED = "Browsers that we recognise"
TAGS = re.compile(r"<[^>]*>")


@pytest.fixture
def alice(clock):
    return make_user("alice")


def card(text, heading):
    """The words of the card with this heading."""
    (found,) = (part for part in text.split('class="card"') if f">{heading}</h2>" in part)
    return " ".join(TAGS.sub(" ", found.partition("</h2>")[2]).split())


def test_this_browser_comes_first_and_programs_apart(client, alice):
    """Withstands a thief in the account: a program is signed in unseen."""
    signed_in(alice)
    here = signed_in(alice, client)
    get_tokens("alice", Client(headers={"user-agent": "curl/8.14.1"}))

    text = here.get(PAGE).text

    browsers, programs = card(text, "Browsers"), card(text, "Programs")
    assert browsers.index("This browser Active now") < browsers.index("Sign out")
    assert browsers.count("signed in with password") == 2
    assert programs.startswith("curl ")
    assert "through the API signed in with password" in programs


def test_known_browsers_are_listed_until_they_are_forgotten(alice, clock):
    here, row = browser(), "Firefox on Linux This browser Last sign-in:"
    sign_in(here, "alice")
    clock.advance(days=2)
    sign_in(here, "alice")
    assert f"{row} Today" in card(here.get(PAGE).text, RECOGNISED)
    known = alice.known_browsers.get()
    assert (known.since, known.used_at) == (clock.now() - timedelta(days=2), clock.now())

    page = here.post(PAGE, {"forget": known.pk}, follow=True).text

    assert "The browser was forgotten." in page
    assert RECOGNISED not in page
    clock.advance(days=1)
    sign_in(here, "alice")
    assert sent()[-1].subject.startswith("Sign-in from a new browser")
    known.refresh_from_db()
    assert known.since == clock.now()


def test_signing_out_elsewhere_is_offered_with_its_effects_where_it_has_any(client, alice, clock):
    assert "Sign out everywhere else" not in signed_in(alice, client).get(PAGE).text
    for _ in range(2):
        signed_in(alice)
    get_tokens("alice", Client())
    for number in range(3):
        ends_at = clock.now() + timedelta(days=number)
        TrustedBrowser.objects.create(
            user=alice, digest=str(number), version=alice.credential_version, ends_at=ends_at
        )

    effects = card(signed_in(alice, client).get(PAGE).text, "Sign out everywhere else")

    assert "Your sign-in on 3 other devices" in effects
    assert "The trust in 2 browsers, which will need" in effects
    assert "Your API keys" in effects.partition("What stays")[2]


@pytest.fixture
def here(client, clock):
    """The session of alice in ``client``."""
    signed_in(make_user("alice"), client)
    return LoginSession.objects.get()


def test_each_connected_app_is_listed_once_apart_from_the_browsers(client, here):
    phone, app = signed_in(here.user), make_app()
    elsewhere = LoginSession.objects.exclude(pk=here.pk).get()
    for session in (here, elsewhere):
        connect_app(session, app, is_offline=True)
    connect_app(here, app)
    connect_app(here, make_app("Wiki", pk="0"))

    assert connected.apps().names(LoginSession.objects.all()) == ["Paperless", "Wiki"]
    page = phone.get(PAGE).text

    apps, browsers = card(page, "Connected apps"), card(page, "Browsers")
    assert (apps.count("Paperless"), apps.count("Wiki")) == (1, 1)
    assert "signed out of the apps that you opened in it" in browsers
    assert re.findall('name="end" value="([^"]+)', page) == [str(here.pk)]


def test_signing_out_everywhere_else_signs_apps_out(client, here):
    apps = [connect_app(here, make_app(), is_offline=is_offline) for is_offline in (True, False)]

    client.post(PAGE, {"others": "1"})

    for session in apps:
        session.refresh_from_db()
    assert not any(app.is_live for app in apps)
    here.refresh_from_db()
    assert here.is_live


def test_the_api_names_the_app_of_a_session(here):
    app = make_app()
    connect_app(here, app)

    rows = call("sessions/", token=get_tokens()["access"])["results"]

    found = {row["kind"]: (row["device"], row["client_id"], row["is_current"]) for row in rows}
    assert found["connected"] == ("Paperless", app.pk, False)
    assert found["api"][1:] == (None, True)
    rows = call("sessions/", basic=f"alice:{PASSWORD}")["results"]
    assert not any(row["is_current"] for row in rows), "a password is no session"
    call("me/", {"about": "x"}, method="PATCH", basic=f"alice:{PASSWORD}")
    row = here.user.activity.latest("id")
    assert (row.kind, row.proof, row.session) == ("profile_changed", "pwd", None)


def test_the_mail_that_locks_an_account_does_not_lead_to_the_names_of_apps(client, here):
    """Withstands a thief with the mailbox.

    Whoever reads the mailbox may open the link in a notice.
    """
    connect_app(here, make_app())
    mails = sent()
    (link,) = links_in(mails[-1].body, LOCKDOWN)

    page = " ".join(TAGS.sub("", Browser().get(link).text).split())

    assert "1 connected app will be disconnected." in page
    assert User.objects.get().username in page
    assert "Paperless" not in page


def test_pages_and_the_api_name_no_app_while_the_provider_is_turned_off(client, here, monkeypatch):
    """The sessions of apps stay in the database until ``migrate oauth zero`` deletes them."""
    session = connect_app(here, make_app())
    staff, token = desk("Superuser"), partial(AccessToken.issue, session, audience())
    record(here.user, events.APP_REFUSED, Actor(), detail="Paperless")
    monkeypatch.setattr(connected, "_registered", [connected.Apps()])

    pages = [client.get(path) for path in (PAGE, "/accounts/lockdown/")]
    pages += [staff.get(path) for path in (page_of(here.user), f"{LIST}?q={here.user.pk}")]
    seen = call("sessions/", token=str(token(frozenset({"sessions:read"}))))["results"]
    call_command("prune", verbosity=0)

    assert [page.status_code for page in pages] == [200] * 4
    assert "Paperless" not in pages[0].text + pages[1].text
    assert page_of(here.user) in pages[3].text, "a search by an id finds the user"
    assert {row["id"]: row["client_id"] for row in seen} == {
        str(s.pk): None for s in (here, session)
    }
