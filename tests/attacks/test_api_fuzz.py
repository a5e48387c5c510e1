"""Requests made after the API's own description, right ones and wrong ones: no fault, and no answer
that the description doesn't tell of."""

import re
import subprocess
import sys

import pytest

from tests.attacks.test_timing import member
from tests.support.api import get_tokens, is_good
from tests.support.site import Site

# By setting its longest, so that a run doesn't outlive the token; limits are another test's.
SITE = {"ACCESS_TOKEN_SECONDS": "3600", "LIMITS_SCALE": "100000"}
SECONDS = 600
# The description says "a string" of what only a real address, a good code or a known token passes:
# that such a string is refused is no fault. And who has signed up isn't there for others, nor for
# oneself, until the address is confirmed.
LEFT_OUT = "positive_data_acceptance,ensure_resource_availability"
# Its own sign-in it would end, and then be nobody: fuzzed alone, last.
END = "sessions_destroy"


@pytest.fixture(scope="module")
def access(site: Site) -> str:
    """An access token of alice."""
    member(site, "alice")
    return str(get_tokens("alice", site.client())["access"])


def person(access: str) -> tuple[str, ...]:
    """The options of a run with that token."""
    return ("--header", f"Authorization: Bearer {access}")


def fuzz(site: Site, examples: int, *options: str) -> int:
    """Run schemathesis; how many requests it made. It fails on anything that isn't described."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{site.origin}/api/v1/schema/"),
            *("--max-examples", str(examples), "--phases", "coverage,fuzzing,stateful"),
            *("--exclude-checks", LEFT_OUT, "--continue-on-failure", "--no-shrink", "--no-color"),
            # As a page of the site's own: whatever else is refused before its body is looked at.
            *("--header", f"Origin: {site.origin}", "--header", "X-Requested-With: authsite"),
            *options,
        ],
        capture_output=True,
        check=False,
        cwd=site.data_dir,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    assert "Traceback" not in site.log()
    made = re.search(r"(\d+) generated", done.stdout)
    assert made, done.stdout
    return int(made[1])


def test_nothing_that_a_person_sends_gives_a_fault_or_an_answer_that_is_not_described(
    site: Site, access: str
) -> None:
    assert fuzz(site, 2, *person(access), "--exclude-operation-id", END) > 300
    assert is_good(access, site.client())


@pytest.mark.proof
def test_two_thousand_requests_of_strangers_and_of_a_person_give_no_fault(
    site: Site, access: str
) -> None:
    assert fuzz(site, 200) >= 2000
    assert fuzz(site, 200, *person(access), "--exclude-operation-id", END) >= 2000
    assert is_good(access, site.client())
    assert fuzz(site, 4, *person(access), "--include-operation-id", END) > 4
