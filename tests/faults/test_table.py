"""What people notice while something that the site depends on fails, as a table for operators.

``WRITE_DOCS=1`` writes the table, with the measured times, into ``docs/operating.md``.
"""

import json
import os
import re
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import pytest

from accounts.ops import health
from tests.support.api import call, get_tokens
from tests.support.openid_provider import OpenIDProvider
from tests.support.outages import full_disk
from tests.support.process import LATER_SECONDS, free_port, slack, within
from tests.support.site import ROOT, Client, Site, together
from tests.support.smtp import MailServer
from tests.support.steps import LOGIN, PASSWORD, SIGNUP, address_of, join, same_browser


class Relay:
    """Passes connections to ``port`` on to the port ``target``."""

    def __init__(self, target):
        self.port = free_port()
        self._target = target
        self._passes = threading.Event()
        self._delay = 0.0
        self._sockets: list[socket.socket] = []

    def __enter__(self):
        self._passes.set()
        self._listen()
        return self

    def __exit__(self, *_error):
        self._close()

    @contextmanager
    def stopped(self):
        """Close all connections and refuse new ones."""
        self._close()
        try:
            yield
        finally:
            self._listen()

    @contextmanager
    def frozen(self):
        """Accept connections, but pass nothing on."""
        self._passes.clear()
        try:
            yield
        finally:
            self._passes.set()

    @contextmanager
    def slow(self):
        """Pass everything on 25 ms later, in both directions."""
        self._delay = 0.025
        try:
            yield
        finally:
            self._delay = 0.0

    def _listen(self):
        self._sockets = [socket.create_server(("127.0.0.1", self.port), backlog=128)]
        threading.Thread(target=self._accept, args=(self._sockets,), daemon=True).start()

    def _close(self):
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self, sockets):
        with suppress(OSError):
            while True:
                client, _address = sockets[0].accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                sockets += [client, server]
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source, sink):
        with suppress(OSError):
            while data := source.recv(65536):
                self._passes.wait()
                time.sleep(self._delay)
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


PAGE = ROOT / "docs" / "operating.md"
BEGIN, END = "<!-- written by tests/faults/test_table.py -->\n", "<!-- end -->\n"
NAMES = "what fails | how | reading | sign-in and sign-up | sign-in with a provider"
HEAD = f"| {NAMES} | `/health/ready` | slowest answer | works again after |\n"
# The acts of ``People.look`` that each of these columns sums up.
COLUMNS = [(0, 2), (2, 4), (4, 5)]
# Five seconds are the promise, for answers and for recovery; one more is for a busy machine.
MOST_SECONDS = 5.0 + 1.0
CALLBACK = "/accounts/oidc/acme/login/callback/"
USUAL = "as usual"
UNREACHED = "a page says that the provider does not answer"
WORDS = {
    200: USUAL,
    302: USUAL,
    400: UNREACHED,
    401: "idle sessions seem to have ended",
    503: "503",
}


@dataclass
class People:
    """The users of a site: a browser and a program that are signed in, and people who come."""

    site: Site
    op: OpenIDProvider
    browser: Client
    stranger: Client
    form: str
    access: str
    came: int = 0

    @classmethod
    def at(cls, site, browser, op):
        """Return people at ``site``, where alice has an account and ``browser`` is hers."""
        stranger = site.client()
        access = get_tokens("alice", site.client())["access"]
        people = cls(site, op, browser, stranger, stranger.csrf(SIGNUP), access)
        assert people.sign_in_with_provider() == 302
        return people

    def read(self):
        return same_browser(self.site, self.browser).get("/accounts/profile/").status

    def call(self):
        return call("me/", client=self.site.client(), token=self.access).status

    def sign_in(self):
        return get_tokens("alice", self.site.client()).status

    def sign_up(self):
        self.came += 1
        name = f"new{self.came}"
        fields = {"username": name, "email": address_of(name), "password1": PASSWORD}
        return same_browser(self.site, self.stranger).post(SIGNUP, fields, csrf=self.form).status

    def sign_in_with_provider(self):
        browser = same_browser(self.site, self.stranger)
        there = browser.post("/accounts/oidc/acme/login/", csrf=self.form, form=LOGIN)
        if there.status != 302:
            return there.status
        back = urlencode(self.op.answer(there.location))
        return browser.get(f"{CALLBACK}?{back}").status

    def ready(self):
        time.sleep(health.FRESH)
        answer = self.site.client().get("/health/ready")
        parts = {name: word for name, word in answer.json().items() if word != "ok"}
        shown = parts if answer.status == 200 else {}
        return ", ".join([f"{answer.status}", *(f"`{n}` is `{word}`" for n, word in shown.items())])

    def look(self):
        """Do everything twice at once; return what happened, and the seconds of the slowest."""
        acts = [self.read, self.call, self.sign_in, self.sign_up, self.sign_in_with_provider]

        def timed(i):
            # So many passwords at once are too many for a busy machine.
            for _ in range(5):
                began = time.monotonic()
                status = acts[i % len(acts)]()
                if status != 429:
                    break
            return WORDS[status], time.monotonic() - began

        found = together(2 * len(acts), timed)
        words = [word for word, _seconds in found]
        cells = [" or ".join(sorted({*words[i:j], *words[i + 5 : j + 5]})) for i, j in COLUMNS]
        return [*cells, self.ready()], max(seconds for _word, seconds in found)

    def is_well(self):
        return self.look()[0] == [USUAL, USUAL, USUAL, "200"]


@dataclass
class Table:
    """The rows of the table: what was observed, then what was measured."""

    rows: list[tuple[list[str], float, float]] = field(default_factory=list)

    def observe(self, what, how, people, trouble):
        """Add a row about what people notice while ``trouble`` lasts, and how long afterwards."""
        assert within(LATER_SECONDS, people.is_well)
        with trouble:
            # The second time shows what lasts.
            _cells, before = people.look()
            cells, slowest = people.look()
        ended = time.monotonic()
        assert within(LATER_SECONDS, people.is_well), people.look()
        seconds = time.monotonic() - ended - health.FRESH
        self.rows.append(([what, how, *cells], max(before, slowest), seconds))

    def text(self):
        lines = [f"| {' | '.join(cells)} | {a:.1f} s | {b:.1f} s |\n" for cells, a, b in self.rows]
        return BEGIN + HEAD + "| --- " * 8 + "|\n" + "".join(lines) + END


def joined(site):
    """Return the browser of alice, who has signed up at ``site``."""
    browser = site.client()
    join(site, browser, "alice")
    return browser


def observe_services(table, postgres, redis, env):
    with ExitStack() as running:
        op, mail = running.enter_context(OpenIDProvider()), running.enter_context(MailServer())
        ports = {"PostgreSQL": postgres.port, "Redis": redis.port}
        ports |= {"mail server": urlsplit(mail.url).port, "provider": urlsplit(op.origin).port}
        relays = {name: running.enter_context(Relay(port)) for name, port in ports.items()}
        op.origin = op.issuer = f"http://127.0.0.1:{relays['provider'].port}"
        database = postgres.database()
        with Site(DATABASE_URL=database, **env) as first:
            browser = joined(first)
            first.stop()
            there = {
                "DATABASE_URL": database.replace(
                    f":{postgres.port}/", f":{relays['PostgreSQL'].port}/"
                ),
                "REDIS_URL": f"redis://127.0.0.1:{relays['Redis'].port}/0",
                "EMAIL_URL": f"smtp+plain://127.0.0.1:{relays['mail server'].port}",
                "OIDC_PROVIDERS": json.dumps([op.setting()]),
            }
            people = People.at(running.enter_context(first.second(**there)), browser, op)
            for name, relay in relays.items():
                table.observe(name, "stopped", people, relay.stopped())
                table.observe(name, "frozen", people, relay.frozen())
                table.observe(name, "25 ms slower", people, relay.slow())


def observe_disk(table, env):
    with OpenIDProvider() as op, Site(OIDC_PROVIDERS=json.dumps([op.setting()]), **env) as site:
        people = People.at(site, joined(site), op)
        table.observe("disk with SQLite", "full", people, full_disk(site))


@pytest.mark.proof
@pytest.mark.alone
def test_the_table_of_failures_is_what_people_notice(postgres, redis_server):
    table, env = Table(), {"LIMITS_SCALE": "1000"}
    observe_services(table, postgres, redis_server, env)
    observe_disk(table, env)
    if os.environ.get("WRITE_DOCS"):
        whole = re.sub(f"{BEGIN}.*{END}", lambda _: table.text(), PAGE.read_text(), flags=re.S)
        PAGE.write_text(whole)

    page = PAGE.read_text()
    for cells, slowest, recovery in table.rows:
        assert f"| {' | '.join(cells)} |" in page
        assert max(slowest, recovery) <= MOST_SECONDS * slack(), cells
