"""Races between two server processes over passkeys and their challenges."""

import pytest

from tests.support.nodes import AT_ONCE, server_errors
from tests.support.races import browsers, confirmed, live_sessions, tabs_of, times_in_history
from tests.support.site import together
from tests.support.steps import LOGIN, sql
from tests.support.webauthn import ADD, LOGIN_PASSKEY, PASSKEYS, Passkey, options_on


def added_passkey(browser):
    """Add a security key, which counts its uses, on the page and return it."""
    passkey = Passkey(counts=True)
    answer = passkey.create(options_on(browser.get(ADD).text), origin=browser.origin)
    assert browser.post(ADD, {"credential": answer}).status == 302
    return passkey


def passkey_ids(nodes, name):
    """Return the ids of the account's passkeys in the database."""
    rows = sql(
        nodes[0],
        "SELECT p.id FROM accounts_passkey p JOIN accounts_user u ON u.id = p.user_id "
        "WHERE u.username = ? ORDER BY p.id",
        name,
    )
    return [str(number) for (number,) in rows]


def eight_uses_of_one_challenge(nodes, name):
    """CVE-2022-42731: eight browsers use one challenge at once, and one signs in.

    The other uses are not reported as a copied key.
    """
    owner = confirmed(nodes, name)
    passkey = added_passkey(owner)
    before = live_sessions(nodes, name)
    new, tokens = browsers(nodes, AT_ONCE)
    options = options_on(new[0].get(LOGIN).text)
    fields = {"credential": passkey.get(options, origin=owner.origin)}

    answers = together(AT_ONCE, lambda i: new[i].post(LOGIN_PASSKEY, fields, csrf=tokens[i]))

    assert server_errors(answers) == []
    assert sorted(answer.status for answer in answers) == [200] * (AT_ONCE - 1) + [302]
    assert sum(browser.get("/").status == 200 for browser in new) == 1
    assert live_sessions(nodes, name) == before + 1
    assert times_in_history(nodes, name, "passkey_suspect") == 0


def eight_uses_of_one_challenge_to_add(nodes, name):
    """Only one of eight registrations with one challenge adds a passkey."""
    owner = confirmed(nodes, name)
    options, token = options_on(owner.get(ADD).text), owner.csrf(ADD)
    new = [Passkey().create(options, origin=owner.origin) for _ in range(AT_ONCE)]
    copies = tabs_of(nodes, owner)

    answers = together(AT_ONCE, lambda i: copies[i].post(ADD, {"credential": new[i]}, csrf=token))

    assert server_errors(answers) == []
    assert len(passkey_ids(nodes, name)) == 1
    assert times_in_history(nodes, name, "passkey_added") == 1


def removing_both_passkeys_at_once(nodes, name):
    """An account without a password keeps one of its two passkeys."""
    owner = confirmed(nodes, name)
    added_passkey(owner)
    added_passkey(owner)
    sql(nodes[0], "UPDATE accounts_user SET password = '!' WHERE username = ?", name)
    rows, token, copies = passkey_ids(nodes, name), owner.csrf(ADD), tabs_of(nodes, owner)

    def act(i):
        return copies[i].post(f"{PASSKEYS}{rows[i % 2]}/", {"remove": "1"}, csrf=token)

    answers = together(AT_ONCE, act)

    assert server_errors(answers) == []
    assert len(passkey_ids(nodes, name)) == 1
    assert times_in_history(nodes, name, "passkey_removed") == 1


RACES = [
    eight_uses_of_one_challenge,
    eight_uses_of_one_challenge_to_add,
    removing_both_passkeys_at_once,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_passkey_races_at_two_processes_have_one_outcome(nodes, race):
    """Withstands a race: one challenge."""
    race(nodes, race.__name__.replace("_", "")[-18:])
