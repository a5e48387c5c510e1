"""Calls with an ``Idempotency-Key`` create nothing twice, and tell strangers nothing."""

import json

import pytest
from django.core.management import call_command
from django.db import transaction
from django.test import RequestFactory
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.apikeys.models import APIKey
from accounts.calls import idempotency
from accounts.calls import services as calls
from accounts.calls.models import CreatingCall
from accounts.emails.models import PendingEmail
from accounts.exports.models import Export
from accounts.invitations.models import Invitation
from accounts.twofactor.models import Authenticator, Passkey
from accounts.users.models import PendingSignup
from tests.support.administration import member, staff_token
from tests.support.api import API, get_tokens
from tests.support.api_factors import begin
from tests.support.api_jwt import call as raw_call
from tests.support.second_factor import enrolled
from tests.support.steps import PASSWORD, make_user, outbox
from tests.support.webauthn import Passkey as Device
from tests.support.wsgi import Program

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
ALICE = {"username": "alice", "email": "alice@example.org", "password": PASSWORD}


def send(path, body, key=KEY, token=""):
    authorization = f"Bearer {token}" if token else None
    return raw_call(
        Program(), f"{API}{path}", body, authorization=authorization, Idempotency_Key=key
    )


def test_a_sign_up_whose_answer_was_lost_is_answered_again():
    first = send("users/", ALICE)
    again = send("users/", ALICE)

    assert (first.status, again.status) == (201, 201)
    assert (again.body, again.headers["Location"]) == (first.body, first.headers["Location"])
    assert (PendingSignup.objects.count(), len(outbox())) == (1, 1)
    assert send("users/", ALICE, "another-key-of-the-same-client").fields == ["username"]


def test_a_repeated_sign_up_tells_nothing_more_than_the_first_answer():
    """Withstands a spy.

    Neither whether the address has an account, nor what has become of the sign-up.
    """
    make_user("owner", email="taken@example.org")
    taken = ALICE | {"username": "bob", "email": "taken@example.org"}
    keys = {"alice": KEY, "bob": f"{KEY}-b"}
    first = [send("users/", ALICE), send("users/", taken, keys["bob"])]
    PendingSignup.objects.all().delete()

    again = [send("users/", ALICE), send("users/", taken, keys["bob"])]

    assert [a.body for a in again] == [a.body for a in first]
    assert {a.status for a in again} == {201}
    assert PASSWORD not in str(CreatingCall.objects.values())


def test_a_key_with_another_body_is_422_and_creates_nothing(token):
    assert send("keys/", {"name": "bot"}, token=token).status == 201

    other = send("keys/", {"name": "Bot"}, token=token)

    assert other.short == (422, "idempotency_key_reused")
    assert APIKey.objects.count() == 1


def test_a_repeated_call_returns_the_object_as_it_is_now_without_its_secret(token, clock):
    enrolled(member("carol", "Manager"))
    staff = staff_token("carol")
    calls = {
        "keys/": ({"name": "bot"}, token, APIKey),
        "me/exports/": ({}, token, Export),
        "emails/": ({"email": "more@example.org"}, token, PendingEmail),
        "admin/invitations/": ({"email": "dave@example.org"}, staff, Invitation),
    }
    for path, (body, credential, model) in calls.items():
        first = send(path, body, token=credential)
        assert first.status in {201, 202}
        clock.advance(seconds=10)

        again = send(path, body, token=credential)

        shown = first.body | ({"key": None} if "key" in first.body else {})
        assert (again.status, again.body) == (first.status, shown)
        assert "RateLimit" not in again.headers, "a repeated call costs nothing"
        assert model.objects.count() == 1
    key = APIKey.objects.get()
    APIKey.objects.update(name="robot")
    assert send("keys/", {"name": "bot"}, token=token)["name"] == "robot"
    key.delete()
    assert send("keys/", {"name": "bot"}, token=token).short == (404, "not_found")


def test_a_key_belongs_to_one_person_and_one_call(token):
    """Withstands another member: an Idempotency-Key is used by somebody else."""
    make_user("bob")
    assert send("keys/", {"name": "bot"}, token=token).status == 201

    others = send("keys/", {"name": "bot"}, token=get_tokens("bob")["access"])
    assert (others.status, others["key"] is not None) == (201, True)
    assert send("me/exports/", {"name": "bot"}, token=token).status == 202


def test_a_repeated_call_needs_what_the_first_one_needed(token, clock):
    send("keys/", {"name": "bot"}, token=token)
    clock.advance(minutes=11)

    again = send("keys/", {"name": "bot"}, token=token)

    assert again.status == 401


def test_a_refused_call_can_be_sent_again_with_its_key(token):
    assert send("keys/", {"name": ""}, token=token).fields == ["name"]
    assert send("keys/", {"name": "bot"}, token=token).status == 201


@pytest.mark.parametrize("key", ["", "short", "x" * 256, "eight of these words are not random"])
def test_a_key_that_cannot_be_random_is_refused(key, token):
    refused = send("keys/", {"name": "bot"}, key, token)

    assert refused.short == (400, "invalid_idempotency_key")
    assert not APIKey.objects.exists()


def test_a_key_is_forgotten_after_a_day_and_then_pruned(clock):
    first = send("users/", ALICE)
    PendingSignup.objects.all().delete()
    clock.advance(hours=24)

    assert send("users/", ALICE | {"username": "bob"})["id"] != first["id"]
    assert CreatingCall.objects.count() == 1
    clock.advance(hours=23)
    call_command("prune")
    assert CreatingCall.objects.count() == 1
    clock.advance(hours=1)
    call_command("prune")
    assert not CreatingCall.objects.exists()


def test_a_key_without_what_it_has_created_is_never_stored(monkeypatch):
    """A crash between both would leave a name taken, or a lost object."""

    def fail(*_args, **_options):
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr("accounts.signup.services._post", fail)
        assert send("users/", ALICE).status == 500
    assert not CreatingCall.objects.exists()

    assert send("users/", ALICE).status == 201


def test_of_two_simultaneous_calls_with_a_key_one_creates_and_both_are_answered_alike(alice):
    """Withstands a race."""
    request = Request(RequestFactory().post("/things/", headers={"Idempotency-Key": KEY}))
    request.user = alice

    @transaction.atomic
    def create(name):
        calls.created(name, alice.pk)
        return Response(name, 202)

    answers = []

    def create_after_the_other():
        answers.append(idempotency.once(request, lambda: create("first"), Response, 202))
        return create("second")

    answers.append(idempotency.once(request, create_after_the_other, Response, 202))

    assert [(each.data, each.status_code) for each in answers] == [("first", 202)] * 2
    assert CreatingCall.objects.get().object_id == "first"
    assert calls.CALL.get() is None, "what the thread creates next belongs to no call"


def test_a_factor_is_added_and_its_recovery_codes_are_shown_once(token):
    """A client that lost the codes makes new ones; a repeated call would end those it shows."""
    setup, code = begin(token)
    options = send("passkeys/registration/", {}, token=token).body
    bodies = {
        "passkeys/": {"credential": json.loads(Device().create(options))},
        "factors/totp/": {"setup": setup, "code": code},
        "factors/recovery-codes/": {},
    }
    shown = []
    for path, body in bodies.items():
        first, again = (send(path, body, token=token) for _ in range(2))

        assert (first.status, again.status) == (201, 201)
        assert again.body == first.body | {"recovery_codes": None}
        shown.append(len(first["recovery_codes"]))
    assert shown == [10, 0, 10]
    assert (Authenticator.objects.count(), Passkey.objects.count()) == (1, 1)
