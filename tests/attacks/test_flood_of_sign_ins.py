"""A flood of sign-ins: the short path refuses it as Django does, and nobody else."""

import json
from typing import Any

import pytest

from accounts.passwords import services as passwords
from accounts.throttle.limits import LOGIN_SUBSCRIBER
from accounts.throttle.models import StoredBudget
from tests.support.standards import proves
from tests.support.steps import PASSWORD
from tests.support.wsgi import Applications, answer, environ

WRONG = "a wrong guess"
GERMAN = {"HTTP_ACCEPT_LANGUAGE": "de"}


def sign_in(username="alice", password=WRONG, **more):
    body = json.dumps({"username": username, "password": password})
    return environ("POST", "/api/v1/token/", body.encode(), **more)


@pytest.fixture
def flooded(alice, clock):
    """The site in the middle of a flood from one IP address, in two languages."""
    apps = Applications()
    for language in [{}] * LOGIN_SUBSCRIBER.burst + [{}, GERMAN]:
        last = answer(apps.short, sign_in(**language))
    assert last.status.startswith("429")
    apps.passed_on = 0
    return apps


@pytest.mark.parametrize("more", [{}, GERMAN], ids=["English", "German"])
def test_the_short_path_refuses_a_flood_as_django_does(flooded, more):
    """Withstands a flood."""
    found = answer(flooded.short, sign_in(**more))

    assert flooded.passed_on == 0
    assert found == answer(flooded.ordinary, sign_in(**more))
    assert int(found.headers["retry-after"]) > 0


@proves("V15.2.2")
def test_refusing_a_flood_costs_one_statement_and_no_hash(
    flooded, monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(passwords, "verify", pytest.fail)
    budgets = set(StoredBudget.objects.values_list("key", "whole_at"))

    with django_assert_num_queries(1):
        answer(flooded.short, sign_in())

    assert set(StoredBudget.objects.values_list("key", "whole_at")) == budgets


def test_beside_a_flood_everybody_else_signs_in(flooded, clock):
    def status(*who, **more):
        return answer(flooded.short, sign_in(*who, **more)).status[:3]

    assert status("bob") == "401", "another account, by the same client"
    assert status("alice", PASSWORD, REMOTE_ADDR="203.0.113.9") == "200", "by another client"
    assert status() == "429"
    clock.advance(seconds=LOGIN_SUBSCRIBER.per)
    assert status("alice", PASSWORD) == "200", "by the same client, once the limit allows it"


ODD: dict[str, Any] = {
    "HTTP Basic": lambda: sign_in(HTTP_AUTHORIZATION="Basic Ym9iOnBhc3N3b3Jk"),
    "a username with spaces": lambda: sign_in(" alice "),
    "no username": lambda: sign_in(""),
    "a username that is an access token": lambda: sign_in("alice" * 100),
    "no password": lambda: sign_in(password=""),
    "a password with a control character": lambda: sign_in(password="a\0b"),
    "a cookie": lambda: sign_in(HTTP_COOKIE="known=x"),
    "another member": lambda: environ("POST", "/api/v1/token/", b'{"username": "alice"}'),
}


@pytest.mark.parametrize("name", ODD)
def test_django_answers_any_other_request_of_a_flood(flooded, name):
    found = answer(flooded.short, ODD[name]())

    assert flooded.passed_on == 1
    assert found == answer(flooded.ordinary, ODD[name]())
