"""System 9, REST authentication: rows 1 and 2.

Rows 3 and 4 are in tests/attacks: test_token_rights.py and test_revocation.py.
"""

import itertools
import re

from accounts.ops.schema import CODES
from accounts.tokens import scopes
from tests.support.api import API
from tests.support.docs_examples import Shell, blocks_of
from tests.support.missing import find, missing
from tests.support.routes import ROUTES
from tests.support.second_factor import (
    EMAILED_CODES,
    SETUP,
    code_of,
    confirm_recovery_codes,
    seed_on,
)
from tests.support.signin import signed_in
from tests.support.site import ROOT, text_of
from tests.support.steps import CONFIRM, code_in, make_user, sign_up
from tests.support.urls import OPEN

SITE = {"TOKEN_AUDIENCES": "https://shop.example.org"}
PAGE = (ROOT / "docs/api.md").read_text()
NOBODY = "00000000-0000-4000-8000-000000000000"
CODE = "is your code"


def code_of_bobs_app(site):
    """Sign bob up on the pages, with an authenticator and emailed codes; return an unused code."""
    browser = site.client()
    sign_up(browser, "bob")
    browser.post(CONFIRM, {"code": code_in(text_of(site.wait_for_mail(to="bob@")))})
    seed = seed_on(browser.get(SETUP).text)
    done = browser.post(SETUP, {"code": code_of(seed)})
    confirm_recovery_codes(browser, done.location)
    browser.post(EMAILED_CODES, {"emailed_codes": "on"})
    return code_of(seed, 1)


def test_the_api_docs_name_every_scope():
    table = PAGE.partition("| scope | allows |")[2].partition("\n\n")[0]
    named = re.findall(r"`([a-z:]+)`", "".join(row.split("|")[1] for row in table.split("\n")[2:]))

    # The activity history is read-only.
    assert {*named} == scopes.SCOPES - {"activity:write"}


def test_9_1_every_command_of_the_api_docs_prints_the_documented_output(site, tmp_path):
    for program in ("bash", "curl", "jq"):
        find(program) or missing(program)
    env = {"ORIGIN": site.origin, "DATA_DIR": str(site.data_dir), "CODE": code_of_bobs_app(site)}
    mails = len(site.mails(subject=CODE))
    with Shell(tmp_path, env) as shell:
        for block in blocks_of("api.md", "sh"):
            if "$(mailed_code)" in block.lines:
                mails += 1
                site.wait_for_mail(subject=CODE, count=mails)
            printed = shell.run(block.lines)
            assert not block.kind or block.matches(printed), (block.lines, printed)


def test_9_1_the_api_docs_name_every_error_code():
    section = PAGE.partition("\n## Errors\n")[2].partition("\n## ")[0]
    cells = re.findall(r"(?m)^\| [0-9, ]+ \| ([^|]+) \|", section)
    assert set(re.findall(r"`([a-z_]+)`", "".join(cells))) == set(CODES)


CALLS = [re.sub("<.*>", NOBODY, str(route.pattern)) for route in ROUTES]
CLOSED = [path for path in CALLS if f"api/v1/{path}" not in OPEN and NOBODY not in path]


def test_9_2_failed_authentication_is_401_with_www_authenticate(client, clock):
    """Invalid bodies are tested in tests/attacks: test_api_input.py and test_api_fuzz.py."""
    signed_in(make_user("alice"), client)
    for path, sent in itertools.product(CLOSED, ("", "Bearer x", "Basic YTpi", "Digest x")):
        clock.advance(minutes=2)  # wrong passwords are limited
        answer = client.get(API + path, headers={"authorization": sent})
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert answer.json().keys() == {"detail", "code", "request_id"}
