"""Races between two server processes over refresh tokens, challenges and revocations."""

import json

import pytest

from tests.support.api import exchange, get_tokens, is_good, renew, second_step
from tests.support.nodes import AT_ONCE, POSTGRES_PROVED, browser_at, database, running
from tests.support.races import LOCKDOWN, confirmed, live_sessions, times_in_history
from tests.support.second_factor_races import enrolled
from tests.support.site import together
from tests.support.steps import sql

JWKS = "/.well-known/jwks.json"
IP = "192.0.2.1"


@pytest.mark.parametrize("kind", POSTGRES_PROVED)
def test_two_processes_that_create_the_first_signing_key_agree_on_one(request, kind):
    """Withstands a race."""
    with running(**database(request, kind)) as nodes:
        answers = together(AT_ONCE, lambda i: nodes[i % 2].client().get(JWKS))
        stored = sql(nodes[0], "SELECT number, kid FROM accounts_signingkey")

    assert {answer.status for answer in answers} == {200}
    (keys,) = {answer.body for answer in answers}
    assert [(1, jwk["kid"]) for jwk in json.loads(keys)["keys"]] == stored


def programs(nodes):
    """Return an API client for each node; the second one's cookie keeps it off the short path."""
    return [browser_at(nodes[0], IP), nodes[1].client(X_Forwarded_For=IP, Cookie="theme=dark")]


def is_good_anywhere(nodes, answer):
    """Return whether the access token is accepted; fail if the nodes disagree."""
    (verdict,) = {is_good(answer["access"], program) for program in programs(nodes)}
    return verdict


def eight_uses_of_one_refresh_token(nodes, name):
    """All get the same successor; after its use, the first token revokes the session."""
    confirmed(nodes, name)
    there = programs(nodes)
    first = get_tokens(name, there[0])

    answers = together(AT_ONCE, lambda i: renew(first["refresh"], there[i % 2]))

    assert {answer.status for answer in answers} == {200}
    (successor,) = {answer["refresh"] for answer in answers}
    assert len({answer["access"] for answer in answers}) == AT_ONCE
    assert all(is_good_anywhere(nodes, answer) for answer in answers)
    assert times_in_history(nodes, name, "token_reused") == 0
    third = renew(successor, there[1])

    late = together(AT_ONCE, lambda i: renew(first["refresh"], there[i % 2]))

    assert {answer.status for answer in late} == {401}
    assert "token_reused" in {answer.code for answer in late}
    assert renew(third["refresh"], there[0]).code == "token_not_valid"
    assert not any(is_good_anywhere(nodes, answer) for answer in [first, third, *answers])
    assert times_in_history(nodes, name, "token_reused") == 1
    nodes[0].wait_for_mail(to=f"{name}@", subject="was used twice")


def retries_while_the_successor_is_used(nodes, name):
    """Retries get the successor or revoke the session; two successors are never valid."""
    confirmed(nodes, name)
    there = programs(nodes)
    first = get_tokens(name, there[0])
    second = renew(first["refresh"], there[1])

    used = [first["refresh"], second["refresh"]]
    answers = together(AT_ONCE, lambda i: renew(used[i % 2], there[i // 2 % 2]))

    renewed = {answer["refresh"] for answer in answers if answer.status == 200}
    third = renewed - {second["refresh"]}
    assert {answer.status for answer in answers} <= {200, 401}
    assert len(third) <= 1
    is_ended = bool(times_in_history(nodes, name, "token_reused"))
    assert is_ended is ("token_reused" in {answer.code for answer in answers})
    assert is_good_anywhere(nodes, first) is not is_ended
    assert {renew(token, there[0]).status for token in third} <= {401 if is_ended else 200}


def repeated(first, step):
    """Return the answers of up to four steps, each made with the answer before it."""
    answers = [first]
    while len(answers) < 5 and answers[-1].status == 200:
        answers.append(step(answers[-1]))
    return answers


def calls_during_a_lockdown(nodes, name):
    """Programs sign in, refresh and exchange during a lockdown; no token is valid afterwards."""
    owner = confirmed(nodes, name)
    token = owner.csrf(LOCKDOWN)
    there = programs(nodes)
    firsts = [get_tokens(name, program) for program in there]

    def act(i):
        here, first = there[i // 2 % 2], firsts[i % 2]
        if i < 2:
            return repeated(first, lambda former: renew(former["refresh"], here))
        if i < 4:
            return repeated(first, lambda former: exchange(former["access"], here))
        if i < 6:
            return [get_tokens(name, here)]
        owner.post(LOCKDOWN, {}, csrf=token)
        return []

    answers = [answer for answers in together(7, act) for answer in answers]

    assert {answer.status for answer in answers} <= {200, 401, 403}
    given = [answer for answer in answers if answer.status == 200]
    assert not any(is_good_anywhere(nodes, answer) for answer in given)
    for answer in given:
        if "refresh" in answer.body:
            assert renew(answer["refresh"], there[0]).code == "token_not_valid"
    assert live_sessions(nodes, name) == 0


def eight_good_codes_for_one_challenge(nodes, name):
    """One challenge gives one session, however many valid codes are sent for it."""
    _owner, _seed, codes = enrolled(nodes, name)
    there = programs(nodes)
    challenge = get_tokens(name, there[0])["challenge"]
    before = live_sessions(nodes, name)

    answers = together(AT_ONCE, lambda i: second_step(challenge, codes[i], there[i % 2]))

    assert sorted(answer.status for answer in answers) == [200] + [401] * (AT_ONCE - 1)
    assert {answer.code for answer in answers} == {"", "invalid_challenge"}
    assert live_sessions(nodes, name) == before + 1


RACES = [
    eight_uses_of_one_refresh_token,
    retries_while_the_successor_is_used,
    calls_during_a_lockdown,
    eight_good_codes_for_one_challenge,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_refresh_races_at_two_processes_have_one_outcome(nodes, race):
    """Withstands a race: one refresh token."""
    race(nodes, race.__name__.replace("_", "")[-20:])
