"""Workers, servers and the database are killed at random moments while clients change things.

Whatever a client was told to be done is there afterwards, and nothing is half done.
"""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException

import pytest

from tests.support.api import Answer, call, get_tokens, renew
from tests.support.outages import children
from tests.support.process import LATER_SECONDS, within
from tests.support.site import Site, together
from tests.support.standards import proves
from tests.support.steps import join, sign_up, sql

CLIENTS = 20
# On each of two kinds of sites, so that there are a hundred in all.
KILLS = 50
BACK_SECONDS = 60.0
# Granian ends if a worker dies sooner after its start; systemd then starts the server again.
WORKER_SECONDS = 6.5
# A key is made in each so many rounds of acts, and an account has at most so many.
EVERY, MOST_KEYS = 10, 40
DUE = "UPDATE accounts_outgoingmail SET due_at = '2020-01-01 00:00:00'"


@dataclass
class Person:
    """A client: what it was told to be done, and the answers that it should not have got."""

    name: str
    nodes: list[Site]
    tokens: Answer
    acts: int = 0
    told: int = 0
    keys: set[str] = field(default_factory=set)
    signed_up: list[str] = field(default_factory=list)
    wrong: list[Answer] = field(default_factory=list)

    def live(self, is_over):
        """Act until the event is set. An answer that gets lost tells nothing."""
        while not is_over.is_set():
            self.acts += 1
            for act in (self.change_name, self.renew, self.make_key, self.invite):
                with suppress(OSError, HTTPException):
                    act(random.choice(self.nodes))  # noqa: S311 no secret
            time.sleep(0.1)

    def change_name(self, node):
        if self.call(node, "me/", {"display_name": f"{self.acts}"}, method="PATCH").status == 200:
            self.told = self.acts

    def renew(self, node):
        answer = self.expect(renew(self.tokens["refresh"], node.client()))
        if answer.status == 200:
            self.tokens = answer

    def make_key(self, node):
        if self.acts % EVERY == 0 and len(self.keys) < MOST_KEYS:
            answer = self.call(node, "keys/", {"name": f"key {self.acts}"})
            self.keys |= {answer["id"]} if answer.status == 201 else set()

    def invite(self, node):
        """Sign somebody up, which takes a password hash and an email."""
        if self.acts % 5 == 0:
            name = f"{self.name}x{self.acts}"
            if sign_up(node.client(), name).status == 302:
                self.signed_up.append(name)

    def call(self, node, path, data, *, method=""):
        token = self.tokens["access"]
        return self.expect(call(path, data, client=node.client(), method=method, token=token))

    def expect(self, answer):
        if answer.status not in {200, 201, 429, 503}:
            self.wrong.append(answer)
        return answer

    def check(self, node):
        """Check that everything is there. A change whose answer was lost may be there as well."""
        assert self.wrong == []
        self.tokens = renew(self.tokens["refresh"], node.client())
        assert int(self.call(node, "me/", None)["display_name"]) >= self.told > 0
        listed = self.call(node, "keys/", None)
        assert self.keys <= {key["id"] for key in listed["results"]}, listed


def is_live(node):
    with suppress(OSError, HTTPException):
        return node.client().get("/health/live").status == 200
    return False


class Killer:
    """Kills one of the processes of a site and waits until the site is back."""

    def __init__(self, nodes, postgres):
        self.acts = [partial(act, node) for node in nodes for act in (self.worker, self.server)]
        if postgres:
            self.acts.append(partial(self.database, postgres))
        self.started = dict.fromkeys((node.port for node in nodes), time.monotonic())

    def kill(self):
        time.sleep(random.uniform(0.1, 1.0))  # noqa: S311 no secret
        random.choice(self.acts)()  # noqa: S311 no secret

    def worker(self, node):
        time.sleep(max(0.0, self.started[node.port] + WORKER_SECONDS - time.monotonic()))
        former = children(node.process)
        for pid in former:
            os.kill(pid, signal.SIGKILL)

        def is_back():
            return bool(set(children(node.process)) - set(former)) and is_live(node)

        assert within(BACK_SECONDS, is_back), node.log()[-2000:]
        self.started[node.port] = time.monotonic()

    def server(self, node):
        node.kill()
        node.start()
        self.started[node.port] = time.monotonic()

    def database(self, postgres):
        for pid in (postgres.process.pid, *children(postgres.process)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        postgres.process.kill()
        time.sleep(0.5)  # the kernel frees the shared memory
        postgres.start()


def nothing_is_half_done(node):
    sql(node, DUE)  # ends the leases of killed senders
    assert within(2 * LATER_SECONDS, lambda: not sql(node, "SELECT 1 FROM accounts_outgoingmail"))
    told = {str(mail["To"]).partition("@")[0] for mail in node.mails()}
    pending = {name for (name,) in sql(node, "SELECT username FROM accounts_pendingsignup")}
    assert pending <= told
    events = "SELECT count(*) FROM accounts_activity WHERE kind = 'key_made'"
    assert sql(node, "SELECT count(*) FROM accounts_apikey") == sql(node, events)
    if "DATABASE_URL" not in node.env:
        assert sql(node, "PRAGMA integrity_check") == [("ok",)]
        assert sql(node, "PRAGMA foreign_key_check") == []


@proves("V2.3.3")
@pytest.mark.proof
@pytest.mark.alone
@pytest.mark.parametrize("kind", ["sqlite", "two nodes"])
def test_kill_9_at_random_moments_loses_nothing_that_a_client_was_told(kind, request):
    """Withstands a failure."""
    env, postgres = {"LIMITS_SCALE": "100000"}, None
    if kind == "two nodes":
        postgres = request.getfixturevalue("postgres")
        env["REDIS_URL"] = request.getfixturevalue("redis_server").url
        env["DATABASE_URL"] = postgres.database()
    with ExitStack() as running:
        nodes = [running.enter_context(Site(**env))]
        if postgres:
            nodes.append(running.enter_context(nodes[0].second()))

        def person(i):
            join(nodes[0], nodes[0].client(), f"alice{i}")
            return Person(f"alice{i}", nodes, get_tokens(f"alice{i}", nodes[0].client()))

        # A few at a time, as only so many passwords are hashed at once.
        with ThreadPoolExecutor(3) as pool:
            people = [person(0), *pool.map(person, range(1, CLIENTS))]
        killer, is_over = Killer(nodes, postgres), threading.Event()

        def work(i):
            if i < CLIENTS:
                return people[i].live(is_over)
            try:
                for _ in range(KILLS):
                    killer.kill()
            finally:
                is_over.set()

        together(CLIENTS + 1, work)
        nothing_is_half_done(nodes[0])
        mails = {str(mail["To"]).partition("@")[0] for mail in nodes[0].mails()}
        for one in people:
            one.check(nodes[-1])
            assert mails.issuperset(one.signed_up)
        assert any(one.keys for one in people)
        assert any(one.signed_up for one in people)
