"""The sign-in page."""

from functools import partial

import pytest
from django import forms
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from accounts.mail import services as mail
from accounts.mail.message import Message
from accounts.mail.models import OutgoingMail
from accounts.signin.forms import LoginForm
from accounts.throttle.limits import LOGIN_SUBSCRIBER, MAIL_SUBSCRIBER, UNGUESSABLE
from tests.support.disputes import lock_link
from tests.support.passkeys import options_of, owner
from tests.support.second_factor import CHALLENGE, enrolled, unused_code
from tests.support.standards import proves
from tests.support.steps import (
    CODE,
    LOGIN,
    LOGOUT,
    PASSWORD,
    WRONG,
    by_mail,
    by_password,
    code_in,
    is_signed_in,
    mail_to,
    make_user,
    sign_in,
    sign_in_twice,
    without_nonces,
)
from tests.support.webauthn import LOGIN_PASSKEY

RESET = "/accounts/password/reset/"
LANGUAGE = "/accounts/language/"
LAST_USED = "Last used"


def marked(page):
    """Return the label of the button that is marked as last used, or an empty string."""
    before, _, _after = page.partition(f' <span class="tag">{LAST_USED}')
    return before.rpartition(">")[2] if _ else ""


def test_the_method_that_this_browser_used_last_is_marked(client):
    make_user("alice")
    assert LAST_USED not in client.get(LOGIN).text
    for use, label in ((by_password, "Sign in"), (by_mail, "Email me a code")):
        assert use(client).url == "/"
        client.cookies.pop("sessionid")

        assert marked(client.get(LOGIN).text) == label


def test_a_lock_in_this_browser_forgets_the_method(client):
    make_user("alice")
    sign_in(client, "alice")

    client.post(lock_link("new browser"))

    assert LAST_USED not in client.get(LOGIN).text


def test_a_language_chosen_before_sign_in_is_kept_with_next_until_the_users_own(client):
    make_user("alice", language="en")
    page = client.get(f"{LOGIN}?next=/accounts/sessions/").text
    assert '<button class="link" name="language" value="de" lang="de">Deutsch</button>' in page
    assert 'name="next" value="/accounts/login/?next=/accounts/sessions/"' in page

    answer = client.post(LANGUAGE, {"language": "de", "next": f"{LOGIN}?next=/accounts/sessions/"})

    assert answer.url == f"{LOGIN}?next=/accounts/sessions/"
    assert '<html lang="de"' in client.get(answer.url).text
    assert sign_in(client, "alice", next="/accounts/sessions/").url == "/accounts/sessions/"
    assert '<html lang="en"' in client.get("/accounts/sessions/").text


@proves("WCAG-3.1.2")
def test_a_language_link_leads_to_no_other_site_and_is_shown_only_if_there_is_a_choice(
    client, settings
):
    posted = {"language": "de", "next": "https://evil.example/"}
    assert client.post(LANGUAGE, posted).url == "/"

    settings.LANGUAGES = [("en", "English")]

    assert "Deutsch" not in client.get(f"{LOGIN}?next=/").text


@proves("V14.2.1", "WCAG-3.3.7")
def test_the_typed_login_travels_to_the_reset_and_back_but_not_in_a_url(client):
    typed = {"login": "alice", "password": "", "next": "/accounts/sessions/", "again": "1"}

    for path in (RESET, LOGIN):
        answer = client.post(path, typed)

        assert (answer.status_code, "Error:" in answer.text) == (200, False)
        assert 'value="alice"' in answer.text
        assert 'name="next" value="/accounts/sessions/"' in answer.text
    sent = client.post(RESET, {"login": "alice", "next": "/accounts/sessions/"}).text
    assert 'name="login" value="alice"' in sent
    assert 'name="next" value="/accounts/sessions/"' in sent


def test_email_me_a_code_asks_for_the_login_if_none_was_typed(client):
    asked = client.post(CODE, {"login": " ", "password": "", "remember": "on", "ask": "1"}).text
    assert "Error:" not in asked
    assert 'name="login"' in asked
    assert "checked" in asked

    assert client.post(CODE, {"login": "alice", "ask": "1"}).url == CODE


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_cached_empty_form_equals_a_rendered_one_in_each_language(language):
    with translation.override(language):
        drawn = str(LoginForm())

        assert drawn == forms.Form.render(LoginForm()) == LoginForm().__html__()
        assert ("angemeldet bleiben" in drawn) == (language == "de")


def test_typed_values_do_not_leak_into_other_forms():
    before = str(LoginForm())
    typed = LoginForm({"login": "alice@example.org"})

    assert "alice@example.org" in str(typed)
    assert "alice@example.org" in str(LoginForm(initial={"login": "alice@example.org"}))
    assert str(LoginForm()) == before


def test_a_new_code_replaces_the_first_and_keeps_remember_me_and_next(client, clock):
    make_user("alice")
    token_request = {"login": "alice", "remember": "on", "next": "/accounts/sessions/"}
    client.post(CODE, token_request)
    first = code_in(mail_to("alice"))
    clock.advance(minutes=1, seconds=1)
    client.post(CODE, token_request)
    second = code_in(mail_to("alice"))

    assert "wrong or has expired" in client.post(CODE, {"code": first}).text
    assert client.post(CODE, {"code": second}).url == token_request["next"]
    assert is_signed_in(client)
    assert client.cookies["sessionid"]["max-age"]


WAYS = {
    "passkey": "Sign in with a passkey",
    "code": "Email me a code to sign in",
    "reset": "Reset your password by email",
}


def refused(browser, login="alice", **more):
    """Use up the budget of this client with wrong passwords, and return the next page."""
    for _ in range(LOGIN_SUBSCRIBER.burst):
        sign_in(browser, login, WRONG)
    answer = sign_in(browser, login, PASSWORD, **more)
    assert answer.status_code == 429
    return str(answer.text)


def offered(page):
    return {way for way, label in WAYS.items() if label in page}


def test_the_429_page_keeps_the_typed_login_but_not_the_password(clock):
    """Withstands a thief with a cookie."""
    make_user("alice")
    browser, more = Client(), {"remember": "on", "next": "/accounts/sessions/"}

    page = refused(browser, **more)

    assert "You can try again at" in page
    assert PASSWORD not in page
    assert WRONG not in page
    assert page.count('name="login" value="alice"') == 3
    assert browser.post(CODE, {"login": "alice", **more})["Location"] == CODE
    clock.advance(minutes=1)
    assert sign_in(browser, "alice", **more)["Location"] == "/accounts/sessions/"


@pytest.mark.parametrize("headers", [{}, {"accept-language": "de"}], ids=["en", "de"])
def test_the_429_page_is_the_same_for_known_and_unknown_logins(clock, headers):
    """Withstands a spy."""
    make_user("alice")
    pages = [
        without_nonces(refused(Client(REMOTE_ADDR=place, headers=headers), login))
        for place, login in (("10.1.0.1", "alice"), ("10.2.0.1", "nobody"))
    ]

    assert pages[0].replace("alice", "nobody") == pages[1]
    assert ("Zu viele Versuche" in pages[0]) is bool(headers)


def test_the_429_page_offers_only_methods_with_budget_left_for_this_client(clock):
    browser = Client()
    assert offered(refused(browser)) == set(WAYS)
    for line in range(9):
        Client(REMOTE_ADDR=f"10.{line}.0.1").post(RESET, {"login": "alice"})
    assert offered(refused(browser)) == set(WAYS), "requests of other clients are not revealed"

    browser.post(CODE, {"login": "alice"})
    assert offered(refused(browser)) == {"passkey", "reset"}
    for _ in range(MAIL_SUBSCRIBER.burst - 1):
        browser.post(RESET, {"login": "alice"})
    assert offered(refused(browser)) == {"passkey"}
    for _ in range(UNGUESSABLE.burst):
        browser.post("/accounts/login/passkey/", {"credential": "{}"})
    assert offered(refused(browser)) == set()
    assert "want to wait" not in refused(browser)


def test_a_sign_in_names_the_notices_of_the_last_week_that_could_not_be_delivered(alice, clock):
    """Withstands a failure: a notice never arrives."""
    for subject, queue in (("Your code", mail.Queue.CODES), ("New passkey", mail.Queue.NOTICES)):
        mail.post(Message(to=alice.email, subject=subject), queue=queue)
    for waiting in OutgoingMail.objects.all():
        mail._settle(waiting, failure=mail.REFUSED)

    def told():
        browser = Client()
        sign_in(browser, "alice")
        return "We couldn’t email you about this: New passkey. Is your" in browser.get("/").text

    assert [told(), told()] == [True, True]
    clock.advance(days=7)
    assert not told()


def statements(act):
    """Return the number of statements, without those of transactions."""
    with CaptureQueriesContext(connection) as found:
        assert act().url in {"/", LOGIN}
    return len([each for each in found if not each["sql"].startswith(("SAVEPOINT", "RELEASE"))])


def test_signing_in_and_out_in_a_known_browser_takes_few_statements(clock):
    user, passkey = owner()
    enrolled(user)
    clock.advance(days=8)
    browser = Client()
    sign_in_twice(browser, user)
    out = partial(browser.post, LOGOUT)
    assert statements(out) <= 12

    sign_in(browser, user.username)
    code = {"code": unused_code(user)}
    assert statements(lambda: browser.post(CHALLENGE, code)) <= 16
    out()

    credential = {"credential": passkey.get(options_of(browser))}
    assert statements(lambda: browser.post(LOGIN_PASSKEY, credential)) <= 16
