"""Races between two server processes over resets, mailed codes and emails."""

import pytest

from tests.support.nodes import AT_ONCE, server_errors
from tests.support.races import (
    browsers,
    confirmed,
    live_sessions,
    sign_in,
    tabs_of,
    times_in_history,
)
from tests.support.recovery_races import CHANGE, EMAIL, NEW, RESET, mailed, opens, waiting
from tests.support.site import Client, together
from tests.support.standards import proves
from tests.support.steps import PASSWORD, same_browser, sql

BY_CODE = "/accounts/login/code/"
# The ids of a user's emails, and whether each is the primary one.
ADDRESSES = """
    SELECT a.id, u.email = a.email FROM accounts_emailaddress a JOIN accounts_user u
    ON u.id = a.user_id WHERE u.username = ?
"""


def eight_uses_of_one_mailed_code(nodes, name):
    """Eight tabs use one mailed code, and only one signs in."""
    owner = confirmed(nodes, name)
    before = live_sessions(nodes, name)
    asked = same_browser(nodes[0], Client(owner.origin), X_Forwarded_For="192.0.2.1")
    assert asked.post(BY_CODE, {"login": name}).status == 302
    code = mailed(nodes[0], f"{name}@", "code to sign in", "[0-9]{4} [0-9]{4}")
    token = asked.csrf(BY_CODE)
    copies = tabs_of(nodes, asked)

    answers = together(AT_ONCE, lambda i: copies[i].post(BY_CODE, {"code": code}, csrf=token))

    assert server_errors(answers) == []
    assert len([answer for answer in answers if answer.location == "/"]) == 1
    assert sum(copy.get("/").status == 200 for copy in copies) == 1
    assert live_sessions(nodes, name) == before + 1


def resets_by_one_link_changes_and_a_sign_in(nodes, name):
    """Only one request sets a password, and only its session is left."""
    owner = confirmed(nodes, name)
    assert nodes[0].client().post(RESET, {"login": name}).status == 200
    link = mailed(nodes[0], f"{name}@", "Set a new password", rf"{RESET}[\w-]+/")
    new, tokens = browsers(nodes, AT_ONCE + 1)
    changing = new[: AT_ONCE // 2]
    for browser, token in zip(changing, tokens, strict=False):
        assert sign_in(browser, name, token).status == 302
    pages = [CHANGE if browser in changing else link for browser in new[:-1]]
    forms = [browser.csrf(page) for browser, page in zip(new, pages, strict=False)]

    def act(i):
        if i == AT_ONCE:
            return sign_in(new[i], name, tokens[i])
        return new[i].post(pages[i], {"password1": NEW.format(i)}, csrf=forms[i])

    answers = together(AT_ONCE + 1, act)

    assert server_errors(answers) == []
    (winner,) = [
        i for i in range(-1, AT_ONCE) if opens(nodes, name, PASSWORD if i < 0 else NEW.format(i))
    ]
    assert winner >= 0, "the former password no longer works"
    made = (
        times_in_history(nodes, name, "password_reset"),
        times_in_history(nodes, name, "password_changed"),
    )
    assert made == ((0, 1) if new[winner] in changing else (1, 0))
    left = [i for i, browser in enumerate([*new, owner]) if browser.get("/").status == 200]
    assert left == ([winner] if new[winner] in changing else [])


def two_browsers_swap_and_remove_emails(nodes, name):
    """Two browsers make emails primary and remove others; one primary email is left."""
    owner = confirmed(nodes, name)
    for address in (f"{name}@second.example", f"{name}@third.example"):
        assert owner.post(EMAIL, {"email": address}).status == 302
        code = mailed(nodes[0], address, "is your code", "[0-9]{4} [0-9]{4}")
        row = waiting(owner, address)
        assert owner.post(EMAIL, {"confirm": row, "code": code}).status == 302
    first, second, third = sorted(row[0] for row in sql(nodes[0], ADDRESSES, name))
    acts = [("primary", second), ("remove", first), ("primary", third), ("remove", second)]
    acts += [("primary", first), ("remove", third), ("primary", second), ("remove", first)]
    copies, token = tabs_of(nodes, owner), owner.csrf(EMAIL)

    def act(i):
        button, number = acts[i]
        return copies[i].post(EMAIL, {button: str(number)}, csrf=token)

    answers = together(AT_ONCE, act)

    assert server_errors(answers) == []
    assert sum(row[1] for row in sql(nodes[0], ADDRESSES, name)) == 1
    assert owner.get(EMAIL).status == 200


def one_email_confirmed_by_two_users(nodes, name):
    """Two users confirm one email, each by code and by link, and only one of them gets it."""
    people = [f"{name}{i}" for i in range(2)]
    owners = [confirmed(nodes, person) for person in people]
    shared, acts = f"{name}@shared.example", []
    for n, owner in enumerate(owners):
        assert owner.post(EMAIL, {"email": shared}).status == 302
        # The mails of the two users look the same, so they are requested one after the other.
        code = mailed(nodes[0], shared, "is your code", "[0-9]{4} [0-9]{4}", count=n + 1)
        link = mailed(nodes[0], shared, "is your code", rf"{EMAIL}confirm/[\w-]+/", count=n + 1)
        by_code = {"confirm": waiting(owner, shared), "code": code}
        acts += [(owner, EMAIL, by_code), (owner, link, {})]
    tokens = [owner.csrf(EMAIL) for owner, *_ in acts]
    copies = [tabs_of(nodes, acts[i % 4][0])[i] for i in range(AT_ONCE)]

    def act(i):
        _, path, data = acts[i % 4]
        return copies[i].post(path, data, csrf=tokens[i % 4])

    answers = together(AT_ONCE, act)

    assert server_errors(answers) == []
    rows = sql(nodes[0], "SELECT 1 FROM accounts_emailaddress WHERE email = ?", shared)
    assert len(rows) == 1
    assert sum(times_in_history(nodes, person, "address_added") for person in people) == 1


RACES = [
    eight_uses_of_one_mailed_code,
    resets_by_one_link_changes_and_a_sign_in,
    two_browsers_swap_and_remove_emails,
    one_email_confirmed_by_two_users,
]


@proves("V15.4.2")
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_account_change_races_at_two_processes_have_one_outcome(nodes, race):
    """Withstands a race: one link many times; a reset meets a sign-in."""
    race(nodes, race.__name__.replace("_", "")[:18])
