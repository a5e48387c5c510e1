"""Attacks with the email address of another person, which mallory has added or once had."""

import io
import json
from zipfile import ZipFile

import pytest
from django.test import Client

from accounts.activity.services import Actor
from accounts.codes.models import Code
from accounts.emails import services as emails
from accounts.exports import services
from accounts.mail.models import OutgoingMail
from accounts.users import services as users
from tests.support.erasure import erase
from tests.support.signin import signed_in
from tests.support.steps import address_of, make_user, sign_up

ALICE = address_of("alice")


@pytest.fixture(params=["added", "passed on"])
def mallory(request):
    """Mallory, who cannot confirm the address of alice, or has removed it before she had it."""
    mallory = make_user("mallory")
    if request.param == "added":
        signed_in(mallory).post("/accounts/email/", {"action_add": "", "email": ALICE})
    else:
        users.confirm_email(mallory, ALICE)
        emails.remove(mallory, mallory.emails.get(email=ALICE).pk, Actor())
    OutgoingMail.objects.all().delete()
    return mallory


def test_an_export_has_nothing_about_the_address_of_another_person(mallory):
    """Withstands an impostor: the address of another person is added."""
    sign_up(Client(), "alice")
    assert OutgoingMail.objects.exists()
    sink = io.BytesIO()

    services.write(mallory, sink, lambda: None)

    tables = json.loads(ZipFile(sink).read("data.json"))["tables"]
    assert tables["accounts.OutgoingMail"] == tables["accounts.PendingSignup"] == []


def test_a_deletion_leaves_the_codes_and_emails_of_the_person_who_has_the_address_now(mallory):
    make_user("alice")
    Client().post("/accounts/password/reset/", {"login": ALICE})

    assert erase(mallory)
    assert Code.objects.filter(email=ALICE)
    assert OutgoingMail.objects.count() == 1
