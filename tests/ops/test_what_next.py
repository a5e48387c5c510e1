"""The page that shows the first administrator what to do next."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from accounts.common.issuers import Issuer
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_staff, make_user

pytestmark = pytest.mark.django_db

WHAT_NEXT = "/accounts/what-next/"
EXAMPLE = Issuer("oidc/example", "Example", "id", "secret", "https://example.org")


@pytest.fixture
def carol() -> Client:
    return signed_in(make_staff("carol"))


def test_in_development_it_leads_to_the_sent_email_and_to_going_live(carol: Client) -> None:
    page = carol.get(WHAT_NEXT).text

    for link in ("/admin/", "/api/v1/docs/", "/dev/mail/"):
        assert f'<a class="button small" href="{link}">' in page
    assert "from an empty machine to backups" in page
    assert f"{settings.AUTHSITE.origin}/accounts/google/login/callback/" in page
    assert page.count("Not set up") == 2


def test_in_production_it_says_how_to_test_email_and_to_keep_the_site_running(
    carol: Client, settings: Any
) -> None:
    set_up(
        settings,
        environment="production",
        email_url="smtp://site:hunter2@mail.example.org",
        oidc_providers=(EXAMPLE,),
        site_colour="#1d4ed8",
    )
    page = carol.get(WHAT_NEXT).text

    assert "send_test_mail carol@example.org" in page
    assert "mail.example.org" in page
    assert "hunter2" not in page
    for gone in ("/dev/mail/", "make https", "Not set up", "client_secret"):
        assert gone not in page
    assert "<bdi>Example</bdi>" in page
    assert "docs/operating.md" in page


def test_only_staff_see_it(carol: Client) -> None:
    alice = signed_in(make_user("alice"))

    assert alice.get(WHAT_NEXT).status_code == 403
    assert WHAT_NEXT not in alice.get("/").text
    assert WHAT_NEXT in carol.get("/").text
