"""Attacks on the API calls that do what people do on pages."""

import re

import pytest

from accounts.users.models import User
from tests.support.api import call, get_tokens
from tests.support.signin import set_up
from tests.support.steps import WRONG_CODE, address_of, make_user, outbox

NOT_FRESH = (401, "insufficient_user_authentication")
# What each call needs: recent authentication. ``{email}`` is the id of an address.
ACTS = {
    "add an email": ("POST", "emails/", {"email": "mallory@example.org"}),
    "make an email primary": ("POST", "emails/{email}/primary/", {}),
    "remove an email": ("DELETE", "emails/{email}/", None),
}


@pytest.fixture
def alice(clock):
    return make_user("alice")


def do(act, token, alice):
    method, path, data = ACTS[act]
    row = alice.emails.first().pk
    return call(path.format(email=row), data, method=method, token=token)


@pytest.mark.parametrize("act", ACTS)
def test_a_credential_is_changed_only_within_ten_minutes_of_authentication(
    alice, clock, settings, act
):
    set_up(settings, access_token_seconds=3600)
    token = get_tokens()["access"]
    clock.advance(minutes=10, seconds=1)

    assert do(act, token, alice).short == NOT_FRESH
    assert User.objects.get().credential_version == alice.credential_version


def test_the_email_of_another_person_is_not_found(alice):
    mallory = get_tokens(make_user("mallory").username)["access"]
    owner = get_tokens()["access"]
    pending = call("emails/", {"email": "alice@example.net"}, token=owner)["id"]
    code = outbox()[-1].code

    for row in (alice.emails.get().pk, pending, "9" * 400, "-", "x" * 36):
        for method, path, data in (
            ("DELETE", f"emails/{row}/", None),
            ("POST", f"emails/{row}/confirm/", {"code": code}),
            ("POST", f"emails/{row}/primary/", {}),
        ):
            assert call(path, data, method=method, token=mallory).short == (404, "not_found")
    assert len(call("emails/", token=owner)["results"]) == 2


def test_adding_a_taken_email_over_the_api_looks_like_a_free_one(alice):
    mallory = get_tokens(make_user("mallory").username)["access"]

    taken, free = (
        call("emails/", {"email": email}, token=mallory)
        for email in (address_of("alice"), "nobody@example.org")
    )

    bodies = [
        re.sub(r"[0-9a-f-]{36}|\w+@[\w.]+", "", answer.content.decode()) for answer in (taken, free)
    ]
    assert taken.status == free.status == 201
    assert bodies[0] == bodies[1]
    assert (
        "tried to add" in next(mail for mail in outbox() if mail.to == address_of("alice")).subject
    )


def test_a_code_for_an_email_allows_five_tries_over_the_api(alice):
    token = get_tokens()["access"]
    path = f"emails/{call('emails/', {'email': 'alice@example.net'}, token=token)['id']}/confirm/"

    tried = [call(path, {"code": WRONG_CODE}, token=token) for _ in range(5)]

    assert {answer.short for answer in tried} == {(400, "invalid_code")}
    assert call(path, {"code": outbox()[-1].code}, token=token).short == (400, "invalid_code")
    assert alice.emails.count() == 1


def test_the_primary_email_cannot_be_removed_over_the_api(alice):
    token = get_tokens()["access"]

    for answer in (do("remove an email", token, alice), do("make an email primary", token, alice)):
        assert answer.short == (400, "not_possible")
    assert call("emails/", {"email": address_of("alice")}, token=token).code == "own_address"
