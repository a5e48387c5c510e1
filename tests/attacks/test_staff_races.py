"""Races between members of staff at two server processes."""

import re

import pytest

from tests.support import apps
from tests.support.administration import LIST, REASON, in_bulk, results_of
from tests.support.api import call
from tests.support.api_keys import recent_token
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

    made = statuses(staff, f"{apps.LIST}{found[1]}/secret/", {"reason": REASON})

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


ALLOWED_KEY = """
from accounts.activity.services import Actor
from accounts.apikeys import services
from tests.support.steps import make_user
staff = make_user({name!r}, is_staff=True, is_superuser=True)
key, text = services.make(staff, "bot", frozenset(["read"]), None, Actor())
services.set_access(staff, key.pk, services.SCOPES["act"], Actor())
print(text)
"""


def allowed_key(nodes, name):
    """Return a key of a new superuser that may use the staff API."""
    code = ALLOWED_KEY.format(name=name)
    key = nodes[0].manage("shell", "--no-imports", "-c", code).strip()
    assert call("admin/users/", token=key, client=nodes[0].client()).status == 200
    return key


def line(nodes, act, person, **fields):
    return {"act": act, "id": page_of(nodes, person).split("/")[-3], **fields}


def bulk_calls_over_the_same_people(nodes, name):
    """Each person is acted on once, in whichever order the calls name them."""
    people = [f"{name}{who}" for who in "ab"]
    for person in people:
        confirmed(nodes, person)
    key = allowed_key(nodes, f"{name}c")
    lines = [line(nodes, "deactivate", person) for person in people]

    def send(i):
        order = lines if i % 2 else lines[::-1]
        return results_of(in_bulk(key, *order, client=nodes[i % 2].client()))

    answers = [answers if i % 2 else answers[::-1] for i, answers in enumerate(together(4, send))]

    for person, of_person in zip(people, zip(*answers, strict=True), strict=True):
        assert sorted(answer.status for answer in of_person) == [200, 409, 409, 409]
        assert times_in_history(nodes, person, "switched_off") == 1


def a_bulk_call_and_the_person_change_one_account(nodes, name):
    """Both changes happen one after the other, and the deactivation is not lost."""
    confirmed(nodes, name)
    token = recent_token(nodes[0].client(), name)
    key = allowed_key(nodes, f"{name}c")
    lines = [line(nodes, "change", name, about="by staff"), line(nodes, "deactivate", name)]

    def send(i):
        client = nodes[i % 2].client()
        if i < 2:
            return results_of(in_bulk(key, *lines, client=client))
        return [call("me/", {"about": f"{i}"}, method="PATCH", token=token, client=client)]

    answers = [answer.status for answers in together(4, send) for answer in answers]

    assert set(answers) <= {200, 401, 409}
    assert times_in_history(nodes, name, "switched_off") == 1
    assert live_sessions(nodes, name) == 0


RACES = [
    two_staff_do_the_same_act,
    two_staff_change_the_rights_of_one_person,
    requests_that_continue_one_bulk_act,
    two_staff_make_secrets_of_one_app,
    two_superusers_delete_themselves,
    bulk_calls_over_the_same_people,
    a_bulk_call_and_the_person_change_one_account,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_races_of_staff_at_two_processes_have_one_outcome(nodes, race):
    """Withstands a race: two members of staff."""
    race(nodes, f"race{RACES.index(race)}")
