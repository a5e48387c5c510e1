"""What people notice while something that the site depends on fails.

The table of ``docs/operating.md`` says the same. Mail servers and providers have their own tests.
"""

import time

import pytest

from accounts.ops import health
from tests.support.api import call, get_tokens
from tests.support.outages import full_disk, stopped
from tests.support.process import LATER_SECONDS, slack, within
from tests.support.site import ROOT, Site, together
from tests.support.standards import proves
from tests.support.steps import PASSWORD, SIGNUP, address_of, join, same_browser

# Five seconds are the promise, for answers and for recovery; one more is for a busy machine.
MOST_SECONDS = 5.0 + 1.0
USUAL = "as usual"
WORDS = {200: USUAL, 302: USUAL, 503: "503"}


class People:
    """The users of a site: a browser and a program that are signed in, and people who come."""

    def __init__(self, site):
        self.site, self.browser, self.stranger = site, site.client(), site.client()
        self.came = 0
        join(site, self.browser, "alice")
        self.access = get_tokens("alice", site.client())["access"]
        self.form = self.stranger.csrf(SIGNUP)

    def read(self):
        return same_browser(self.site, self.browser).get("/accounts/profile/")

    def call(self):
        return call("me/", client=self.site.client(), token=self.access)

    def sign_in(self):
        return get_tokens("alice", self.site.client())

    def sign_up(self):
        self.came += 1
        name = f"new{self.came}"
        fields = {"username": name, "email": address_of(name), "password1": PASSWORD}
        return same_browser(self.site, self.stranger).post(SIGNUP, fields, csrf=self.form)

    def ready(self):
        time.sleep(health.FRESH)
        answer = self.site.client().get("/health/ready")
        parts = {name: word for name, word in answer.json().items() if word != "ok"}
        shown = parts if answer.status == 200 else {}
        return ", ".join([f"{answer.status}", *(f"`{n}` is `{word}`" for n, word in shown.items())])

    def look(self):
        """Do everything twice at once; return the cells of the row, and the slowest answer."""
        acts = [self.read, self.call, self.sign_in, self.sign_up]

        def timed(i):
            # So many passwords at once are too many for a busy machine.
            for _ in range(5):
                began = time.monotonic()
                status = acts[i % 4]().status
                if status != 429:
                    break
            return WORDS[status], time.monotonic() - began

        found = together(8, timed)
        cells = [{word for word, _ in found[i : i + 2] + found[i + 4 : i + 6]} for i in (0, 2)]
        return [*map(" or ".join, cells), self.ready()], max(seconds for _, seconds in found)

    def is_well(self):
        return self.look()[0] == [USUAL, USUAL, "200"]

    def check(self, what, how, trouble):
        """Compare what people notice while ``trouble`` lasts with the table, and the times."""
        assert within(LATER_SECONDS, self.is_well)
        with trouble:
            # The second time shows what lasts.
            before, (cells, slowest) = self.look()[1], self.look()
        ended = time.monotonic()
        assert within(LATER_SECONDS, self.is_well), self.look()
        recovery = time.monotonic() - ended - health.FRESH
        assert f"| {' | '.join([what, how, *cells])} |" in (ROOT / "docs/operating.md").read_text()
        assert max(before, slowest, recovery) <= MOST_SECONDS * slack(), cells


@proves("V16.5.2")
@pytest.mark.proof
@pytest.mark.alone
def test_the_table_of_failures_is_what_people_notice(postgres, redis_server):
    """Withstands a failure."""
    env = {"LIMITS_SCALE": "1000"}
    with Site(DATABASE_URL=postgres.database(), REDIS_URL=redis_server.url, **env) as site:
        people = People(site)
        for name, service in (("PostgreSQL", postgres), ("Redis", redis_server)):
            people.check(name, "stopped", stopped(service))
            people.check(name, "frozen", service.process.frozen())
    with Site(**env) as site:
        People(site).check("disk with SQLite", "full", full_disk(site))
