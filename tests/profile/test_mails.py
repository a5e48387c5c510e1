"""Mails speak the language of whoever gets them, not of whoever causes them."""

import pytest
from django.test import Client

from accounts.users.models import User
from tests.support.signin import signed_in
from tests.support.steps import address_of, confirm, mail_to, make_user, sign_up

pytestmark = pytest.mark.django_db


def language_of_mail_to(username: str) -> str:
    html = str(mail_to(username).alternatives[0].content)
    return html.partition('<html lang="')[2].partition('"')[0]


def test_a_sign_up_fixes_the_language_of_its_mails_and_of_the_account(client: Client) -> None:
    client = Client(headers={"accept-language": "de"})
    sign_up(client, "alice")

    assert language_of_mail_to("alice") == "de"
    confirm(client, "alice")
    assert User.objects.get().language == "de"


def test_whatever_others_cause_comes_in_the_owners_language(client: Client) -> None:
    alice = make_user("alice")
    User.objects.update(language="de")

    client.post("/accounts/login/code/", {"login": "alice"})
    assert language_of_mail_to("alice") == "de"
    sign_up(client, "bob", email=address_of("alice"))
    assert language_of_mail_to("alice") == "de"
    alice.refresh_from_db()
    signed_in(alice).post("/accounts/profile/", {"username": "alicia"})
    assert language_of_mail_to("alice") == "de"
