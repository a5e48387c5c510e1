"""Requests made after the API's own description, right ones and wrong ones: no fault, and no answer
that the description doesn't tell of."""

import json
import re
import subprocess
import sys

import pytest

from tests.support.site import Site, text_of
from tests.support.steps import PASSWORD

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

    def call(path: str, **body: str) -> dict[str, str]:
        answer = site.client().request(
            "POST",
            f"/api/v1/{path}/",
            body=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status < 300, answer.text
        found: dict[str, str] = answer.json()
        return found

    email = "alice@example.org"
    call("users", username="alice", email=email, password=PASSWORD)
    code = re.search(r"^[A-Z2-9]{8}\r?$", text_of(site.wait_for_mail(to=email)), re.MULTILINE)
    assert code
    call("email/verify", email=email, code=code[0])
    return call("token", username="alice", password=PASSWORD)["access"]


def bearer(access: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access}"}


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


def test_nothing_that_a_stranger_sends_gives_a_fault_or_an_answer_that_is_not_described(
    site: Site,
) -> None:
    assert fuzz(site, 4) > 300


def test_nothing_that_a_person_sends_gives_a_fault_or_an_answer_that_is_not_described(
    site: Site, access: str
) -> None:
    assert fuzz(site, 4, *person(access), "--exclude-operation-id", END) > 300

    assert site.client().get("/api/v1/me/", headers=bearer(access)).status == 200
    assert fuzz(site, 4, *person(access), "--include-operation-id", END) > 4


@pytest.mark.proof
@pytest.mark.parametrize("who", ["stranger", "person"])
def test_two_thousand_requests_give_no_fault(site: Site, access: str, who: str) -> None:
    options = (*person(access), "--exclude-operation-id", END) if who == "person" else ()

    assert fuzz(site, 200, *options) >= 2000
    assert site.client().get("/api/v1/me/", headers=bearer(access)).status == 200
