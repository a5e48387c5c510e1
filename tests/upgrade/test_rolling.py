"""A node of the release before and one of this version serve the same people during an upgrade."""

import json
import threading
import time
from collections import Counter
from contextlib import ExitStack
from itertools import count, cycle

import psycopg
import pytest

from tests.proof import note
from tests.support import dumps
from tests.support.missing import missing
from tests.support.process import run, slack
from tests.support.site import ROOT, Site
from tests.support.steps import PASSWORD, sign_in
from tests.support.virtualenvs import environment

RELEASE = dumps.VERSIONS[-1]
pytestmark = [pytest.mark.postgres, pytest.mark.proof, pytest.mark.alone]
API = "/api/v1/token/"
BLOCKED_SECONDS = 15
BOTH_SECONDS = 10
MOST_REFUSED = 3
PEOPLE, SESSIONS, EVENTS = 300_000, 1_000_000, 5_000_000
# The tables that a sign-in writes, and how long it waits for one at most.
WRITTEN = ("activity", "familiarplace", "knownbrowser", "loginsession", "user")
LONGEST_WAIT = 1.2
# The statuses of a sign-in and of a request at the other node, in a browser and over the API.
GOOD = ((302, 200), (200, 200))


@pytest.fixture
def release(tmp_path):
    """Return the folder of the code that wrote the newest database of a release."""
    dump = f"tests/upgrade/{RELEASE}/postgres.json"
    commit = run("git", "log", "--diff-filter=A", "--format=%H", "--", dump, cwd=ROOT).strip()
    if not commit:
        missing(f"The history of the release {RELEASE}")
    (folder := tmp_path / "release").mkdir()
    run("git", "archive", f"--output={tmp_path / 'release.tar'}", commit, cwd=ROOT)
    run("tar", "-xf", tmp_path / "release.tar", "-C", folder)
    return folder


class Traffic:
    """People who sign in at one node and go on at another, until it ends."""

    def __init__(self, *nodes):
        self.people = map("person{}".format, count(1))
        self.nodes, self.found, self._is_over = list(nodes), Counter(), threading.Event()
        self._threads = [threading.Thread(target=self._work, args=[n]) for n in range(2)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    @property
    def refused(self):
        return self.found.total() - sum(self.found[each] for each in GOOD)

    def _work(self, begin):
        for turn in cycle(range(2)):
            if self._is_over.is_set():
                return
            nodes = [self.nodes[(n + turn + begin) % len(self.nodes)] for n in range(2)]
            for act in (in_a_browser, over_the_api):
                try:
                    self.found[act(next(self.people), *nodes)] += 1
                except (AssertionError, OSError) as error:
                    self.found[str(error)] += 1


def in_a_browser(name, node, other):
    """Sign in at ``node``, open a page of ``other``; return both statuses."""
    browser = node.client()
    signed_in = sign_in(browser, name).status
    there = other.client()
    there.cookies = browser.cookies
    return signed_in, there.get("/").status


def over_the_api(name, node, other):
    """Sign in to the API of ``node``, renew the tokens at ``other``; return both statuses."""
    given = post(node, API, {"username": name, "password": PASSWORD})
    renewed = post(other, f"{API}refresh/", {"refresh": given.json()["refresh"]})
    return given.status, renewed.status


def post(node, path, data):
    headers = {"Content-Type": "application/json"}
    return node.client().request("POST", path, body=json.dumps(data).encode(), headers=headers)


class Waits:
    """Wait for each table that a sign-in writes, again and again; note the longest wait."""

    def __init__(self, url):
        self.longest, self._is_over = Counter(), threading.Event()
        self._threads = [threading.Thread(target=self._work, args=[url, t]) for t in WRITTEN]

    __enter__, __exit__ = Traffic.__enter__, Traffic.__exit__

    def _work(self, url, table):
        with psycopg.connect(url) as connection:
            while not self._is_over.wait(0.02):
                began = time.monotonic()
                connection.execute(f"LOCK accounts_{table} IN ROW EXCLUSIVE MODE")
                self.longest[table] = max(self.longest[table], time.monotonic() - began)
                connection.rollback()


def grow(url):
    """Let the site have many people like bob, with sessions, browsers and events."""
    person, name = f"md5('person' || n % {PEOPLE} + 1)::uuid", "'person' || n"
    own = {"id": "md5('person' || n)::uuid", "username": name, "username_key": name}
    dumps.copy(url, "accounts_user", PEOPLE, "username = 'bob'", **own)
    ids = {"id": "md5('session' || n)::uuid", "user_id": person, "refresh_digest": "md5('' || n)"}
    dumps.copy(url, "accounts_loginsession", SESSIONS, **ids)
    browsers = {"digest": "md5('browser' || n)", "user_id": person}
    dumps.copy(url, "accounts_knownbrowser", SESSIONS, **browsers)
    dumps.copy(url, "accounts_activity", EVENTS, user_id=person)


def test_nobody_notices_an_upgrade_and_a_transaction_that_blocks_its_migrations(
    postgres, tmp_path, release
):
    url = postgres.database()
    kept = dumps.restore(RELEASE, "postgres", url)
    grow(url)
    env = {name: kept[name] for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "ORIGIN")}
    env |= {"DATABASE_URL": url, "LIMITS_SCALE": "1000"}
    old = Site(data_dir=tmp_path, migrate=False, **env)
    old.root, new = release, old.second()
    old.python = str(environment(release / "requirements.txt") / "python")

    with ExitStack() as running, old, Traffic(old) as traffic:
        with psycopg.connect(url) as busy:
            busy.execute("SELECT 1 FROM accounts_user")  # its lock lasts until the transaction ends
            threading.Timer(BLOCKED_SECONDS, busy.rollback).start()
            began = time.monotonic()
            with Waits(url) as waits:
                new.manage("migrate")
            seconds = time.monotonic() - began - BLOCKED_SECONDS
        assert seconds > 0
        refused_meanwhile = traffic.refused
        traffic.nodes.append(running.enter_context(new))
        time.sleep(BOTH_SECONDS)

    longest = max(waits.longest.values())
    note(
        f"Upgrade from {RELEASE} under traffic, on PostgreSQL, with {PEOPLE:,} people, "
        f"{SESSIONS:,} sessions and {EVENTS:,} events: `migrate` takes {seconds:.0f} s. "
        f"A sign-in waits for a table for at most {longest:.1f} s, "
        f"and {traffic.refused} of {traffic.found.total():,} fail."
    )
    assert longest < LONGEST_WAIT * slack(), waits.longest
    assert refused_meanwhile <= MOST_REFUSED, traffic.found
    assert traffic.refused == refused_meanwhile, traffic.found
    assert min(traffic.found[each] for each in GOOD) > BOTH_SECONDS, traffic.found
