"""Attacks on exports: a thief wants the file with everything about a person."""

import uuid

import pytest
from django.test import Client

from accounts.exports import services
from accounts.exports.models import Export, ExportPart
from accounts.exports.services import ExportGone
from tests.support.api import call, get_tokens
from tests.support.api_keys import key_of
from tests.support.signin import signed_in
from tests.support.standards import proves
from tests.support.steps import make_user

DATA = "/accounts/data/"


@pytest.fixture
def made(alice):
    """An export of alice that is complete."""
    signed_in(alice).post(DATA)
    services.make_due()
    return Export.objects.get()


def test_the_file_is_for_the_account_that_asked_for_it_and_a_wrong_id_says_nothing(alice, made):
    """Withstands another member: an export is fetched by its id."""
    mallory = make_user("mallory")
    browser, token = signed_in(mallory), get_tokens("mallory")["access"]

    for wrong in (made.pk, uuid.uuid4(), "x", ""):
        assert browser.post(DATA, {"download": str(wrong)}).url == DATA
    for wrong in (made.pk, uuid.uuid4()):
        assert call(f"me/exports/{wrong}/", token=token).short == (404, "not_found")
    assert str(made.pk) not in browser.get(DATA).text
    assert Client().post(DATA).url.startswith("/accounts/login/")
    assert not Export.objects.get().fetched_at


def test_a_stale_session_a_narrow_token_and_an_api_key_get_no_file(alice, made, clock):
    """Withstands a thief with a token: an export."""
    browser, token = signed_in(alice), get_tokens()["access"]
    narrow = get_tokens(scope="profile:read profile:write activity:read")["access"]
    ask_and_fetch = (("me/exports/", {}), (f"me/exports/{made.pk}/", None))
    for path, data in ask_and_fetch:
        for held in (narrow, key_of(alice, "read write")):
            assert call(path, data, token=held).status in {401, 403}
    clock.advance(minutes=11)

    assert browser.post(DATA, {"download": str(made.pk)}).url.startswith("/accounts/reauth")
    assert browser.post(DATA).url.startswith("/accounts/reauth")
    for path, data in ask_and_fetch:
        assert call(path, data, token=token).status == 401
    assert Export.objects.get().fetched_at is None


def test_of_two_requests_for_the_file_at_once_one_gets_it(alice, made):
    first, second = (services.find(alice, str(made.pk)) for _ in range(2))
    assert services.fetch(first, services.Actor())

    with pytest.raises(ExportGone):
        services.fetch(second, services.Actor())


@proves("V11.3.3")
def test_the_stored_file_is_encrypted(made):
    """Withstands a thief with the database: an export."""
    (part,) = ExportPart.objects.all()

    assert part.sealed.startswith("gAAAA")
