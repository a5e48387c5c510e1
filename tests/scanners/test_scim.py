"""scim2-tester finds no fault in the SCIM server."""

import json

import pytest

from tests.support.process import run
from tests.support.site import ROOT
from tests.support.virtualenvs import environment

pytestmark = pytest.mark.proof

HERE = ROOT / "tests/scanners/scim"
# Searching several kinds of resources at once by POST, which the server does not support: 501.
UNSUPPORTED = "search_with_attributes"


def test_scim2_tester_finds_no_fault(site):
    made = json.loads(site.manage("scim_token", "Okta", "--json"))
    python = environment(HERE / "requirements.txt") / "python"

    printed = run(python, HERE / "check.py", f"{site.origin}/scim/v2", made["scim_token"])

    results = [line.split(maxsplit=2) for line in printed.splitlines()]
    wrong = [line for line in results if line[0] != "SUCCESS" and line[1] != UNSUPPORTED]
    assert wrong == []
    assert {line[0] for line in results if line[1] == UNSUPPORTED} == {"SKIPPED"}
    assert len(results) > 50
