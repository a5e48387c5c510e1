"""Public pages about the site."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from accounts.codes.services import CODE_LIFE
from accounts.mail.services import OUTBOX
from accounts.signup.services import LIFE
from tests.support.signin import signed_in
from tests.support.steps import make_user

SECURITY_TXT = "/.well-known/security.txt"


def test_security_txt_names_the_contact_and_expires_in_the_future(client: Client) -> None:
    answer = client.get(SECURITY_TXT)
    said = dict(line.split(": ", 1) for line in answer.text.splitlines())

    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert said["Contact"] == "mailto:authsite@localhost"
    assert said["Canonical"] == f"{settings.AUTHSITE.origin}{SECURITY_TXT}"
    assert said["Preferred-Languages"] == "en, de"
    left = datetime.fromisoformat(said["Expires"]) - datetime.now(UTC)
    assert timedelta(days=170) < left < timedelta(days=365)


def test_password_managers_find_the_page_to_change_a_password(client: Client) -> None:
    answer = client.get("/.well-known/change-password")

    assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/change/")
    # They also request this URL, to find sites that answer 200 to everything.
    nonsense = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
    assert client.get(nonsense).status_code == 404


@pytest.mark.django_db
def test_the_privacy_page_names_every_cookie_and_the_retention_periods_in_force(
    client: Client,
) -> None:
    page = client.get("/privacy/").text
    given = signed_in(make_user("alice")).cookies
    client.get("/accounts/login/")

    of_apps = (settings.AUTHORIZE_COOKIE_NAME, settings.LOGOUT_COOKIE_NAME)
    for cookie in [*given, *client.cookies, settings.LANGUAGE_COOKIE_NAME, *of_apps]:
        assert f"<code>{cookie}</code>" in page
    for figure in (f"for {settings.AUTHSITE.activity_days} days", "for 90 days", "24 hours after"):
        assert figure in page
    assert (LIFE.days, CODE_LIFE.seconds, OUTBOX.life.days) == (3, 15 * 60, 5)
    for figure in ("within 3 days", "15 minutes to 30 days", "for 5 days at most"):
        assert figure in page


def test_public_pages_are_served_without_a_query(
    client: Client, django_assert_num_queries: Any, db: None
) -> None:
    for path in ("/help/", "/privacy/", SECURITY_TXT, "/accounts/login/"):
        with django_assert_num_queries(0):
            answer = client.get(path, headers={"accept-language": "de"})
        assert answer.status_code == 200
        for page in ("help", "privacy"):
            assert path == SECURITY_TXT or f'href="/{page}/"' in answer.text
    assert len(answer.content) <= 15_000
