"""The sign-in page: the last method, the language, and what travels to other pages."""

import pytest
from django.conf import settings
from django.test import Client

from tests.support.steps import CODE, LOGIN, by_mail, by_password, make_user, sign_in

pytestmark = pytest.mark.django_db

RESET = "/accounts/password/reset/"
LANGUAGE = "/accounts/language/"
LAST_USED = "Last used"


def marked(page: str) -> str:
    """Return the label of the button that is marked as last used, or an empty string."""
    before, _, _after = page.partition(f' <span class="tag">{LAST_USED}')
    return before.rpartition(">")[2] if _ else ""


def test_the_method_that_this_browser_used_last_is_marked(client: Client) -> None:
    make_user("alice")
    assert LAST_USED not in client.get(LOGIN).text
    for use, label in ((by_password, "Sign in"), (by_mail, "Email me a code")):
        assert use(client).url == "/"
        client.cookies.pop("sessionid")

        assert marked(client.get(LOGIN).text) == label


def test_any_other_value_of_the_cookie_marks_nothing(client: Client) -> None:
    client.cookies[settings.LAST_METHOD_COOKIE_NAME] = "<b>carrier pigeon"

    page = client.get(LOGIN).text

    assert LAST_USED not in page
    assert "pigeon" not in page


def test_a_lock_in_this_browser_forgets_the_method(client: Client) -> None:
    make_user("alice")
    sign_in(client, "alice")

    client.post("/accounts/lockdown/")

    assert LAST_USED not in client.get(LOGIN).text


def test_a_language_chosen_before_sign_in_is_kept_with_next_until_the_users_own(
    client: Client,
) -> None:
    make_user("alice", language="en")
    page = client.get(f"{LOGIN}?next=/accounts/sessions/").text
    assert '<button class="link" name="language" value="de" lang="de">Deutsch</button>' in page
    assert 'name="next" value="/accounts/login/?next=/accounts/sessions/"' in page

    answer = client.post(LANGUAGE, {"language": "de", "next": f"{LOGIN}?next=/accounts/sessions/"})

    assert answer.url == f"{LOGIN}?next=/accounts/sessions/"
    assert '<html lang="de"' in client.get(answer.url).text
    assert sign_in(client, "alice", next="/accounts/sessions/").url == "/accounts/sessions/"
    assert '<html lang="en"' in client.get("/accounts/sessions/").text


def test_a_language_link_leads_to_no_other_site_and_is_shown_only_if_there_is_a_choice(
    client: Client, settings: pytest.FixtureRequest
) -> None:
    posted = {"language": "de", "next": "https://evil.example/"}
    assert client.post(LANGUAGE, posted).url == "/"

    settings.LANGUAGES = [("en", "English")]

    assert "Deutsch" not in client.get(f"{LOGIN}?next=/").text


def test_the_typed_login_travels_to_the_reset_and_back_but_not_in_a_url(client: Client) -> None:
    typed = {"login": "alice", "password": "", "next": "/accounts/sessions/", "again": "1"}

    for path in (RESET, LOGIN):
        answer = client.post(path, typed)

        assert (answer.status_code, "Error:" in answer.text) == (200, False)
        assert 'value="alice"' in answer.text
        assert 'name="next" value="/accounts/sessions/"' in answer.text
    sent = client.post(RESET, {"login": "alice", "next": "/accounts/sessions/"}).text
    assert 'name="login" value="alice"' in sent
    assert 'name="next" value="/accounts/sessions/"' in sent


def test_email_me_a_code_asks_for_the_login_if_none_was_typed(client: Client) -> None:
    asked = client.post(CODE, {"login": " ", "password": "", "remember": "on", "ask": "1"}).text
    assert "Error:" not in asked
    assert 'name="login"' in asked
    assert "checked" in asked

    assert client.post(CODE, {"login": "alice", "ask": "1"}).url == CODE


def test_an_error_about_an_empty_field_names_the_field_once(client: Client) -> None:
    page = client.post(LOGIN, {"login": "", "password": ""}).text

    summary = page.partition("data-summary")[2].partition("</ul>")[0]
    assert summary.count("Enter your username or email address.") == 1
    assert summary.count("Enter your password.") == 1
    assert "This field is required" not in page
