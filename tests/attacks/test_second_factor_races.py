"""Two server processes on one database: one code eight times, one enrolment from two browsers."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.attacks.test_session_races import (
    Race,
    browsers,
    confirmed,
    happened,
    live,
    sign_in,
    tabs,
)
from tests.attacks.test_two_nodes import AT_ONCE, BOTH, Nodes, at, database, faults, running
from tests.support.client import Client, Response, together
from tests.support.second import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    code_of,
    recovery_codes_on,
    seed_on,
)
from tests.support.steps import CONFIRM, LOGIN, PASSWORD, sign_up, sql

REAUTHENTICATE = "/accounts/reauthenticate/"


@pytest.fixture(scope="module", params=BOTH)
def nodes(request: pytest.FixtureRequest) -> Iterator[Nodes]:
    """Limits are out of the way here."""
    with running(LIMITS_SCALE="1000", **database(request, request.param)) as both:
        yield both


@pytest.fixture(scope="module", params=BOTH)
def strict(request: pytest.FixtureRequest) -> Iterator[Nodes]:
    """The same where everybody must have a factor."""
    env = {"LIMITS_SCALE": "1000", "SECOND_FACTOR": "all"}
    with running(**env, **database(request, request.param)) as both:
        yield both


def enrolled(nodes: Nodes, name: str) -> tuple[Client, str, list[str]]:
    """A browser whose owner has a factor, its seed, and the recovery codes."""
    browser = confirmed(nodes, name)
    seed = turn_on(browser)
    return browser, seed, recovery_codes_on(browser.get(RECOVERY_CODES).text)


def turn_on(browser: Client) -> str:
    """Add an authenticator; the code of the step after the current one is left to be used."""
    seed = seed_on(browser.get(SETUP).text)
    assert browser.post(SETUP, {"code": code_of(seed)}).status == 302
    return seed


def half_way(nodes: Nodes, name: str, n: int = AT_ONCE) -> tuple[list[Client], list[str]]:
    """Browsers that have taken the first step, by turns at both nodes, and their tokens."""
    new, tokens = browsers(nodes, n)
    answers = together(n, lambda i: sign_in(new[i], name, tokens[i]))
    assert {answer.location for answer in answers} <= {CHALLENGE, SETUP}
    return new, [browser.csrf(CHALLENGE) for browser in new]


def factors(nodes: Nodes, name: str) -> int:
    rows = sql(
        nodes[0],
        "SELECT a.id FROM accounts_authenticator a JOIN accounts_user u ON u.id = a.user_id "
        "WHERE u.username = ?",
        name,
    )
    return len(rows)


def inside(answers: list[Response], *all_browsers: Client) -> int:
    assert faults(answers) == []
    return sum(browser.get("/").status == 200 for browser in all_browsers)


def eight_uses_of_one_code(nodes: Nodes, name: str) -> None:
    """In eight browsers at two processes: one is signed in."""
    _, seed, _ = enrolled(nodes, name)
    new, tokens = half_way(nodes, name)
    before, code = live(nodes, name), code_of(seed, 1)

    answers = together(AT_ONCE, lambda i: new[i].post(CHALLENGE, {"code": code}, csrf=tokens[i]))

    assert inside(answers, *new) == 1
    assert sorted(answer.status for answer in answers) == [200] * (AT_ONCE - 1) + [302]
    assert live(nodes, name) == before + 1


def eight_uses_of_one_recovery_code(nodes: Nodes, name: str) -> None:
    """The same; and the others that are left are none the fewer."""
    owner, _, codes = enrolled(nodes, name)
    new, tokens = half_way(nodes, name)

    answers = together(
        AT_ONCE, lambda i: new[i].post(CHALLENGE, {"code": codes[0]}, csrf=tokens[i])
    )

    assert inside(answers, *new) == 1
    assert happened(nodes, name, "recovery_code_used") == 1
    assert inside(answers, owner) == 1


def eight_recovery_codes_at_once(nodes: Nodes, name: str) -> None:
    """Each is spent: none comes back because another one was written over it."""
    _, _, codes = enrolled(nodes, name)
    new, tokens = half_way(nodes, name)

    answers = together(
        AT_ONCE, lambda i: new[i].post(CHALLENGE, {"code": codes[i]}, csrf=tokens[i])
    )

    assert inside(answers, *new) == AT_ONCE
    nodes[0].wait_for_mail(to=f"{name}@", subject="recovery code was used", count=AT_ONCE)
    again, tokens = half_way(nodes, name)
    answers = together(
        AT_ONCE, lambda i: again[i].post(CHALLENGE, {"code": codes[i]}, csrf=tokens[i])
    )
    assert inside(answers, *again) == 0


def one_code_at_every_page_that_takes_one(nodes: Nodes, name: str) -> None:
    """Signed in and not: one of them has it."""
    owner, seed, _ = enrolled(nodes, name)
    new, tokens = half_way(nodes, name, AT_ONCE - 1)
    token, code = owner.csrf(REAUTHENTICATE), code_of(seed, 1)

    def act(i: int) -> Response:
        if i == AT_ONCE - 1:
            return owner.post(REAUTHENTICATE, {"code": code}, csrf=token)
        return new[i].post(CHALLENGE, {"code": code}, csrf=tokens[i])

    answers = together(AT_ONCE, act)

    assert inside(answers, *new) + (answers[-1].status == 302) == 1


def removing_a_factor_while_its_code_is_used(nodes: Nodes, name: str) -> None:
    """Whoever came in by it before is out; whoever comes after doesn't come in."""
    owner, seed, _ = enrolled(nodes, name)
    new, tokens = half_way(nodes, name)
    page = owner.get("/accounts/2fa/").text.partition('href="/accounts/2fa/totp/')[2]
    path = f"/accounts/2fa/totp/{page.partition('/')[0]}/"
    token, code = owner.csrf(path), code_of(seed, 1)

    def act(i: int) -> Response:
        if i == AT_ONCE:
            return owner.post(path, {"remove": "1"}, csrf=token)
        return new[i].post(CHALLENGE, {"code": code}, csrf=tokens[i])

    answers = together(AT_ONCE + 1, act)

    assert inside(answers, *new) == 0
    assert factors(nodes, name) == 0
    assert happened(nodes, name, "factor_removed") == 1
    assert live(nodes, name) == 1
    assert inside(answers, owner) == 1


def a_new_set_while_old_recovery_codes_are_used(nodes: Nodes, name: str) -> None:
    """After it nobody is in by the old ones, and none of them is good."""
    owner, _, codes = enrolled(nodes, name)
    new, tokens = half_way(nodes, name)
    token = owner.csrf(RECOVERY_CODES)

    def act(i: int) -> Response:
        if i == AT_ONCE:
            return owner.post(RECOVERY_CODES, {"new": "1"}, csrf=token)
        return new[i].post(CHALLENGE, {"code": codes[i]}, csrf=tokens[i])

    answers = together(AT_ONCE + 1, act)

    assert inside(answers, *new) == 0
    assert live(nodes, name) == 1
    latter, tokens = half_way(nodes, name, 2)
    late = [latter[i].post(CHALLENGE, {"code": codes[i]}, csrf=tokens[i]) for i in range(2)]
    assert inside(late, *latter) == 0
    assert len(recovery_codes_on(owner.get(RECOVERY_CODES).text)) == 10


def eight_codes_of_one_new_authenticator(nodes: Nodes, name: str) -> None:
    """From eight tabs of one browser: it's added once."""
    owner = confirmed(nodes, name)
    page = owner.get(SETUP).text
    token, code = owner.csrf(SETUP), code_of(seed_on(page))
    copies = tabs(nodes, owner)

    answers = together(AT_ONCE, lambda i: copies[i].post(SETUP, {"code": code}, csrf=token))

    assert faults(answers) == []
    assert factors(nodes, name) == 1
    assert happened(nodes, name, "factor_added") == 1


RACES = [
    eight_uses_of_one_code,
    eight_uses_of_one_recovery_code,
    eight_recovery_codes_at_once,
    one_code_at_every_page_that_takes_one,
    removing_a_factor_while_its_code_is_used,
    a_new_set_while_old_recovery_codes_are_used,
    eight_codes_of_one_new_authenticator,
]
# Fifty rounds of the others take long, and are of the same locks.
PROVED = [
    eight_uses_of_one_code,
    eight_uses_of_one_recovery_code,
    removing_a_factor_while_its_code_is_used,
    eight_codes_of_one_new_authenticator,
]


def eight_browsers_enrol_at_the_door(nodes: Nodes, name: str) -> None:
    """All know the password: one has the account, and its factor is the only one."""
    first = at_the_door(nodes, name)
    new, _ = browsers(nodes, AT_ONCE - 1)
    for browser in new:
        assert browser.post(LOGIN, {"login": name, "password": PASSWORD}).location == SETUP
    all_browsers = [first, *new]
    codes = [code_of(seed_on(browser.get(SETUP).text)) for browser in all_browsers]
    tokens = [browser.csrf(SETUP) for browser in all_browsers]

    answers = together(
        AT_ONCE, lambda i: all_browsers[i].post(SETUP, {"code": codes[i]}, csrf=tokens[i])
    )

    assert inside(answers, *all_browsers) == 1
    assert factors(nodes, name) == 1
    assert live(nodes, name) == 1
    assert happened(nodes, name, "factor_added") == 1


def at_the_door(nodes: Nodes, name: str) -> Client:
    """A browser whose owner has signed up, and is to enrol."""
    browser = at(nodes[0], "192.0.2.1")
    assert sign_up(browser, name).status == 302
    code = str(nodes[0].wait_for_mail(to=f"{name}@")["Subject"]).partition(" ")[0]
    assert browser.post(CONFIRM, {"code": code}).location == SETUP
    return browser


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_one_code_is_one_sign_in_at_two_processes(nodes: Nodes, race: Race) -> None:
    race(nodes, race.__name__.replace("_", "")[:18])


def test_one_of_eight_browsers_enrols_at_the_door(strict: Nodes) -> None:
    eight_browsers_enrol_at_the_door(strict, "door")


@pytest.mark.proof
@pytest.mark.parametrize("race", PROVED, ids=lambda race: race.__name__)
def test_fifty_rounds_of_second_steps_on_postgresql(race: Race, postgres: Any) -> None:
    with running(LIMITS_SCALE="1000", DATABASE_URL=postgres.database()) as both:
        for i in range(50):
            race(both, f"round{i:02}x")


@pytest.mark.proof
def test_fifty_rounds_of_enrolment_at_the_door_on_postgresql(postgres: Any) -> None:
    env = {"LIMITS_SCALE": "1000", "SECOND_FACTOR": "all"}
    with running(**env, DATABASE_URL=postgres.database()) as both:
        for i in range(50):
            eight_browsers_enrol_at_the_door(both, f"round{i:02}x")
