"""Races between two server processes over codes, removals and enrolments."""

import pytest

from tests.support.nodes import AT_ONCE, server_errors
from tests.support.races import confirmed, live_sessions, times_in_history
from tests.support.second_factor import CHALLENGE, SETUP, code_of, seed_on
from tests.support.second_factor_races import after_password, enrolled
from tests.support.site import together
from tests.support.steps import sql

FACTORS = """
    SELECT a.id FROM accounts_authenticator a JOIN accounts_user u ON u.id = a.user_id
    WHERE u.username = ?
"""
LEFT_AFTER_USE = """
    SELECT a.detail FROM accounts_activity a JOIN accounts_user u ON u.id = a.user_id
    WHERE u.username = ? AND a.kind = 'recovery_code_used' ORDER BY a.detail
"""


def count_signed_in(answers, *all_browsers):
    assert server_errors(answers) == []
    return sum(browser.get("/").status == 200 for browser in all_browsers)


def eight_uses_of_one_code(nodes, name):
    """Eight browsers send the same code, and one is signed in."""
    _, seed, _ = enrolled(nodes, name)
    new, tokens = after_password(nodes, name)
    before, code = live_sessions(nodes, name), code_of(seed, 1)

    answers = together(AT_ONCE, lambda i: new[i].post(CHALLENGE, {"code": code}, csrf=tokens[i]))

    assert count_signed_in(answers, *new) == 1
    assert sorted(answer.status for answer in answers) == [200] * (AT_ONCE - 1) + [302]
    assert live_sessions(nodes, name) == before + 1


def four_recovery_codes_twice_each(nodes, name):
    """Each recovery code works once, and no concurrent write restores a used one."""
    owner, _, codes = enrolled(nodes, name)
    new, tokens = after_password(nodes, name)

    answers = together(
        AT_ONCE, lambda i: new[i].post(CHALLENGE, {"code": codes[i // 2]}, csrf=tokens[i])
    )

    assert count_signed_in(answers, *new) == AT_ONCE // 2
    assert [left for (left,) in sql(nodes[0], LEFT_AFTER_USE, name)] == ["6", "7", "8", "9"]
    assert count_signed_in(answers, owner) == 1


def removing_a_factor_while_its_code_is_used(nodes, name):
    """Removing a factor revokes sessions that used it before and refuses it afterwards."""
    owner, seed, _ = enrolled(nodes, name)
    new, tokens = after_password(nodes, name)
    page = owner.get("/accounts/2fa/").text.partition('href="/accounts/2fa/totp/')[2]
    path = f"/accounts/2fa/totp/{page.partition('/')[0]}/"
    token, code = owner.csrf(path), code_of(seed, 1)

    def act(i):
        if i == AT_ONCE:
            return owner.post(path, {"remove": "1"}, csrf=token)
        return new[i].post(CHALLENGE, {"code": code}, csrf=tokens[i])

    answers = together(AT_ONCE + 1, act)

    assert count_signed_in(answers, *new) == 0
    assert sql(nodes[0], FACTORS, name) == []
    assert times_in_history(nodes, name, "factor_removed") == 1
    assert live_sessions(nodes, name) == 1
    assert count_signed_in(answers, owner) == 1


def eight_browsers_enrol_during_sign_in(nodes, name):
    """Of eight browsers with the password, one enrols, and its factor is the only one."""
    confirmed(nodes, name)
    as_operators_make_them = (
        "UPDATE accounts_user SET is_staff = ?, last_login = NULL, credential_version = 0"
        " WHERE username = ?"
    )
    sql(nodes[0], as_operators_make_them, "1", name)
    new, tokens = after_password(nodes, name, page=SETUP)
    codes = [code_of(seed_on(browser.get(SETUP).text)) for browser in new]

    answers = together(AT_ONCE, lambda i: new[i].post(SETUP, {"code": codes[i]}, csrf=tokens[i]))

    assert count_signed_in(answers, *new) == 1
    assert len(sql(nodes[0], FACTORS, name)) == 1
    assert times_in_history(nodes, name, "factor_added") == 1


RACES = [
    eight_uses_of_one_code,
    four_recovery_codes_twice_each,
    removing_a_factor_while_its_code_is_used,
    eight_browsers_enrol_during_sign_in,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_second_factor_races_at_two_processes_have_one_outcome(nodes, race):
    """Withstands a race: one code, or a removal."""
    race(nodes, race.__name__.replace("_", "")[:18])
