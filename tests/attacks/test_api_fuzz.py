"""Valid and invalid requests generated from the OpenAPI description.

None may cause a server error or an answer that the description does not document.
"""

import json
import os
import re
import subprocess
import sys
from uuid import UUID

import pytest

from accounts.ops.schema import ALICE
from tests.support.api import call, get_tokens, is_good, second_step
from tests.support.openapi import description
from tests.support.second_factor import code_of
from tests.support.site import CHEAP_HASHES, Site
from tests.support.steps import member, sql

# The longest allowed lifetime, so that the token outlives the run, and no limits.
SITE = {"ACCESS_TOKEN_SECONDS": "3600", "LIMITS_SCALE": "100000", **CHEAP_HASHES}
SECONDS = 3500
# Fields such as emails, codes and tokens are described as strings, so refusing a random string is
# no error. A new user is not found, even by themselves, until the email is confirmed.
LEFT_OUT = "positive_data_acceptance,ensure_resource_availability"
# These end the session of the token that the run uses, so each is fuzzed alone and last.
END, DELETION = "revoke_session", "delete_me"
# Alice signs in again with her name and password. Carol tries these calls.
CHANGES = ["change_password", "change_username"]
SEED = "3132333435363738393031323334353637383930"
# Otherwise, the run would outlive the ten minutes in which these calls act.
STAY_RECENT = """
UPDATE accounts_loginsession SET auth_time = datetime('now', '+2 hours'),
    factor_at = CASE WHEN factor_at IS NULL THEN NULL ELSE datetime('now', '+2 hours') END,
    stepped_up_at = CASE WHEN factor_at IS NULL THEN NULL ELSE datetime('now', '+2 hours') END
"""
CASES = 5000
# Schemathesis does not know this media type, and sends its bytes as they are.
LINES = """
import schemathesis
schemathesis.serializer.alias("application/x-ndjson", "application/octet-stream")
"""


def person(site):
    """Return an access token of alice."""
    return str(get_tokens("alice", site.client())["access"])


def key(site):
    """Return an API key of bob with every scope that keys can have."""
    member(site, "bob")
    access = str(get_tokens("bob", site.client())["access"])
    token_request = {"name": "fuzz", "scope": "read write"}
    return str(call("keys/", token_request, client=site.client(), token=access)["key"])


def staff(site):
    """Return an access token of carol, a superuser who may read every user."""
    site.manage(
        "shell",
        "-c",
        "from tests.support.second_factor import enrolled; "
        "from tests.support.steps import make_user; "
        f"enrolled(make_user('carol', is_staff=True, is_superuser=True), {SEED!r})",
    )
    client = site.client()
    scope = "read write users:read admin:read admin:write"
    first = get_tokens("carol", client, scope=scope)
    return str(second_step(first["challenge"], code_of(SEED), client)["access"])


def fuzz(site, examples, token="", *options):
    """Run schemathesis, fail on undocumented answers, and return the number of requests."""
    file = site.data_dir / "description.json"
    # The id in the examples becomes alice's. Only alice and staff may see her profile.
    [(alice,)] = sql(site, "SELECT id FROM accounts_user WHERE username = 'alice'")
    file.write_text(json.dumps(description()).replace(ALICE, str(UUID(alice))))
    sql(site, STAY_RECENT)
    hooks = site.data_dir / "lines.py"
    hooks.write_text(LINES)
    credentials = ("--header", f"Authorization: Bearer {token}") if token else ()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", file, "--url", site.origin),
            *("--max-examples", str(examples), "--phases", "examples,coverage,fuzzing,stateful"),
            *("--exclude-checks", LEFT_OUT, "--continue-on-failure", "--no-shrink", "--no-color"),
            # The headers of the site's own pages: without them a request is refused unread.
            *("--header", f"Origin: {site.origin}", "--header", "X-Requested-With: authsite"),
            *credentials,
            *options,
        ],
        capture_output=True,
        check=False,
        cwd=site.data_dir,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(hooks)},
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    assert "Traceback" not in site.log()
    made = re.search(r"(\d+) generated", done.stdout)
    assert made, done.stdout
    return int(made[1])


@pytest.mark.proof
@pytest.mark.parametrize("caller", [None, person, key, staff])
def test_five_thousand_requests_of_each_kind_of_caller_cause_no_undocumented_answer(caller):
    """Withstands a hostile client."""
    with Site(**SITE) as site:
        member(site, "alice")
        token = caller(site) if caller else ""
        ends = [END, DELETION, *CHANGES] if caller is person else [END] if token else []
        options = [f"--exclude-operation-id={end}" for end in ends]

        assert fuzz(site, 80, token, *options) >= CASES
        if token:
            assert is_good(token, site.client())
            assert fuzz(site, 4, token, "--include-operation-id", END) > 4
        if caller is person:
            assert fuzz(site, 4, person(site), "--include-operation-id", DELETION) > 4
