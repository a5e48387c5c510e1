"""Two server processes on one database, many at once: challenges, passkeys, trust."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.attacks.passkey_answers import BODIES, ODD
from tests.attacks.test_session_races import Race, browsers, confirmed, happened, live, tabs
from tests.attacks.test_two_nodes import AT_ONCE, BOTH, Nodes, database, faults, running
from tests.support.client import Client, Response, together
from tests.support.second import CHALLENGE
from tests.support.steps import PASSWORD, sql
from tests.support.webauthn import ADD, LOGIN_PASSKEY, PASSKEYS, Passkey, options_on

LOGIN = "/accounts/login/"
LOCKDOWN = "/accounts/lockdown/"


@pytest.fixture(scope="module", params=BOTH)
def nodes(request: pytest.FixtureRequest) -> Iterator[Nodes]:
    """Limits are out of the way here."""
    with running(LIMITS_SCALE="1000", **database(request, request.param)) as both:
        yield both


def added(browser: Client, *, counts: bool = False) -> Passkey:
    """A passkey, by the page."""
    passkey = Passkey(counts=counts)
    answer = passkey.create(options_on(browser.get(ADD).text), origin=browser.origin)
    assert browser.post(ADD, {"credential": answer}).status == 302
    return passkey


def numbers(nodes: Nodes, name: str) -> list[str]:
    """Those of the passkeys that the account has."""
    rows = sql(
        nodes[0],
        "SELECT p.id FROM accounts_passkey p JOIN accounts_user u ON u.id = p.user_id "
        "WHERE u.username = ? ORDER BY p.id",
        name,
    )
    return [str(number) for (number,) in rows]


def eight_uses_of_one_challenge(nodes: Nodes, name: str, *, counts: bool = False) -> None:
    """CVE-2022-42731, and at the same moment: one sign-in."""
    owner = confirmed(nodes, name)
    passkey = added(owner, counts=counts)
    before = live(nodes, name)
    new, tokens = browsers(nodes, AT_ONCE)
    options = options_on(new[0].get(LOGIN).text)
    fields = {"credential": passkey.get(options, origin=owner.origin)}

    answers = together(AT_ONCE, lambda i: new[i].post(LOGIN_PASSKEY, fields, csrf=tokens[i]))

    assert faults(answers) == []
    assert sorted(answer.status for answer in answers) == [200] * (AT_ONCE - 1) + [302]
    assert sum(browser.get("/").status == 200 for browser in new) == 1
    assert live(nodes, name) == before + 1
    assert happened(nodes, name, "passkey_suspect") == 0


def eight_uses_of_one_challenge_by_a_key_that_counts(nodes: Nodes, name: str) -> None:
    """The same, and nobody is told that the key was copied."""
    eight_uses_of_one_challenge(nodes, name, counts=True)


def eight_uses_of_one_challenge_of_a_second_step(nodes: Nodes, name: str) -> None:
    """From eight browsers that have shown the password: one sign-in."""
    owner = confirmed(nodes, name)
    passkey = added(owner)
    before = live(nodes, name)
    new, tokens = browsers(nodes, AT_ONCE)
    for i in range(AT_ONCE):
        fields = {"login": name, "password": PASSWORD}
        assert new[i].post(LOGIN, fields, csrf=tokens[i]).location == CHALLENGE
    pages = [browser.get(CHALLENGE).text for browser in new]
    fields = {"credential": passkey.get(options_on(pages[0]), origin=owner.origin)}
    tokens = [browser.csrf(CHALLENGE) for browser in new]

    answers = together(AT_ONCE, lambda i: new[i].post(CHALLENGE, fields, csrf=tokens[i]))

    assert faults(answers) == []
    assert sum(browser.get("/").status == 200 for browser in new) == 1
    assert live(nodes, name) == before + 1


def eight_uses_of_one_challenge_to_add(nodes: Nodes, name: str) -> None:
    """One passkey, and one set of recovery codes."""
    owner = confirmed(nodes, name)
    options, token = options_on(owner.get(ADD).text), owner.csrf(ADD)
    new = [Passkey().create(options, origin=owner.origin) for _ in range(AT_ONCE)]
    copies = tabs(nodes, owner)

    answers = together(AT_ONCE, lambda i: copies[i].post(ADD, {"credential": new[i]}, csrf=token))

    assert faults(answers) == []
    assert len(numbers(nodes, name)) == 1
    assert happened(nodes, name, "passkey_added") == 1


def eight_people_add_one_passkey(nodes: Nodes, name: str) -> None:
    """It's one person's."""
    people = [f"{name}{i}" for i in range(AT_ONCE)]
    owners = [confirmed(nodes, person) for person in people]
    passkey = Passkey()
    tokens = [owner.csrf(ADD) for owner in owners]
    made = [
        passkey.create(options_on(owner.get(ADD).text), origin=owner.origin) for owner in owners
    ]

    answers = together(
        AT_ONCE, lambda i: owners[i].post(ADD, {"credential": made[i]}, csrf=tokens[i])
    )

    assert faults(answers) == []
    assert sum(len(numbers(nodes, person)) for person in people) == 1


def removing_both_passkeys_at_once(nodes: Nodes, name: str) -> None:
    """Of an account without a password: one is left."""
    owner = confirmed(nodes, name)
    added(owner)
    added(owner)
    sql(nodes[0], "UPDATE accounts_user SET password = '!' WHERE username = ?", name)
    rows, token, copies = numbers(nodes, name), owner.csrf(ADD), tabs(nodes, owner)

    def act(i: int) -> Response:
        return copies[i].post(f"{PASSKEYS}{rows[i % 2]}/", {"remove": "1"}, csrf=token)

    answers = together(AT_ONCE, act)

    assert faults(answers) == []
    assert len(numbers(nodes, name)) == 1
    assert happened(nodes, name, "passkey_removed") == 1


def signing_in_by_passkey_during_a_lockdown(nodes: Nodes, name: str) -> None:
    """Whoever was checked before it is out, or never was in."""
    owner = confirmed(nodes, name)
    passkey = added(owner)
    token = owner.csrf(LOCKDOWN)
    new, tokens = browsers(nodes, AT_ONCE)
    answers_of = [
        passkey.get(options_on(browser.get(LOGIN).text), origin=owner.origin) for browser in new
    ]

    def act(i: int) -> Response:
        if i == AT_ONCE:
            return owner.post(LOCKDOWN, {}, csrf=token)
        return new[i].post(LOGIN_PASSKEY, {"credential": answers_of[i]}, csrf=tokens[i])

    answers = together(AT_ONCE + 1, act)

    assert faults(answers) == []
    assert answers[-1].status == 200
    assert live(nodes, name) == 0
    assert {browser.get("/").status for browser in [owner, *new]} == {302}


RACES = [
    eight_uses_of_one_challenge,
    eight_uses_of_one_challenge_by_a_key_that_counts,
    eight_uses_of_one_challenge_of_a_second_step,
    eight_uses_of_one_challenge_to_add,
    eight_people_add_one_passkey,
    removing_both_passkeys_at_once,
    signing_in_by_passkey_during_a_lockdown,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_passkeys_at_two_processes_are_used_added_and_removed_one_after_the_other(
    nodes: Nodes, race: Race
) -> None:
    race(nodes, race.__name__.replace("_", "")[-18:])


def test_no_credential_out_of_shape_is_a_fault_of_either_database(nodes: Nodes) -> None:
    owner = confirmed(nodes, f"odd{nodes[0].port}")
    token = owner.csrf(ADD)
    passkey = Passkey(credential_id=b"a" * 5000)
    long = passkey.create(options_on(owner.get(ADD).text), origin=owner.origin)
    bodies = [*BODIES, long]
    for odd in ODD:
        text = '{"id": %s, "response": {"clientDataJSON": "eyJjaGFsbGVuZ2UiOiAiQSJ9"}}'
        bodies.append(text % json.dumps(odd))
    stranger = nodes[1].client()
    strangers = stranger.csrf(LOGIN)

    for body in bodies:
        assert stranger.post(LOGIN_PASSKEY, {"credential": body}, csrf=strangers).status < 500
        assert owner.post(ADD, {"credential": body}, csrf=token).status < 500, body[:80]


@pytest.mark.proof
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_fifty_rounds_of_passkeys_on_postgresql(race: Race, postgres: Any) -> None:
    with running(LIMITS_SCALE="1000", DATABASE_URL=postgres.database()) as both:
        for i in range(50):
            race(both, f"round{i:02}x")
