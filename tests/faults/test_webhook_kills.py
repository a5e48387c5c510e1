"""Servers are killed while people change things: no webhook is lost or invented."""

import random
import sqlite3
import threading
import time
from contextlib import ExitStack, suppress
from http.client import HTTPException

import psycopg
import pytest

from tests.support.api import call, get_tokens
from tests.support.nodes import POSTGRES_PROVED, database
from tests.support.process import within
from tests.support.receiver import Receiver, hang, say
from tests.support.site import CHEAP_HASHES, Site, together
from tests.support.steps import join, sql
from tests.support.webhooks import told

PEOPLE = 4
TELL = """
from accounts.activity.services import Actor
from accounts.webhooks.models import Endpoint
from accounts.webhooks.services import save_endpoint
for path in ("/hook", "/hangs", "/fails"):
    url, kinds = "{url}" + path, ["user.updated"]
    save_endpoint(Endpoint(description=path, url=url, is_private=True, kinds=kinds), Actor())
"""
# Ends the leases of killed servers.
DUE = """
UPDATE webhooks_delivery SET due_at = '2020-01-01 00:00:00'
WHERE sent_at IS NULL AND lease IS NOT NULL
AND endpoint_id = (SELECT id FROM webhooks_endpoint WHERE description = '/hook')
"""
HAPPENED = "SELECT id FROM accounts_activity WHERE kind = 'profile_changed'"


def kill(node):
    time.sleep(random.uniform(0.05, 0.5))  # noqa: S311 no secret
    node.kill()
    node.start()


class Person:
    """Somebody who changes the profile until the end. ``acts``: how many calls succeeded."""

    def __init__(self, name, nodes):
        join(nodes[0], nodes[0].client(), name)
        self.name, self.nodes, self.acts = name, nodes, 0
        self.tokens = get_tokens(name, nodes[0].client())

    def live(self, may_act, is_over):
        while not is_over():
            if not may_act():
                time.sleep(0.02)
                continue
            node = random.choice(self.nodes)  # noqa: S311 no secret
            with suppress(OSError, HTTPException):
                status = call_me(node, self).status
                self.acts += status == 200
                if status == 401:  # the token has expired, or the sign-in is not recent any more
                    found = get_tokens(self.name, node.client())
                    self.tokens = found if found.status == 200 else self.tokens


def call_me(node, person):
    name, token = {"display_name": f"{time.time()}"}, person.tokens["access"]
    return call("me/", name, client=node.client(), method="PATCH", token=token)


@pytest.mark.parametrize(
    "kills, acts", [(4, 60), pytest.param(100, 1000, marks=[pytest.mark.proof, pytest.mark.alone])]
)
@pytest.mark.parametrize("kind", POSTGRES_PROVED)
def test_each_change_is_told_at_least_once_and_no_other(request, tmp_path, kind, kills, acts):
    """Withstands a failure."""
    env = CHEAP_HASHES | database(request, kind) | {"LIMITS_SCALE": "100000"}
    with ExitStack() as running:
        receiver = running.enter_context(Receiver(tmp_path))
        receiver.answers |= {"/hangs": hang, "/fails": say(500)}
        first = Site(**env, CA_FILE=str(receiver.authority))
        nodes = [running.enter_context(first), running.enter_context(first.second())]
        people = [Person(f"alice{i}", nodes) for i in range(PEOPLE)]
        first.manage("shell", "-c", TELL.format(url=receiver.url("")))
        killed, over = [], threading.Event()

        def may_act():
            """Return whether an act is left until the next kill, so that all kills hit some."""
            return sum(person.acts for person in people) * kills < acts * (len(killed) + 1)

        def is_over():
            return over.is_set() and (len(killed) < kills or not may_act())

        def work(i):
            if i < PEOPLE:
                return people[i].live(may_act, is_over)
            try:
                for _ in range(kills):
                    kill(random.choice(nodes))  # noqa: S311 no secret
                    killed.append(time.monotonic())
            finally:
                over.set()

        together(PEOPLE + 1, work)
        happened = {number for (number,) in sql(first, HAPPENED)}

        def arrived():
            # A server may hold a row that this statement waits for, and wait for another one.
            with suppress(psycopg.errors.DeadlockDetected, sqlite3.OperationalError):
                sql(first, DUE)
            return {each["data"]["id"] for each in told(receiver)} >= happened

        assert len(happened) >= acts
        assert within(120, arrived), len(happened)
        assert {each["data"]["id"] for each in told(receiver)} == happened
