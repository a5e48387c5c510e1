"""Races between the deletion of an account, sign-ins, renewals, undoing and locks."""

from functools import partial

import pytest

from tests.support.api import get_tokens, renew
from tests.support.nodes import server_errors
from tests.support.races import (
    WAITS,
    browsers,
    confirmed,
    live_sessions,
    sign_in,
    tabs_of,
    times_in_history,
)
from tests.support.recovery_races import mailed
from tests.support.site import together
from tests.support.steps import sql

DELETE, KEEP, UNDO = "/accounts/delete/", "/accounts/delete/keep/", "/accounts/delete/undo/"

# Lets the owner and the daily job meet twice, and prints for each what the later one does.
MEETING = f"""{WAITS}
from threading import Thread
from django.db import transaction
from accounts.activity.services import Actor
from accounts.common import clock
from accounts.deletion import erasure, services
from accounts.users.models import User
from tests.support.steps import make_user

alice, done = make_user("alice", deletion_due=clock.now()), []
acts = [lambda: services.undo(alice, Actor()), lambda: erasure.erase(alice.pk)]
for first, later in (acts, acts[::-1]):
    thread = Thread(target=lambda: done.append(later()))
    with transaction.atomic():
        assert first()
        thread.start()
        print(waits(thread), end=" ")
    thread.join()
    print(done, User.objects.filter(deletion_due=None).count())
    User.objects.update(deletion_due=clock.now())
"""


def at_once(*acts):
    answers = together(len(acts), lambda i: acts[i]())
    assert server_errors(answers) == []


def due(nodes, name):
    return sql(nodes[0], "SELECT deletion_due FROM accounts_user WHERE username = ?", name)[0][0]


def deleted_while_people_sign_in_and_renew(nodes, name):
    """No session survives, and the next sign-in asks whether to keep the account."""
    tabs = tabs_of(nodes, confirmed(nodes, name), 3)
    tokens = [get_tokens(name, nodes[i % 2].client())["refresh"] for i in range(2)]
    strangers, csrf = browsers(nodes, 3)
    forms = [tab.csrf(DELETE) for tab in tabs]

    at_once(
        *(
            partial(tab.post, DELETE, {"username": name}, csrf=form)
            for tab, form in zip(tabs, forms, strict=True)
        ),
        *(partial(sign_in, who, name, token) for who, token in zip(strangers, csrf, strict=True)),
        *(partial(renew, token, nodes[i % 2].client()) for i, token in enumerate(tokens)),
    )

    assert due(nodes, name)
    assert times_in_history(nodes, name, "deletion_requested") == 1
    assert live_sessions(nodes, name) == 0
    (late,), (token,) = browsers(nodes, 1)
    assert sign_in(late, name, token).location == KEEP


def undone_and_locked_at_once(nodes, name):
    """The account is kept once, in whatever way."""
    browser = confirmed(nodes, name)
    browser.post(DELETE, {"username": name})
    link = mailed(nodes[0], f"{name}@example.org", "will be deleted", rf"{UNDO}[\w-]+/")
    signing_in, csrf = browsers(nodes, 2)
    for who, token in zip(signing_in, csrf, strict=True):
        assert sign_in(who, name, token).location == KEEP
    strangers, _tokens = browsers(nodes, 3)
    pages = [link, link, link.replace(UNDO, "/accounts/lockdown/"), KEEP, KEEP]
    people = [*strangers, *signing_in]
    forms = [who.csrf(page) for who, page in zip(people, pages, strict=True)]

    at_once(*(partial(people[i].post, pages[i], csrf=forms[i]) for i in range(len(people))))

    assert due(nodes, name) is None
    assert times_in_history(nodes, name, "deletion_undone") == 1


RACES = [deleted_while_people_sign_in_and_renew, undone_and_locked_at_once]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_races_of_deletions_at_two_processes_have_one_outcome(nodes, race):
    """Withstands a race: a sign-in meets the request."""
    race(nodes, f"delete{RACES.index(race)}")


def test_an_owner_keeps_the_account_whole_or_the_daily_job_erases_it(on_postgresql):
    """Withstands a race."""
    assert on_postgresql(MEETING) == ["True [False] 1", "True [False, False] 0"]
