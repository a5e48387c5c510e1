"""The steps of a mobile app in ``docs/mobile.md``, run as the page prints them."""

import json
import shlex
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.clients.apps import Echo
from tests.support.clients.terminal import agree
from tests.support.docs_examples import Shell, blocks_of
from tests.support.missing import find, missing
from tests.support.steps import join

# Other tests have used the name of alice at the shared site.
SITE = {"LIMITS_SCALE": "1000"}
REGISTER, OPEN, *REST = blocks_of("mobile.md", "sh")


@pytest.mark.server
def test_an_app_signs_alice_in_with_the_system_browser_and_calls_the_api(site, tmp_path):
    for program in ("bash", "curl", "jq", "openssl"):
        find(program) or missing(program)
    alice = site.client()
    join(site, alice, "alice")
    words = shlex.split(REGISTER.lines.replace("https://accounts.example.org", site.origin))
    app = json.loads(site.manage(*words[2:], "--json"))["client_id"]

    with Echo() as echo, Shell(tmp_path, {"CLIENT_ID": app, "ISSUER": site.origin}) as shell:
        url = shell.run(OPEN.lines.replace(":8765", f":{echo.port}")).strip()
        back = parse_qs(urlsplit(agree(alice, url).url).query)
        asked = parse_qs(urlsplit(url).query)
        assert (back["state"], back["iss"]) == (asked["state"], [site.origin])
        shell.run(f"CODE={shlex.quote(back['code'][0])}")
        for block in REST:
            output = shell.run(block.lines)
            assert block.printed, block.lines
            assert block.matches(output), output
