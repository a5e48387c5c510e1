"""Logout at the request of an app: whom it signs out, whom it asks, and where it leads."""

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client as Browser

from accounts.activity.services import Actor
from accounts.oauth.clients import services as clients
from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support.authorize import target
from tests.support.clock import Clock
from tests.support.oauth_client import FORM, App, new_app, set_client
from tests.support.signin import signed_in

pytestmark = pytest.mark.django_db

LOGOUT, BYE = "/oauth/logout", "https://paperless.example.org/bye"


@pytest.fixture
def app(db: None) -> App:
    return new_app(logout_uris=[BYE])


def session_of(user: User) -> LoginSession:
    return LoginSession.objects.filter(user=user, kind=LoginSession.Kind.BROWSER).latest("begun_at")


def hint(app: App, user: User) -> str:
    """Sign in to the app from the browser session of ``user``; return the ID token."""
    return str(app.sign_in(session_of(user), "openid")["id_token"])


def is_signed_in(browser: Browser) -> bool:
    return browser.get("/").status_code == 200


def asked(browser: Browser, **parameters: str) -> Any:
    """Send the request of an app; return the answer at the clean address."""
    first = browser.get(LOGOUT, parameters)
    assert (first.status_code, first["Location"], first.content) == (303, LOGOUT, b"")
    return browser.get(LOGOUT)


def asks(page: Any) -> bool:
    return page.status_code == 200 and "Stay signed in" in page.text


def test_an_app_signs_out_the_browser_from_which_the_person_signed_in_to_it(
    app: App, alice: User, browser: Browser, clock: Clock
) -> None:
    old = hint(app, alice)
    clock.advance(minutes=30)

    answer = asked(browser, id_token_hint=old, post_logout_redirect_uri=BYE, state="s&1")

    assert (answer.status_code, answer["Location"]) == (303, f"{BYE}?state=s%261")
    assert not is_signed_in(browser)
    assert "logout" not in {name for name, cookie in browser.cookies.items() if cookie.value}


def test_the_form_of_an_app_may_send_the_request(app: App, alice: User, browser: Browser) -> None:
    strict = Browser(enforce_csrf_checks=True)
    strict.cookies = browser.cookies
    body = urlencode({"id_token_hint": hint(app, alice), "client_id": app.client.pk})

    first = strict.post(LOGOUT, body, content_type=FORM)

    assert (first.status_code, first["Location"]) == (303, LOGOUT)
    assert "You’re signed out" in strict.get(LOGOUT).text
    assert not is_signed_in(strict)


def test_without_a_hint_the_person_is_asked_and_led_nowhere(app: App, browser: Browser) -> None:
    page = asked(browser, client_id=app.client.pk, post_logout_redirect_uri=BYE)

    assert asks(page)
    assert app.client.name not in page.text
    assert is_signed_in(browser)
    done = browser.post(LOGOUT, {"csrfmiddlewaretoken": "any"})
    assert target(done) == ""
    assert "You’re signed out" in done.text
    assert not is_signed_in(browser)


def test_another_browser_of_the_person_is_asked_before_it_is_signed_out(
    app: App, alice: User, browser: Browser
) -> None:
    elsewhere = hint(app, alice)
    here = signed_in(alice)

    page = asked(here, id_token_hint=elsewhere, post_logout_redirect_uri=BYE)

    assert asks(page)
    assert "<bdi>Paperless</bdi> asks" in page.text
    done = here.post(LOGOUT, {"csrfmiddlewaretoken": "any"})
    assert (done.status_code, target(done)) == (200, BYE)
    assert (is_signed_in(here), is_signed_in(browser)) == (False, True)


def test_a_browser_that_is_signed_out_already_is_led_back_to_the_app(
    app: App, alice: User, browser: Browser
) -> None:
    answer = asked(Browser(), id_token_hint=hint(app, alice), post_logout_redirect_uri=BYE)

    assert answer["Location"] == BYE
    assert "You’re signed out" in Browser().get(LOGOUT).text
    # The cookie that remembers the request would be too long for browsers.
    sent = {"id_token_hint": hint(app, alice), "post_logout_redirect_uri": BYE}
    assert asked(Browser(), **sent, state="x" * 1025).status_code == 200


def test_an_app_that_nobody_has_verified_gets_a_link_and_no_redirect(
    app: App, alice: User, browser: Browser
) -> None:
    set_client(app, is_verified=False)
    sent = {"id_token_hint": hint(app, alice), "post_logout_redirect_uri": BYE, "state": "s&1"}
    here = signed_in(alice)

    pages = [asked(Browser(), **sent), asked(browser, **sent)]
    assert asks(asked(here, **sent))
    pages.append(here.post(LOGOUT, {"csrfmiddlewaretoken": "any"}))

    for page in pages:
        assert (page.status_code, target(page)) == (200, "")
        assert f'href="{BYE}?state=s%261" rel="noreferrer">Continue to paperless' in page.text
    assert not is_signed_in(browser)


def of_another_app(app: App, alice: User) -> dict[str, str]:
    """The hint of an app that has registered the same URI, sent as this app."""
    wiki = new_app("Wiki", logout_uris=[BYE])
    return {"id_token_hint": hint(wiki, alice), "client_id": app.client.pk}


def of_a_disabled_app(app: App, alice: User) -> dict[str, str]:
    sent = {"id_token_hint": hint(app, alice)}
    clients.set_enabled(app.client, Actor(), enabled=False)
    return sent


def of_another_site(app: App, alice: User) -> dict[str, str]:
    head, _, rest = hint(app, alice).partition(".")
    return {"id_token_hint": f"{head}.{rest[:-8]}AAAAAAAA"}


def an_access_token(app: App, alice: User) -> dict[str, str]:
    return {"id_token_hint": app.sign_in(session_of(alice), "openid")["access_token"]}


HINTS = [of_another_app, of_a_disabled_app, of_another_site, an_access_token]


@pytest.mark.parametrize("foreign", HINTS, ids=lambda foreign: foreign.__name__)
def test_a_foreign_hint_counts_as_none(
    app: App, alice: User, browser: Browser, foreign: Any
) -> None:
    page = asked(browser, **foreign(app, alice), post_logout_redirect_uri=BYE)

    assert asks(page)
    assert is_signed_in(browser)
    assert target(browser.post(LOGOUT, {"csrfmiddlewaretoken": "any"})) == ""


def test_nobody_is_led_to_a_uri_that_is_not_registered_exactly(app: App, alice: User) -> None:
    for uri in (f"{BYE}/", f"{BYE}?x=1", BYE.upper(), "https://mallory.example", "javascript:x"):
        browser = signed_in(alice)
        answer = asked(browser, id_token_hint=hint(app, alice), post_logout_redirect_uri=uri)
        assert (answer.status_code, is_signed_in(browser)) == (200, False)
    browser = signed_in(alice)
    browser.get(LOGOUT, {"id_token_hint": hint(app, alice), "post_logout_redirect_uri": BYE})
    set_client(app, logout_uris=[])
    assert "You’re signed out" in browser.get(LOGOUT).text


def test_a_page_of_another_site_cannot_press_the_button(alice: User) -> None:
    browser = Browser(enforce_csrf_checks=True)
    signed_in(alice, browser)

    assert browser.post(LOGOUT, {"csrfmiddlewaretoken": "x" * 32}).status_code == 403
    assert browser.post(LOGOUT).status_code == 403
    browser.post(LOGOUT, {"state": "x"})

    assert is_signed_in(browser)


def test_the_hint_is_in_no_page_cookie_or_log(
    app: App, alice: User, browser: Browser, capfd: pytest.CaptureFixture[str], caplog: Any
) -> None:
    secret = hint(app, alice)
    here = signed_in(alice)

    first = here.get(LOGOUT, {"id_token_hint": secret, "state": "x" * 2000})
    page = here.get(LOGOUT)
    twice = here.get(f"{LOGOUT}?id_token_hint={secret}&id_token_hint={secret}")

    payload = secret.split(".")[1]
    written = "".join(capfd.readouterr()) + caplog.text + str(first.cookies) + page.text
    assert twice.status_code == 400
    assert payload not in written + twice.text
    assert re.search("no-store", first["Cache-Control"])


def test_malformed_requests_cause_no_server_error(browser: Browser) -> None:
    for value in ("\0", "a.b.c", "..", "\ud800", "x" * 9000, "e30.e30.", "\U0001f600"):
        sent = {"id_token_hint": value.encode("utf-8", "replace").decode(), "state": "s"}
        assert browser.get(LOGOUT, sent).status_code in {303, 400}
        browser.cookies["logout"] = value if value.isascii() and value.isprintable() else "x"
        assert asks(browser.get(LOGOUT))
