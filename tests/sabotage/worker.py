"""Run pytest again and again, each time in a fork of a process that has imported the libraries.

Importing them takes longer than most tests. Each line of standard input is a JSON object: the
arguments of pytest and the seconds after which it is killed. Each is answered with a JSON object of
the tests' outcomes, or with null after a kill. A test that is named without parameters counts with
all of them.
"""

import json
import os
import signal
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import pytest

# Nothing that reads the settings or imports the site's code, from which a defence is taken out.
LIBRARIES = (
    "django.contrib.admin.sites",
    "django.db.backends.sqlite3.base",
    "django.test",
    "jsonschema",
    "jwt",
    "playwright.sync_api",
    "redis",
    "rest_framework.serializers",
    "ua_parser_builtins.matchers",
    "webauthn",
)
# For a test with several phases or parameters, the first of these outcomes that occurs counts.
OUTCOMES = ("failed", "broken by an error", "skipped", "passed")


class Outcomes:
    """A plugin of pytest that collects the outcome of each test."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome: str = report.outcome
        if report.failed and report.when != "call":
            outcome = "broken by an error"
        for test in {report.nodeid, report.nodeid.partition("[")[0]}:
            self.found[test] = min(self.found.get(test, "passed"), outcome, key=OUTCOMES.index)


def main() -> None:
    """Answer each line until standard input ends."""
    sys.path.insert(0, str(Path.cwd()))
    for library in LIBRARIES:
        import_module(library)
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as answer:
            if (pid := os.fork()) == 0:
                json.dump(run(**json.loads(line)), answer)
                answer.flush()
                os._exit(0)
            code = os.waitpid(pid, 0)[1]
            answer.seek(0)
            print("null" if code else answer.read(), flush=True)


def run(args: list[str], seconds: int) -> dict[str, str]:
    """Run pytest silently in this process and return the tests' outcomes."""
    signal.alarm(seconds)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    outcomes = Outcomes()
    pytest.main(args, plugins=[outcomes])
    return outcomes.found


if __name__ == "__main__":
    main()
