"""Races between two server processes over sign-ins, sign-outs, revocations and lockdowns."""

import pytest

from tests.support.nodes import AT_ONCE, server_errors
from tests.support.races import (
    LOCKDOWN,
    WAITS,
    browsers,
    confirmed,
    live_sessions,
    sign_in,
    tabs_of,
    times_in_history,
)
from tests.support.site import together
from tests.support.standards import proves
from tests.support.steps import WRONG

# Holds the lock of the account, as a lockdown does, while another thread revokes its sessions, and
# prints whether that thread waits for the account without a lock of a session.
REVOKING = f"""{WAITS}
from threading import Thread
from django.db import OperationalError, transaction
from accounts.common import clock
from accounts.activity.services import Actor
from accounts.sessions.views import sign_out_elsewhere
from accounts.oauth import app_sessions
from accounts.sessions import services
from accounts.sessions.models import LoginSession
from accounts.users.models import User

@transaction.atomic
def sign_in_to_an_app():
    app_sessions.lock_parent(here.pk)

def sessions_are_free():
    try:
        with transaction.atomic():
            return len(LoginSession.objects.select_for_update(nowait=True)) == 2
    except OperationalError:
        return False

alice, now = User.objects.create(username="alice", password="!"), clock.now()
times = {{"auth_time": now, "idle_at": now.replace(year=9999), "ends_at": now.replace(year=9999)}}
here, _ = [LoginSession.objects.create(user=alice, **times) for _ in range(2)]
acts = {{
    "to an app": sign_in_to_an_app,
    "elsewhere": lambda: sign_out_elsewhere(alice, here.pk, Actor()),
    "by an operator": lambda: services.revoke_by_operator(alice, Actor(name="@operator")),
}}
for name, act in acts.items():
    thread = Thread(target=act)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=alice.pk)
        thread.start()
        print(name, waits(thread), sessions_are_free())
    thread.join()
print(LoginSession.objects.filter(ended_at=None).count(), "left")
"""


def signing_in_during_a_lockdown(nodes, name):
    """A sign-in during a lockdown is refused or revoked."""
    owner = confirmed(nodes, name)
    owner_token = owner.csrf(LOCKDOWN)
    new, tokens = browsers(nodes, AT_ONCE)

    def act(i):
        if i == AT_ONCE:
            return owner.post(LOCKDOWN, {}, csrf=owner_token)
        return sign_in(new[i], name, tokens[i])

    answers = together(AT_ONCE + 1, act)

    assert server_errors(answers) == []
    assert answers[-1].status == 200
    assert times_in_history(nodes, name, "locked_down") == 1
    assert live_sessions(nodes, name) == 0
    assert {browser.get("/").status for browser in [owner, *new]} == {302}


def eight_guesses_inside_a_stolen_session(nodes, name):
    """Every wrong guess is recorded, and the owner is mailed once."""
    owner = confirmed(nodes, name)
    page, form = "/accounts/reauthenticate/", {"password": WRONG}
    copies, token = tabs_of(nodes, owner), owner.csrf(page)

    answers = together(AT_ONCE, lambda i: copies[i].post(page, form, csrf=token))

    assert [answer.status for answer in answers] == [200] * AT_ONCE
    assert times_in_history(nodes, name, "proof_failed") == AT_ONCE
    assert times_in_history(nodes, name, "proof_guessed") == 1


RACES = [eight_guesses_inside_a_stolen_session, signing_in_during_a_lockdown]


@proves("V2.3.4", "V15.4.2")
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_session_races_at_two_processes_have_one_outcome(nodes, race):
    """Withstands a race: a sign-in meets a revocation."""
    race(nodes, race.__name__.replace("_", "")[:20])


@proves("V15.4.3")
def test_acts_that_revoke_all_sessions_lock_the_account_before_the_sessions(on_postgresql):
    """Two such acts could otherwise lock the same sessions in different orders, a deadlock."""
    *acts, left = on_postgresql(REVOKING)

    waits_and_is_free = "True True"
    who = ("to an app", "elsewhere", "by an operator")
    assert acts == [f"{name} {waits_and_is_free}" for name in who]
    assert left == "0 left"
