"""The command line of ``docs/sign-in-with.md``, run as the page prints it."""

import os

import pytest

from tests.support.clients.apps import APPS, HERE, TRUST, register
from tests.support.clients.terminal import NAME, agree, shown
from tests.support.journey import Journey
from tests.support.process import Process
from tests.support.steps import join, sql
from tests.support.virtualenvs import environment

LIVE = """
SELECT COUNT(*) FROM accounts_loginsession s JOIN oauth_appsession a ON a.session_id = s.id
WHERE a.client_id = ? AND s.ended_at IS NULL
"""


class Terminal:
    """The program, whose keyring is a file."""

    def __init__(self, folder, site):
        self._program, self._folder = folder / NAME, folder
        self._program.write_text(APPS[NAME][1])
        self.client = register(site, NAME)["client_id"]
        self._env = os.environ | dict.fromkeys(TRUST, str(site.authority))
        self._env |= {
            "BROWSER": "true %s",
            "CLIENT_ID": self.client,
            "HOME": str(folder),
            "ISSUER": site.origin,
            "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
        }

    def start(self, *words):
        python, log = environment(HERE / "requirements.txt") / "python", self._folder / "log"
        log.unlink(missing_ok=True)
        return Process([python, self._program, *words], log, env=self._env, cwd=self._folder)

    def output(self, *words):
        """Run the program to its end, and return what it prints."""
        with self.start(*words) as running:
            assert running.wait() == 0, running.log()
            return running.log()


@pytest.fixture
def terminal(production, tmp_path):
    return Terminal(tmp_path, production)


@pytest.mark.proof
def test_a_command_line_signs_alice_in_with_her_browser_and_out(production, terminal):
    alice = production.client()
    join(production, alice, "terminal-alice")

    with terminal.start() as running:
        page = agree(alice, shown(running, r"Sign in at (\S+)"))
        assert page.text == "You can close this window."
        assert running.wait() == 0, running.log()
    assert running.log().endswith("Hello terminal-alice\n")

    assert terminal.output() == "Hello terminal-alice\n", "without signing in again"
    assert terminal.output("sign-out") == ""
    assert sql(production, LIVE, terminal.client) == [(0,)]


@pytest.mark.proof
def test_a_command_line_without_a_browser_signs_bob_in_by_a_code(production, terminal):
    bob = production.client()
    join(production, bob, "terminal-bob")
    journey = Journey(bob)

    with terminal.start("code") as running:
        code = shown(running, r"Enter (\S+) at ")
        page = journey.open(shown(running, r" at (https://\S+)"))
        journey.send(journey.send(page, user_code=code), "Allow")
        assert running.wait() == 0, running.log()
    assert running.log().endswith("Hello terminal-bob\n")
    assert terminal.output("code") == "Hello terminal-bob\n", "without another code"
