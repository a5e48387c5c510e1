"""Races between members of staff at two server processes."""

import re

import pytest

from tests.support import apps
from tests.support.administration import LIST, REASON
from tests.support.races import (
    confirmed,
    live_sessions,
    page_of,
    tabs_of,
    times_in_history,
    two_staff,
)
from tests.support.site import together
from tests.support.steps import sql

AT_ONCE = 4
# Acts in an order in which each has something to do, with the event in the history of the person.
ACTS = {"end-sessions": "all_ended", "deactivate": "switched_off", "reactivate": "switched_on"}


def statuses(staff, path, fields):
    """Send a form from all browsers at once; return the statuses of the answers in order."""
    tokens = [browser.csrf(LIST) for browser in staff]

    def send(i):
        return staff[i].post(path, fields, csrf=tokens[i])

    return sorted(answer.status for answer in together(AT_ONCE, send))


def two_staff_do_the_same_act(nodes, name):
    """One act happens, and everybody else is told. The history and the emails say it once."""
    confirmed(nodes, name)
    staff = two_staff(nodes, name, AT_ONCE)
    page = page_of(nodes, name)

    for act, event in ACTS.items():
        found = statuses(staff, f"{page}{act}/", {"reason": REASON})
        assert found == [302] + [409] * (AT_ONCE - 1), act
        assert times_in_history(nodes, name, event) == 1, act
    assert live_sessions(nodes, name) == 0


def two_staff_change_the_rights_of_one_person(nodes, name):
    """One change happens, and the others learn that they have seen other rights."""
    confirmed(nodes, name)
    staff = two_staff(nodes, name, AT_ONCE)
    page = page_of(nodes, name)

    seen = re.search(r'name="seen" value="([^"]+)"', staff[0].get(f"{page}?rights=form").text)
    assert seen

    changed = statuses(staff, page, {"is_staff": "on", "seen": seen[1], "reason": REASON})

    assert changed == [200] * (AT_ONCE - 1) + [302]

    assert times_in_history(nodes, name, "staff_granted") == 1


def requests_that_continue_one_bulk_act(nodes, name):
    """Each person is acted on once."""
    people = [f"{name}{who}" for who in "ab"]
    for person in people:
        confirmed(nodes, person)
    carol, *_more = two_staff(nodes, name, AT_ONCE)
    ids = [page_of(nodes, person).split("/")[-3] for person in people]
    chosen = {"action": "deactivate", "_selected_action": ids}
    page = carol.post(LIST, chosen).location

    assert statuses(tabs_of(nodes, carol, AT_ONCE), page, {"reason": REASON}) == [302] * AT_ONCE

    assert [times_in_history(nodes, person, "switched_off") for person in people] == [1, 1]
    assert times_in_history(nodes, f"{name}c", "staff_acted") == 2


def two_staff_make_secrets_of_one_app(nodes, name):
    """Two secrets stay: the newest, and one that ends."""
    staff = two_staff(nodes, name, AT_ONCE)
    added = {**apps.FORM, "name": name}
    page = staff[0].post(apps.ADD, added, csrf=staff[0].csrf(apps.ADD))
    found = re.search(r'id="client-id" dir="ltr">(\w+)<', page.text)
    assert found

    made = statuses(staff, f"{apps.LIST}{found[1]}/secret/", {})

    assert made == [200] * AT_ONCE
    query = "SELECT COUNT(*), COUNT(expires_at) FROM oauth_clientsecret WHERE client_id = ?"
    assert [tuple(row) for row in sql(nodes[0], query, found[1])] == [(2, 1)]


def two_superusers_delete_themselves(nodes, name):
    """One superuser stays."""
    staff = two_staff(nodes, name, AT_ONCE)
    page = "/accounts/delete/"
    # Superusers of other races would remain.
    others = "UPDATE accounts_user SET is_superuser = FALSE WHERE username NOT IN (?, ?)"
    sql(nodes[0], others, f"{name}c", f"{name}d")
    tokens = [browser.csrf(page) for browser in staff[:2]]

    def send(i):
        return staff[i].post(page, {"username": f"{name}{'cd'[i]}"}, csrf=tokens[i])

    answers = together(2, send)

    assert {answer.status for answer in answers} == {200}
    query = "SELECT COUNT(*) FROM accounts_user WHERE is_superuser AND deletion_due IS NULL"
    assert [tuple(row) for row in sql(nodes[0], query)] == [(1,)]


RACES = [
    two_staff_do_the_same_act,
    two_staff_change_the_rights_of_one_person,
    requests_that_continue_one_bulk_act,
    two_staff_make_secrets_of_one_app,
    two_superusers_delete_themselves,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_races_of_staff_at_two_processes_have_one_outcome(nodes, race):
    race(nodes, f"race{RACES.index(race)}")
