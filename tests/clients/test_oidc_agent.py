"""Debian's ``oidc-agent`` signs bob in at the site by a code (RFC 8628)."""

import json
import os
import re
import shlex
import signal

import pytest

from tests.support.docs_examples import blocks_of
from tests.support.journey import Journey
from tests.support.missing import find, missing
from tests.support.process import Process, run
from tests.support.steps import join

REGISTER, commands = (
    next(block.lines for block in blocks_of("sign-in-with.md", "sh") if text in block.lines)
    for text in ("add_client oidc-agent", "oidc-gen ")
)
START, GENERATE, TOKEN = commands.splitlines()


class Agent:
    """A running agent, which keeps the tokens, and the commands that use it."""

    def __init__(self, folder, site):
        find("oidc-gen") or missing("oidc-agent-cli")
        registered = site.manage(*shlex.split(REGISTER)[2:], "--json")
        self.env = os.environ | {
            "HOME": str(folder),
            "OIDC_CONFIG_DIR": str(folder),
            "OIDC_ENCRYPTION_PW": "of the file with the tokens",
            "TMPDIR": str(folder),
        }
        self.env |= re.findall(r"(OIDC\w+)=(.+)", run("sh", "-c", f"{START}; env", env=self.env))
        self._client, self._site = json.loads(registered)["client_id"], site

    def generate(self):
        """Return the command of the page that signs a person in, and answers its questions."""
        command = GENERATE.replace("$CLIENT_ID", self._client)
        command = command.replace("$ISSUER", self._site.origin)
        answers = f"--cp={self._site.authority} --pw-env --prompt=none --confirm-yes --no-url-call"
        return shlex.split(f"{command} {answers}")


@pytest.fixture
def agent(production, tmp_path):
    agent = Agent(tmp_path, production)
    yield agent
    os.kill(int(agent.env["OIDCD_PID"]), signal.SIGTERM)


def username_of(site, token):
    headers = {"Authorization": f"Bearer {token.strip()}"}
    return str(site.client().get("/oauth/userinfo", headers=headers).json()["preferred_username"])


@pytest.mark.proof
def test_oidc_agent_signs_bob_in_by_a_code(production, agent, tmp_path):
    bob = production.client()
    join(production, bob, "agent-bob")
    browser = Journey(bob)
    shown = re.compile(r"And enter the code: (\S+)")

    with Process(agent.generate(), tmp_path / "log", env=agent.env) as waiting:
        waiting.wait_until(lambda: bool(shown.search(waiting.log())), "oidc-gen")
        page = browser.open(f"{production.origin}/oauth/device")
        (code,) = shown.findall(waiting.log())
        page = browser.send(page, user_code=code)
        browser.send(page, "Allow")
        assert waiting.wait() == 0, waiting.log()
    assert username_of(production, run(*TOKEN.split(), env=agent.env)) == "agent-bob"
