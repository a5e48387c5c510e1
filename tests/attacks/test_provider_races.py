"""Races between two server processes over provider sign-ins and identities."""

import json
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from tests.support.nodes import AT_ONCE, Nodes, browser_at, round_names, running, server_errors
from tests.support.openid_provider import OpenIDProvider, Person
from tests.support.races import confirmed, tabs_of
from tests.support.site import together
from tests.support.steps import sql

GO = "/accounts/oidc/acme/login/"
BACK = f"{GO}callback/?"
CONFIRM = "/accounts/3rdparty/confirm/"


type Race = Callable[[Nodes, OpenIDProvider, str], None]


@pytest.fixture(scope="module")
def op():
    with OpenIDProvider() as op:
        yield op


def running_with(op, **env):
    return running(LIMITS_SCALE="1000", OIDC_PROVIDERS=json.dumps([op.setting()]), **env)


@pytest.fixture(scope="module")
def nodes(op):
    """Two server processes on one SQLite database, without limits."""
    with running_with(op) as both:
        yield both


@pytest.fixture(scope="module")
def postgres_nodes(op, postgres):
    """Two server processes on one PostgreSQL database, without limits, for all rounds."""
    with running_with(op, DATABASE_URL=postgres.database()) as both:
        yield both


def callback_path(op, browser, person, **fields):
    """Start at the provider; return the callback path that it sends the browser to."""
    page = "/accounts/3rdparty/" if fields else GO
    return BACK + urlencode(op.answer(browser.post(GO, fields, form=page).location, person))


def users(nodes, name):
    return len(sql(nodes[0], "SELECT 1 FROM accounts_user WHERE username LIKE ?", f"{name}%"))


def identities(nodes, name):
    return len(sql(nodes[0], "SELECT 1 FROM accounts_identity WHERE subject = ?", name))


def eight_uses_of_one_state(nodes, op, name):
    """Only one of eight callbacks with the same state calls the provider and signs in."""
    browser, asked = browser_at(nodes[0], "192.0.2.1"), op.count("/token")
    path = callback_path(op, browser, Person(name, username=name))
    copies = tabs_of(nodes, browser)

    answers = together(AT_ONCE, lambda i: copies[i].get(path))

    assert server_errors(answers) == []
    assert sum(answer.location == "/" for answer in answers) == 1
    assert {answer.location for answer in answers} <= {"/", "", "/accounts/login/"}
    assert op.count("/token") == asked + 1
    assert users(nodes, name) == 1


def first_sign_ins(nodes, op, person):
    browsers = [browser_at(nodes[i % 2], f"192.0.2.{i + 1}") for i in range(AT_ONCE)]
    paths = [callback_path(op, browser, person) for browser in browsers]

    answers = together(AT_ONCE, lambda i: browsers[i].get(paths[i]))

    assert server_errors(answers) == []
    assert [(answer.status, answer.location) for answer in answers] == [(302, "/")] * AT_ONCE
    assert users(nodes, person.username) == 1
    assert identities(nodes, person.subject) == 1
    assert {browser.get("/").status for browser in browsers} == {200}


def eight_first_sign_ins_of_one_person(nodes, op, name):
    """Eight first sign-ins of one person all lead to one account."""
    first_sign_ins(nodes, op, Person(name, f"{name}@example.org", username=name))


def eight_first_sign_ins_without_an_email(nodes, op, name):
    """Eight first sign-ins lead to one account even if the provider sends no email."""
    first_sign_ins(nodes, op, Person(name, username=name))


def eight_users_connect_one_identity(nodes, op, name):
    """Only one of eight users can connect the same identity."""
    owners = [confirmed(nodes, f"{name}{i}") for i in range(AT_ONCE)]
    paths = [callback_path(op, owner, Person(name), act="connect") for owner in owners]

    for owner, path in zip(owners, paths, strict=True):
        assert owner.get(path).location == CONFIRM
    tokens = [owner.csrf(CONFIRM) for owner in owners]

    answers = together(AT_ONCE, lambda i: owners[i].post(CONFIRM, {"connect": "1"}, csrf=tokens[i]))

    assert server_errors(answers) == []
    assert {(a.status, a.location) for a in answers} == {(302, "/accounts/3rdparty/")}
    assert identities(nodes, name) == 1


RACES = [
    eight_uses_of_one_state,
    eight_first_sign_ins_of_one_person,
    eight_first_sign_ins_without_an_email,
    eight_users_connect_one_identity,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_provider_races_at_two_processes_have_one_outcome(nodes, op, race):
    """Withstands a race: one state or identity."""
    race(nodes, op, race.__name__.replace("_", "")[-18:])


@pytest.mark.proof
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_fifty_rounds_of_provider_races_on_postgresql(race, op, postgres_nodes):
    for name in round_names(RACES.index(race)):
        race(postgres_nodes, op, name)
