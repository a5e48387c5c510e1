"""The terms of the site: who is asked to accept them, when, and how."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.activity.models import Activity
from accounts.administration.explanation import explain
from accounts.administration.person import Facts
from accounts.terms.models import TermsAcceptance
from accounts.users.models import PendingSignup, User
from tests.support.api import call, get_tokens, second_step
from tests.support.api_steps import first_step
from tests.support.invitations import invite, invited_link, superuser
from tests.support.second_factor import enrolled, take_second_step, unused_code
from tests.support.signin import set_up
from tests.support.social import round_trip
from tests.support.steps import (
    PASSWORD,
    SIGNUP,
    address_of,
    confirm,
    is_signed_in,
    sign_in,
    sign_in_twice,
    sign_up,
)

TERMS, URL = "/accounts/terms/", "https://example.org/terms"
NEW_USER = {"username": "alice", "email": address_of("alice"), "password": PASSWORD}


@pytest.fixture(autouse=True)
def terms(settings):
    set_up(settings, terms_url=URL, terms_version="2026-11")


def accepted():
    return list(TermsAcceptance.objects.order_by("pk").values_list("user__username", "version"))


def test_a_sign_up_requires_the_shown_version_and_its_acceptance_has_the_time_of_the_sign_up(clock):
    browser = Client()
    page = browser.get(SIGNUP).text
    assert f'href="{URL}"' in page
    assert 'name="terms" value="2026-11"' in page
    for refused in ({}, {"terms": "on"}, {"terms": "2025-01"}):
        assert "Read and accept the terms" in sign_up(browser, "alice", **refused).text
    assert not PendingSignup.objects.exists()

    signed_up_at = clock.now()
    sign_up(browser, "alice", terms="2026-11", next="/accounts/keys/")
    clock.advance(minutes=5)
    assert confirm(browser, "alice").url == "/accounts/keys/"

    assert TermsAcceptance.objects.get().accepted_at == signed_up_at
    assert Activity.objects.get(kind="terms_accepted").detail == "2026-11"


def test_an_invited_person_accepts_the_terms_in_the_form(settings):
    set_up(settings, terms_url="", terms_version="")
    invite(superuser()[1])
    set_up(settings, terms_url=URL, terms_version="2026-11")
    fields = {"username": "dave", "password1": PASSWORD}
    link, browser = invited_link(), Client()

    assert "Read and accept the terms" in browser.post(link, fields).text
    browser.post(link, fields | {"terms": "2026-11"})

    assert is_signed_in(browser)
    assert accepted()[-1] == ("dave", "2026-11")


def test_who_comes_from_a_provider_accepts_the_terms_before_the_session_begins(op):
    """Withstands a malicious app: the terms are evaded by a provider."""
    browser = Client()

    assert round_trip(browser, op).url == TERMS
    assert not is_signed_in(browser)
    assert browser.post(TERMS, {"terms": "2026-11"}).url == "/"

    assert is_signed_in(browser)
    assert accepted() == [("alice", "2026-11")]


def test_a_new_version_is_asked_after_the_second_step_once_and_sessions_go_on(
    alice, settings, clock
):
    enrolled(alice)
    before, after = Client(), Client()
    sign_in(before, "alice")
    assert take_second_step(before, alice).url == TERMS
    assert "2026-11" in before.get(TERMS).text
    before.post(TERMS, {"terms": "2026-11"})

    set_up(settings, terms_version="2026-12")
    clock.advance(minutes=1)
    assert is_signed_in(before)
    assert sign_in_twice(after, alice).url == TERMS
    assert after.get("/accounts/2fa/challenge/").url == TERMS
    assert "2026-12" in after.post(TERMS, {"terms": "2026-11"}).text, "that version was replaced"
    assert not is_signed_in(after)
    assert after.post(TERMS, {"terms": "2026-12"}).url == "/"
    assert after.get(TERMS).url == "/accounts/login/", "nothing is pending"
    clock.advance(minutes=1)
    assert sign_in_twice(Client(), alice).url == "/"
    assert accepted() == [("alice", "2026-11"), ("alice", "2026-12")]


def test_the_api_refuses_with_the_url_and_version_and_takes_the_acceptance_in_the_same_call(alice):
    refused = get_tokens()
    assert (refused.status, refused.code) == (403, "terms_required")
    assert (refused["terms_url"], refused["terms_version"]) == (URL, "2026-11")
    assert get_tokens(terms="2025-01").code == "terms_required"
    assert call("me/", basic=f"alice:{PASSWORD}").code == "terms_required"
    assert accepted() == []

    assert get_tokens(terms="2026-11").status == 200
    assert get_tokens().status == 200
    assert call("users/", NEW_USER).code == "terms_required"
    bob = NEW_USER | {"username": "bob", "email": address_of("bob"), "terms": "2026-11"}
    assert call("users/", bob).status == 201
    assert PendingSignup.objects.get().terms_version == "2026-11"


def test_a_code_of_the_second_step_is_not_used_up_while_the_terms_are_missing(alice):
    enrolled(alice)
    challenge, code = first_step(), unused_code(alice)

    for _ in range(9):
        assert second_step(challenge, code).code == "terms_required"
    answer = call("token/challenge/", {"challenge": challenge, "code": code, "terms": "2026-11"})

    assert answer.status == 200
    assert Activity.objects.get(kind="terms_accepted").proof == "pwd otp"


def test_a_wrong_password_or_code_accepts_nothing(alice):
    """Withstands a thief with the password: the terms are accepted in another name."""
    enrolled(alice)
    answer = call(
        "token/challenge/", {"challenge": first_step(), "code": "000000", "terms": "2026-11"}
    )

    assert answer.status == 401
    assert accepted() == []


def test_a_person_who_must_accept_the_terms_is_not_said_to_lack_a_factor(alice):
    enrolled(alice)

    assert [block.code for block in explain(Facts(User.objects.get()))] == ["not_checked"]


def test_without_terms_nothing_is_asked_and_nothing_is_read(alice, settings):
    set_up(settings, terms_url="", terms_version="")
    with CaptureQueriesContext(connection) as queries:
        assert sign_in(Client(), "alice").url == "/"

    assert not any("termsacceptance" in query["sql"] for query in queries)
    assert "terms" not in Client().get(SIGNUP).text
    assert get_tokens(terms="2026-11")["terms"] == ["Unknown field."]
